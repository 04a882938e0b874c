"""Layouts without judgements of their own, and pools of several languages.

1. XOR-Retrieve and MKQA: a passage that contains an answer is relevant; yes, no and nothing are no answers.
2. NeuCLIR: a topic's versions are queries of their languages over one pool; machine translations are not asked.
3. FLORES, NTREX, Tatoeba: line n answers line n; a shifted file is refused; Tatoeba is asked in both directions.
"""

from __future__ import annotations

import gzip
import json

import pytest

from isogloss.datasets import load
from isogloss.errors import DataError, FileError

from .conftest import write_lines

WIKIPEDIA = ["id\ttext\ttitle", "1\tThe Elbe rises in Bohemia.\tElbe", "2\tBohemia lies in Czechia; no sea.\tBohemia"]


def test_xor_retrieve(tmp_path):
    write_lines(tmp_path / "xor" / "psgs_w100.tsv", WIKIPEDIA)
    questions = [
        {"id": "q1", "question": "エルベ川の水源は?", "lang": "ja", "answers": ["Bohemia", "Bohemia"], "split": "dev"},
        {"id": "q2", "question": "есть ли море?", "lang": "ru", "answers": ["no"]},
        {"id": "q3", "question": "জার্মানি?", "lang": "bn", "answers": ["bohemia"]},
        {"id": "q4", "question": "문?", "lang": "ko", "answers": []},
        {"id": "q5", "question": "joki?", "lang": "fi", "answers": ["The Elbe", "rises in Bohemia."]},
    ]
    write_lines(tmp_path / "xor" / "xor_dev_retrieve_eng_span_v1_1.jsonl", questions)
    write_lines(tmp_path / "xor" / "xor_train_retrieve_eng_span.jsonl", [{**questions[0], "id": "t"}])
    xor = load(tmp_path / "xor")
    assert {text.id: text.metadata["answers"] for text in xor.queries} == {
        "q1": ("Bohemia",),
        "q3": ("bohemia",),
        "q5": ("The Elbe", "rises in Bohemia."),
    }
    assert xor.qrels == {"q1": {"1": 1, "2": 1}, "q3": {}, "q5": {"1": 1}}
    assert [text.title for text in xor.passages] == ["Elbe", "Bohemia"]
    assert "1 questions are left out: yes or no" in xor.notes
    assert xor.pair("ja", "en").qrels == {"q1": {"1": 1, "2": 1}}
    assert xor.select(query_languages=["bn"]).qrels == {"q3": {}}
    assert [text.id for text in load(tmp_path / "xor", split="train").queries] == ["t"]
    with pytest.raises(FileError, match="no questions of the split 'test'"):
        load(tmp_path / "xor", split="test")


def test_mkqa(tmp_path):
    (tmp_path / "mkqa").mkdir()
    answers = {
        "en": [{"type": "entity", "text": "Czechia", "aliases": ["Bohemia"]}],
        "de": [{"type": "entity", "text": "Tschechien", "aliases": []}],
    }
    asked = {"de": "Wo entspringt die Elbe?", "zh_hk": "易北河?", "zh_tw": "易北河?", "no": "Hvor?"}
    lines = [
        {"example_id": 7, "query": "where", "queries": asked, "answers": answers},
        {
            "example_id": 8,
            "query": "sea",
            "queries": {"de": "?"},
            "answers": {"en": [{"type": "binary", "text": "no"}]},
        },
        {
            "example_id": 9,
            "query": "why",
            "queries": {"de": "?"},
            "answers": {"en": [{"type": "long_answer", "text": "x"}]},
        },
    ]
    with gzip.open(tmp_path / "mkqa" / "mkqa.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)
    write_lines(tmp_path / "mkqa" / "psgs_w100.tsv", WIKIPEDIA)
    mkqa = load(tmp_path / "mkqa")
    assert [(text.id, text.language) for text in mkqa.queries] == [
        ("7.de", "de"),
        ("7.zh_hk", "zh-hant"),
        ("7.zh_tw", "zh-hant"),
        ("7.no", "nb"),
    ]
    assert mkqa.qrels["7.de"] == {"1": 1, "2": 1}
    assert (mkqa.queries[0].metadata["answers"], mkqa.licence) == (("Czechia", "Bohemia"), "CC BY-SA 3.0")


def test_faults_of_questions_and_passages_come_together(tmp_path):
    write_lines(tmp_path / "psgs_w100.tsv", [*WIKIPEDIA, "3\tonly two"])
    write_lines(
        tmp_path / "xor_dev_full.jsonl", [{"id": "a", "question": "?", "lang": "qqq", "answers": "x"}, {"id": "b"}]
    )
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert [fault.where.rpartition("/")[2] for fault in caught.value.faults] == [
        "xor_dev_full.jsonl:1",
        "xor_dev_full.jsonl:2",
        "xor_dev_full.jsonl:2",
        "psgs_w100.tsv:4",
    ]


def neuclir(folder):
    write_lines(
        folder / "docs" / "zho.jsonl", [{"id": "z1", "title": "河", "text": "易北河"}, {"id": "z2", "text": "海"}]
    )
    write_lines(folder / "docs" / "fas.jsonl", [{"id": "f1", "title": "", "text": "رود"}])
    versions = [
        {"lang": "eng", "source": "original", "topic_title": "Elbe", "topic_description": "Where is it?"},
        {"lang": "zho", "source": "google translation", "topic_title": "machine", "topic_description": ""},
        {"lang": "zho", "source": "human translation", "topic_title": "易北河", "topic_description": "在哪里"},
        {"lang": "fas", "source": "google translation", "topic_title": "machine", "topic_description": ""},
    ]
    write_lines(folder / "neuclir-2023-topics.jsonl", [{"topic_id": "200", "topics": versions}])
    write_lines(folder / "neuclir-2022-qrels.zho", ["200 0 z1 3", "200 0 z2 0"])
    write_lines(folder / "neuclir-2022-qrels.fas", ["200 0 f1 1"])
    return folder


def test_neuclir(tmp_path):
    found = load(neuclir(tmp_path / "neuclir"))
    assert [(text.id, text.text, text.language) for text in found.queries] == [
        ("200.en", "Elbe Where is it?", "en"),
        ("200.zh", "易北河 在哪里", "zh"),
    ]
    assert found.qrels["200.en"] == {"f1": 1, "z1": 3, "z2": 0}
    assert found.mixed_pool().qrels["200.zh"] == {"f1": 1, "z1": 3, "z2": 0}
    assert found.pair("en", "fa").qrels == {"200.en": {"f1": 1}}
    assert found.passages[1].title == "河"


DOCUMENTS = {"zho": [{"id": "z1", "title": "河", "text": "易北河"}], "fas": [{"id": "f1", "title": "", "text": "رود"}]}
OF_ALL = ["200 0 z1 3", "200 0 f1 1"]
LAYOUTS = {
    "2022": {
        "topics.0720.utf8.jsonl": None,
        "2022-qrels.zho": OF_ALL[:1],
        "2022-qrels.fas": OF_ALL[1:],
        "2022-qrels.all": OF_ALL,
        "data/zho-00000-of-00001.jsonl.gz": "zho",
        "data/fas-00000-of-00001.jsonl.gz": "fas",
    },
    "2022, all languages in one": {
        "topics.0720.utf8.jsonl": None,
        "2022-qrels.all": OF_ALL,
        "zho/docs.jsonl": "zho",
        "fas/docs.jsonl": "fas",
    },
    "2023": {
        "neuclir-2023-topics.0605.jsonl": None,
        "qrels.final.gains": OF_ALL,
        "qrels.final.gains.zho": OF_ALL[:1],
        "qrels.final.gains.fas": OF_ALL[1:],
        "qrels.final.gains.rus": ["200 0 r1 1"],
        "data/zho/docs.jsonl": "zho",
        "data/fas/docs.jsonl": "fas",
    },
    "HC4": {
        "test.topics.v1-0.jsonl": None,
        "zho/test.qrels.v1-0.txt": OF_ALL[:1],
        "fas/test.qrels.v1-0.txt": OF_ALL[1:],
        "zho/hc4_docs.jsonl": "zho",
        "fas/hc4_docs.jsonl": "fas",
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_neuclir_as_it_is_distributed(tmp_path, layout):
    english = {"lang": "eng", "source": "original", "topic_title": "Elbe", "topic_description": "Where is it?"}
    topic = {"topic_id": "200", "languages_with_qrels": ["fas", "zho"], "topics": [english]}
    for name, content in LAYOUTS[layout].items():
        lines = [topic] if content is None else DOCUMENTS[content] if isinstance(content, str) else content
        written = write_lines(tmp_path / "neuclir" / name, lines)
        if name.endswith(".gz"):
            written.write_bytes(gzip.compress(written.read_bytes()))
    found = load(tmp_path / "neuclir")
    assert (found.name, found.licence) == ("neuclir", "ODC-By 1.0")
    assert found.qrels == {"200.en": {"f1": 1, "z1": 3}}
    assert found.passage_languages == ("fa", "zh")


def test_neuclir_judgements_must_fit(tmp_path):
    write_lines(neuclir(tmp_path) / "neuclir-2022-qrels.fas", ["200 0 lost 1", "201 0 f1 1"])
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert [fault.message for fault in caught.value.faults] == [
        "passage 'lost' is not in the corpus",
        "passage 'lost' is not in the corpus",
        "topics that are in no topic file: 201",
    ]


def test_flores_and_ntrex(tmp_path):
    for split, lines in (("dev", ["a", "b"]), ("devtest", ["c", "d", "e"])):
        for language in ("deu_Latn", "eng_Latn", "zho_Hant"):
            write_lines(tmp_path / "flores" / split / f"{language}.{split}", [f"{line} {language}" for line in lines])
    flores = load(tmp_path / "flores")
    assert (flores.query_languages, len(flores.passages)) == (("de", "en", "zh-hant"), 9)
    assert flores.pair("zh-hant", "de").qrels["flores-0002.zh-hant"] == {"flores-0002.de": 1}
    assert len(load(tmp_path / "flores", split="dev").queries) == 6
    for name in ("newstest2019-src.eng.txt", "newstest2019-ref.deu.txt", "newstest2019-ref.srp-Latn.txt"):
        write_lines(tmp_path / "ntrex" / "NTREX-128" / name, ["one", "two"])
    assert load(tmp_path / "ntrex").passage_languages == ("de", "en", "sr-latn")


def test_tatoeba_of_laser_goes_both_ways(tmp_path):
    for pair, size in (("deu", 2), ("tur", 3)):
        for language in (pair, "eng"):
            write_lines(tmp_path / f"tatoeba.{pair}-eng.{language}", [f"{n} {pair} {language}" for n in range(size)])
    tatoeba = load(tmp_path)
    assert tatoeba.pair("de", "en").qrels == {"deu-0000.de": {"deu-0000.en": 1}, "deu-0001.de": {"deu-0001.en": 1}}
    from_english = tatoeba.pair("en", "tr")
    assert [text.id for text in from_english.queries] == ["tur-0000.en", "tur-0001.en", "tur-0002.en"]
    assert {text.pool for text in from_english.passages} == {"tur"}


def test_a_shifted_file_is_refused(tmp_path):
    write_lines(tmp_path / "deu_Latn.devtest", ["a", "", "c"])
    write_lines(tmp_path / "eng_Latn.devtest", ["a", "b", "c"])
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert f"{tmp_path / 'deu_Latn.devtest'}:2  the line is empty" in str(caught.value)
    assert "differ in their number of lines: de 2, en 3" in str(caught.value)


def test_a_stored_bitext_both_ways(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOGLOSS_DATA", str(tmp_path))
    stored = [("sw", n) for n in range(3)] + [("de", n) for n in range(2)]
    corpus = [{"_id": f"{x}-{n}.en", "text": f"{x} {n}", "lang": "en", "pair": x} for x, n in stored]
    write_lines(tmp_path / "tatoeba" / "corpus.jsonl", corpus)
    queries = [{"_id": f"{x}-{n}.{x}", "text": f"{n}", "lang": x} for x, n in stored]
    write_lines(tmp_path / "tatoeba" / "queries.jsonl", queries)
    judged = [f"{x}-{n}.{x}\t{x}-{n}.en\t1" for x, n in stored]
    write_lines(tmp_path / "tatoeba" / "qrels" / "test.tsv", ["query-id\tcorpus-id\tscore", *judged])
    both = load("tatoeba-both-ways")
    back = both.pair("en", "sw")
    assert back.qrels == {f"sw-{n}.en": {f"sw-{n}.sw": 1} for n in range(3)}
    assert (both.licence, {text.pool for text in back.queries}) == ("CC BY 2.0 FR", {"sw"})
    assert both.pair("sw", "en").qrels == load("tatoeba").pair("sw", "en").qrels
