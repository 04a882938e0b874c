"""Each public layout leads to the same kind of set.

1. XQuAD: paragraphs with the same questions are translations; MLQA: only its own pairs are relevant.
2. Belebele: a link is a passage in all languages.
3. MIRACL and Mr. TyDi: one language keeps its ids, several get endings, none are translations.
4. A multi-way file: a sentence's translation is its answer.
5. Faults of all files come together.
"""

from __future__ import annotations

import json

import pytest

from isogloss.datasets import load
from isogloss.errors import DataError, FileError

from .conftest import write_lines


def squad(path, *paragraphs):
    entries = [{"context": c, "qas": [{"id": i, "question": q} for i, q in questions]} for c, questions in paragraphs]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": "1.1", "data": [{"title": "T", "paragraphs": entries}]}))


def test_xquad(tmp_path):
    for language in ("de", "zh"):
        squad(
            tmp_path / "xquad" / f"xquad.{language}.json",
            (f"first {language}", [("a", f"A {language}"), ("b", f"B {language}")]),
            (f"second {language}", [("c", f"C {language}")]),
        )
    xquad = load(tmp_path / "xquad")
    assert (len(xquad.queries), len(xquad.passages), xquad.licence) == (6, 4, "CC BY-SA 4.0")
    assert xquad.qrels["c.zh"] == {"para001.zh": 1}
    assert xquad.pair("de", "zh").qrels == {
        "a.de": {"para000.zh": 1},
        "b.de": {"para000.zh": 1},
        "c.de": {"para001.zh": 1},
    }
    assert load(tmp_path / "xquad" / "xquad.de.json").query_languages == ("de",)


def test_mlqa(tmp_path):
    for context in ("de", "en"):
        for question in ("de", "en"):
            name = f"test-context-{context}-question-{question}.json"
            squad(tmp_path / "mlqa" / name, (f"context {context}", [("a", f"A {question}")]))
    squad(tmp_path / "mlqa" / "dev-context-de-question-de.json", ("dev", [("z", "Z")]))
    mlqa = load(tmp_path / "mlqa")
    assert [text.language for text in mlqa.passages] == ["de", "en"]
    assert mlqa.qrels == {"a.de": {"para000.de": 1, "para001.en": 1}, "a.en": {"para000.de": 1, "para001.en": 1}}
    assert mlqa.pair("de", "en").qrels == {"a.de": {"para001.en": 1}}
    assert len(load(tmp_path / "mlqa", split="dev").queries) == 1
    with pytest.raises(FileError, match="no split 'train'"):
        load(tmp_path / "mlqa", split="train")


def test_faults_of_all_squad_files_come_together(tmp_path):
    squad(tmp_path / "xquad.de.json", ("", [("a", "A")]), ("x", [("b", "")]))
    (tmp_path / "xquad.en.json").write_text('{"data": [{"paragraphs": [{"context": "x", "qas": [{"id": "a"}]}, 3]}]}')
    (tmp_path / "xquad.ru.json").write_text("{")
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    text = str(caught.value)
    assert "5 problems" in text
    assert f"{tmp_path / 'xquad.en.json'} data[0] paragraphs[0] qas[0]  'question' is missing" in text
    assert f"{tmp_path / 'xquad.ru.json'}:1  broken JSON" in text


def test_belebele(tmp_path):
    for dialect in ("deu_Latn", "zho_Hant"):
        rows = [
            {
                "link": link,
                "question_number": n,
                "flores_passage": f"{link} {dialect}",
                "question": f"{n}?",
                "dialect": dialect,
            }
            for link, n in (("u1", 1), ("u1", 2), ("u2", 1))
        ]
        write_lines(tmp_path / "belebele" / "data" / f"{dialect}.jsonl", rows)
    belebele = load(tmp_path / "belebele")
    assert (len(belebele.queries), len(belebele.passages)) == (6, 4)
    assert belebele.passage_languages == ("de", "zh-hant")
    assert belebele.pair("zh-hant", "de").qrels["passage000-q2.zh-hant"] == {"passage000.de": 1}


def test_belebele_faults(tmp_path):
    row = {"link": "u", "question_number": 1, "flores_passage": "p", "question": "q", "dialect": "deu_Latn"}
    broken = [row, row, {**row, "question_number": 2, "flores_passage": "other"}, {**row, "dialect": "qqq"}, {}]
    path = write_lines(tmp_path / "deu_Latn.jsonl", broken)
    with pytest.raises(DataError) as caught:
        load(path)
    assert {fault.where for fault in caught.value.faults} == {f"{path}:{line}" for line in (2, 3, 4, 5)}


def miracl(root, language, corpus=True):
    folder = root / f"miracl-v1.0-{language}"
    write_lines(folder / "topics" / f"topics.miracl-v1.0-{language}-dev.tsv", [f"1\tWas in {language}?"])
    write_lines(folder / "qrels" / f"qrels.miracl-v1.0-{language}-dev.tsv", ["1\tQ0\t5#0\t1", "1\tQ0\t5#1\t0"])
    write_lines(folder / "topics" / f"topics.miracl-v1.0-{language}-test-a.tsv", ["9\tunjudged"])
    if corpus:
        passages = [{"docid": f"5#{n}", "title": f"T {language}", "text": f"passage {n}"} for n in (0, 1)]
        write_lines(root / f"miracl-corpus-v1.0-{language}" / "docs-0.jsonl", passages)


def test_miracl(tmp_path):
    for language in ("sw", "zh"):
        miracl(tmp_path, language)
    both = load(tmp_path)
    assert both.qrels == {f"1.{lang}": {f"5#0.{lang}": 1, f"5#1.{lang}": 0} for lang in ("sw", "zh")}
    assert {text.parallel_id for text in both.passages} == {None}
    one = load(tmp_path / "miracl-v1.0-sw")
    assert one.qrels == {"1": {"5#0": 1, "5#1": 0}}
    assert (one.name, one.passages[0].title, one.passages[0].language) == ("miracl-sw", "T sw", "sw")
    with pytest.raises(FileError, match="test-a"):
        load(tmp_path, split="test-a")


def test_miracl_without_its_corpus(tmp_path):
    miracl(tmp_path, "sw", corpus=False)
    with pytest.raises(FileError, match="no corpus for: sw"):
        load(tmp_path)


def test_miracl_faults(tmp_path):
    miracl(tmp_path, "sw")
    topics = tmp_path / "miracl-v1.0-sw" / "topics" / "topics.miracl-v1.0-sw-dev.tsv"
    topics.write_text("1\tWas?\n2 no tab\n1\tagain\n3\t\n")
    qrels = tmp_path / "miracl-v1.0-sw" / "qrels" / "qrels.miracl-v1.0-sw-dev.tsv"
    qrels.write_text("1\tQ0\t6#0\t1\n")
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert [fault.where for fault in caught.value.faults] == [*(f"{topics}:{n}" for n in (2, 3, 4)), f"{qrels}:1"]


def test_mrtydi(tmp_path):
    folder = tmp_path / "mrtydi-v1.1-swahili"
    write_lines(folder / "topic.test.tsv", ["0\tNani?"])
    write_lines(folder / "topic.dev.tsv", ["1\tNini?"])
    for split, query in (("test", 0), ("dev", 1)):
        write_lines(folder / f"qrels.{split}.txt", [f"{query} Q0 7#1 1"])
    corpus = [{"id": "7#1", "contents": "Title\n\nText one.\n\nText two."}, {"id": "7#2", "contents": "No title"}]
    write_lines(folder / "collection" / "docs.jsonl", corpus)
    loaded = load(tmp_path)
    assert loaded.qrels == {"0": {"7#1": 1}}
    assert (loaded.name, loaded.query_languages) == ("mrtydi-sw", ("sw",))
    assert (loaded.passages[0].title, loaded.passages[0].text) == ("Title", "Text one.\n\nText two.")
    assert (loaded.passages[1].title, loaded.passages[1].text) == ("", "No title")
    assert load(folder, split="dev").queries[0].id == "1"


def test_a_multiway_file_is_a_set(tmp_path):
    lines = [
        {"_id": "s1", "_topic": "x", "en": "one", "deu": "eins", "id": "satu"},
        {"_id": "s2", "en": "two", "id": "dua"},
    ]
    path = write_lines(tmp_path / "tiny.jsonl", lines)
    whole = load(path)
    assert whole.pair("en", "id").qrels == {"s1.en": {"s1.id": 1}, "s2.en": {"s2.id": 1}}
    some = load(path, query_languages=["de"], passage_languages=["en", "id"])
    assert some.qrels == {"s1.de": {"s1.en": 1, "s1.id": 1}}
    assert len(some.passages) == 4
