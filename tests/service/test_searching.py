"""Search and reranking over HTTP.

1. Hits are those of the index in every mode, with the ranks and scores of each stage.
2. Filters by language and metadata hold, counts of languages do not depend on the language, and a wrong language or
   mode is refused by name.
3. Taking languages in turn gives every language its best passage first.
4. The marked sentence is a piece of the passage.
5. Reranking orders by the cosine of the vectors; a search that asks for the cross-encoder has its order, and is refused
   where there is none.
6. A query is encoded once.
7. A language that the lexical index leaves out is refused by words, and the answer of both says that it was searched
   by meaning alone.
"""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from isogloss import Bank, Retriever
from isogloss.indexing.building import build_index
from isogloss.indexing.opening import open_index
from isogloss.service.app import create_app
from isogloss.service.corpus import Found, IndexCorpus, in_turn
from isogloss.service.serial_engine import SerialEngine, for_threads
from isogloss.service.snippets import sentence_spans
from tests.service.conftest import PASSAGES, local_client

QUERY = "Where does the keeper count ships?"


def search(client, **body: object):
    return client.post("/search", json={"query": QUERY, **body})


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
def test_hits_are_those_of_the_index(client, bank, tiny_static, mode):
    found = search(client, mode=mode, k=4).json()["hits"]
    expected = open_index(bank, model=tiny_static).search([QUERY], k=4, mode=mode)[0]
    assert [(hit["id"], hit["rank"]) for hit in found] == [(hit.id, hit.rank) for hit in expected]
    np.testing.assert_allclose([hit["score"] for hit in found], [hit.score for hit in expected], rtol=1e-6)
    stages = {"dense": {"dense"}, "lexical": {"lexical"}, "hybrid": {"dense", "lexical", "fusion"}}[mode]
    assert set().union(*(hit["ranks"] for hit in found)) == stages
    texts = {passage.id: passage.text for passage in PASSAGES}
    assert all(hit["text"] == texts[hit["id"]] for hit in found)


def test_weight_one_orders_as_the_dense_stage(client):
    dense = [hit["id"] for hit in search(client, mode="dense", k=7).json()["hits"]]
    weighted = [hit["id"] for hit in search(client, mode="hybrid", dense_weight=1.0, k=7).json()["hits"]]
    assert weighted == dense


def test_filter_by_language_in_any_spelling(client):
    answer = search(client, languages=["deu", "zh-Hans"], facets=True, k=7).json()
    assert {hit["language"] for hit in answer["hits"]} == {"de", "zh"}
    counts = {facet["language"]: facet["hits"] for facet in answer["facets"]}
    assert counts == {"en": 2, "de": 1, "ar": 1, "hi": 1, "th": 1, "zh": 1}


@pytest.mark.parametrize(("values", "expected"), [(1, {"de"}), (True, {"ar"}), ([1, True], {"de", "ar"}), ("1", set())])
def test_filter_by_metadata(client, values, expected):
    for mode in ("dense", "hybrid"):
        hits = search(client, metadata={"n": values}, mode=mode, k=7).json()["hits"]
        assert {hit["language"] for hit in hits} == expected
        assert all(hit["metadata"] for hit in hits)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"metadata": {'a"b': 1}}, "metadata"),
        ({"metadata": {"a": "\u0000"}}, "metadata"),
        ({"metadata": {"n": []}}, "metadata.n.str"),
        ({"metadata": {"n": 2**63}}, "metadata.n.str"),
        ({"languages": ["fr"]}, "languages"),
        ({"languages": ["no such tag"]}, "languages"),
        ({"k": 101}, "k"),
        ({"k": 0}, "k"),
        ({"mode": "sparse"}, "mode"),
        ({"mode": "dense", "dense_weight": 0.5}, "dense_weight"),
        ({"query": " \u0007 "}, "query"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(client, body, param):
    answer = search(client, **body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"k": 0}, "k: Input should be greater than or equal to 1, not 0"),
        ({"mode": "spar\u001bse"}, "not 'spar?se'"),
        ({"dense_weight": 1.5, "k": -1}, "less than or equal to 1, not 1.5"),
        (
            {"languages": ["fr", "no such", "xx"]},
            "no passage is in 'fr'; 'no such' is in no known spelling; 'xx' is in",
        ),
        ({"query": "  "}, "query.0 is empty"),
    ],
)
def test_refusals_name_what_was_given(client, body, said):
    assert said in search(client, **({"mode": "dense"} | body)).json()["error"]["message"]


def test_an_empty_list_of_languages_is_all_of_them(client):
    everywhere = search(client, mode="dense").json()["hits"]
    assert search(client, mode="dense", languages=[]).json()["hits"] == everywhere


def test_languages_take_turns(client):
    hits = search(client, preference_neutral=True, k=7).json()["hits"]
    assert len({hit["language"] for hit in hits[:6]}) == 6
    assert hits[6]["language"] == "en"


def test_turns_are_ordered_by_score_within_a_round():
    found = {passage.id: Found(passage, score) for passage, score in zip(PASSAGES, (9, 8, 1, 5, 0, 0, 0), strict=True)}
    turns = in_turn([[found["en-1"], found["en-2"]], [found["de-1"]], [found["ar-1"]]], 4)
    assert [one.passage.id for one in turns] == ["en-1", "ar-1", "de-1", "en-2"]


def test_the_marked_sentence_is_the_closest_one(client, tiny_static):
    hits = search(client, snippets=True, mode="dense", k=7).json()["hits"]
    assert len(hits) == 7
    retriever = Retriever.load(tiny_static)
    query = retriever.encode_query([QUERY])[0]
    for hit in hits:
        piece = hit["snippet"]
        assert piece["before"] + piece["sentence"] + piece["after"] == hit["text"]
        others = [hit["text"][slice(*span)] for span in sentence_spans(hit["text"])]
        scores = retriever.encode_passage(others) @ query
        assert piece["sentence"] == others[int(scores.argmax())]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It is 3.5 metres high. Nobody knows why!", ["It is 3.5 metres high.", "Nobody knows why!"]),
        (
            "灯塔看守人在夜里数过往船只。面包在清晨市场开门前烘烤。",
            ["灯塔看守人在夜里数过往船只。", "面包在清晨市场开门前烘烤。"],
        ),
        ("रक्षक रात में जहाज़ गिनता है। रोटी सुबह बनती है।", ["रक्षक रात में जहाज़ गिनता है।", "रोटी सुबह बनती है।"]),
        ("هل يعد السفن في الليل؟ نعم يعدها كلها.", ["هل يعد السفن في الليل؟", "نعم يعدها كلها."]),
        ("Short. Ab. Then a longer sentence.", ["Short. Ab. Then a longer sentence."]),
        ("", []),
    ],
)
def test_sentences_end_where_their_script_ends_them(text, sentences):
    assert [text[slice(*span)] for span in sentence_spans(text)] == sentences


def test_rerank_orders_by_cosine(client, tiny_static):
    retriever = Retriever.load(tiny_static)
    documents = [passage.text for passage in PASSAGES]
    expected = retriever.encode_passage(documents) @ retriever.encode_query([QUERY])[0]
    body = {"query": QUERY, "documents": documents, "top_n": 3, "return_documents": True}
    answer = client.post("/v1/rerank", json=body).json()
    assert [result["index"] for result in answer["results"]] == np.argsort(-expected)[:3].tolist()
    assert answer["results"][0]["relevance_score"] == pytest.approx(float(expected.max()), abs=1e-6)
    assert answer["results"][0]["document"]["text"] == documents[int(expected.argmax())]


class ShortestFirst:
    """Stands in for a cross-encoder."""

    def scores(self, query, passages):
        return -np.array([len(passage) for passage in passages], dtype=np.float32)


def test_a_search_can_ask_for_the_cross_encoder(bank, tiny_static, client):
    retriever = for_threads(Retriever.load(tiny_static))
    corpus = IndexCorpus(open_index(bank, model=retriever), ShortestFirst())
    with local_client(create_app(retriever, corpus)) as reranking:
        assert reranking.get("/corpus").json()["rerank"] is True
        hits = search(reranking, rerank=True, facets=True, mode="dense", k=3).json()["hits"]
        plain = search(reranking, mode="dense", k=3).json()["hits"]
        both = search(reranking, rerank=True, preference_neutral=True)
    lengths = sorted(len(f"{passage.title} {passage.text}".strip()) for passage in PASSAGES)[:3]
    assert [len(hit["text"]) for hit in hits] == lengths
    assert all(set(hit["ranks"]) == {"dense", "rerank"} for hit in hits)
    assert all(set(hit["ranks"]) == {"dense"} for hit in plain)
    for refused in (both, search(client, rerank=True)):
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "rerank")


def test_a_query_is_encoded_once(bank, tiny_static):
    counted = []

    class Counting(SerialEngine):
        def encode(self, texts, *, progress=None):
            counted.extend(texts)
            return super().encode(texts, progress=progress)

    retriever = Retriever.load(tiny_static)
    query = replace(retriever.query, engine=Counting(retriever.query.engine, threading.Lock()))
    retriever = replace(retriever, query=query)
    with local_client(create_app(retriever, IndexCorpus(open_index(bank, model=retriever)))) as client:
        assert search(client, preference_neutral=True, facets=True, mode="dense").status_code == 200
    assert counted == [QUERY]


def test_a_service_without_a_corpus_says_so(make_app):
    with local_client(make_app(corpus=False)) as client:
        assert search(client).status_code == 404
        assert client.post("/v1/embeddings", json={"input": "a ship"}).status_code == 200


def test_a_language_without_words_is_told(bank, tiny_static, tmp_path):
    build_index(Bank.open(bank), tmp_path / "index", no_words=["th"], progress=False)
    retriever = for_threads(Retriever.load(tiny_static))
    corpus = IndexCorpus(open_index(tmp_path / "index", model=retriever))
    corpus.prepare()
    with local_client(create_app(retriever, corpus, model_name="tiny")) as client:
        assert client.get("/corpus").json()["no_words"] == ["th"]
        assert search(client, mode="hybrid").json()["not_by_words"] == ["th"]
        assert search(client, mode="lexical").json()["not_by_words"] == ["th"]
        assert "not_by_words" not in search(client, mode="dense", languages=["th"]).json()
        assert "not_by_words" not in search(client, mode="hybrid", languages=["de"]).json()
        assert search(client, mode="hybrid", languages=["th"]).json()["hits"][0]["id"] == "th-1"
        refused = search(client, mode="lexical", languages=["th", "de"])
        assert refused.status_code == 400 and "leaves out th;" in refused.json()["error"]["message"]
        in_turn = search(client, mode="lexical", preference_neutral=True, k=7)
        assert in_turn.status_code == 200 and "th" not in {hit["language"] for hit in in_turn.json()["hits"]}
