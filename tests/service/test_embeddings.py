"""Embeddings over HTTP are the retriever's own.

1. Each `input_type` gives the vectors of its tower, prompt included, and the answer says which prompt and what was cut.
2. base64 holds the same float32 bits; `dimensions` gives leading values of unit length.
3. Texts of many callers that are encoded together come back to whom they belong.
4. An unmodified client of OpenAI works.
5. The quick tokeniser is held to the tokenizer itself by language behind the service's lock as elsewhere.
"""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from starlette.testclient import TestClient

from isogloss import Retriever
from isogloss.engines.tokenising import TextTokenizer
from isogloss.service.serial_engine import for_threads
from tests.conftest import TINY_TEXTS
from tests.service.conftest import KEY, listening, local_client


def embed(client: TestClient, **body: object):
    return client.post("/v1/embeddings", json=body)


def vectors(answer) -> np.ndarray:
    return np.array([item["embedding"] for item in answer.json()["data"]], dtype=np.float32)


@pytest.mark.parametrize(
    ("given", "role"), [("query", "query"), ("passage", "passage"), ("document", "passage"), (None, "passage")]
)
def test_the_role_picks_tower_and_prompt(make_app, tiny_transformer, given, role):
    texts = list(TINY_TEXTS[:3])
    expected = Retriever.load(tiny_transformer).encode(texts, role=role)
    with local_client(make_app(model=tiny_transformer, corpus=False)) as client:
        answer = embed(client, input=texts, **({"input_type": given} if given else {}))
    np.testing.assert_allclose(vectors(answer), expected, atol=1e-6)
    assert answer.headers["X-Isogloss-Prompt"] == {"query": "query%3A%20", "passage": "passage%3A%20"}[role]
    assert answer.headers["X-Isogloss-Input-Type"] == (role if given else "passage; default")
    assert answer.json()["model"] == "tiny"


def test_cut_tokens_are_told(make_app, tiny_transformer):
    long = "a ship " * 60
    tokenizer = Retriever.load(tiny_transformer).query.engine.tower.tokenizer
    whole = len(tokenizer.tokenize("query: " + long)) + 2
    with local_client(make_app(model=tiny_transformer, corpus=False)) as client:
        answer = embed(client, input=["a ship", long], input_type="query")
    assert answer.headers["X-Isogloss-Texts-Cut"] == "1"
    assert answer.headers["X-Isogloss-Tokens-Cut"] == str(whole - 32)


def test_every_text_that_is_refused_is_named(client):
    answer = embed(client, input=[TINY_TEXTS[0], " ", TINY_TEXTS[1], "\t"])
    assert answer.json()["error"]["message"] == "input.1 is empty. input.3 is empty."


def test_texts_without_a_token_are_named(client, monkeypatch):
    real = Retriever.encode_with_counts

    def knows_no_runes(self, texts, **options):
        encoded = real(self, texts, **options)
        return replace(encoded, token_counts=np.where([text == "ᚠ" for text in texts], 0, encoded.token_counts))

    monkeypatch.setattr(Retriever, "encode_with_counts", knows_no_runes)
    answer = embed(client, input=[TINY_TEXTS[0], "ᚠ", TINY_TEXTS[1], "ᚠ"])
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "input")
    assert error["message"] == "input.1, input.3: no token that the model knows."


def test_base64_holds_the_same_bits(client):
    plain = vectors(embed(client, input=["a ship", "bread"]))
    packed = embed(client, input=["a ship", "bread"], encoding_format="base64").json()["data"]
    unpacked = np.stack([np.frombuffer(base64.b64decode(item["embedding"]), dtype="<f4") for item in packed])
    np.testing.assert_array_equal(unpacked, plain)


def test_dimensions_shorten_to_unit_length(client):
    whole = vectors(embed(client, input="a ship"))[0]
    short = vectors(embed(client, input="a ship", dimensions=5))[0]
    np.testing.assert_allclose(short, whole[:5] / np.sqrt((whole[:5] ** 2).sum()), rtol=1e-6)
    refused = embed(client, input="a ship", dimensions=len(whole) + 1)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "dimensions")


def test_callers_get_their_own_vectors(make_app, tiny_static):
    texts = [f"{TINY_TEXTS[number % 12]} {number}" for number in range(64)]
    expected = Retriever.load(tiny_static).encode_query(texts)
    with local_client(make_app()) as client, ThreadPoolExecutor(16) as callers:
        answers = list(callers.map(lambda text: vectors(embed(client, input=text, input_type="query"))[0], texts))
        batches = client.get("/metrics").text
    np.testing.assert_allclose(np.stack(answers), expected, atol=1e-6)
    count = next(
        line for line in batches.splitlines() if line.startswith('isogloss_batch_size_count{queue="encoding"}')
    )
    assert float(count.split()[1]) < 64, "nothing was encoded together"


def test_openai_client_works_unmodified(make_app, tiny_static):
    openai = pytest.importorskip("openai")
    from isogloss.service.keys import ApiKeys

    expected = Retriever.load(tiny_static).encode_passage(["a ship", "bread"])
    with listening(make_app(keys=ApiKeys.of([KEY]))) as port:
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY, max_retries=0)
        answer = client.embeddings.create(model="tiny", input=["a ship", "bread"])
        np.testing.assert_allclose([item.embedding for item in answer.data], expected, atol=1e-6)
        assert answer.usage.prompt_tokens > 0
        queries = client.embeddings.create(model="tiny", input="a ship", extra_body={"input_type": "query"})
        assert len(queries.data[0].embedding) == expected.shape[1]
        assert [model.id for model in client.models.list()] == ["tiny"]
        with pytest.raises(openai.NotFoundError):
            client.embeddings.create(model="another", input="a ship")
        wrong = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="wrong-wrong-wrong-wrong", max_retries=0)
        with pytest.raises(openai.AuthenticationError):
            wrong.models.list()


@pytest.mark.parametrize("dimension", [None, 8])
def test_the_proof_by_language_goes_through_the_lock(tiny_static, monkeypatch, dimension):
    proved = []
    monkeypatch.setattr(TextTokenizer, "prove", lambda self, texts, languages: proved.append((texts, [*languages])))
    retriever = for_threads(Retriever.load(tiny_static, dimension=dimension))
    retriever.encode_query(["a ship", "ein Schiff"], languages=["en", "de"])
    assert proved == [(["a ship", "ein Schiff"], ["en", "de"])]


def test_an_engine_without_a_quick_way_needs_no_proof(tiny_transformer):
    retriever = Retriever.load(tiny_transformer)
    served = for_threads(retriever).encode_query(["a ship"], languages="en")
    np.testing.assert_allclose(served, retriever.encode_query(["a ship"]), atol=1e-6)
