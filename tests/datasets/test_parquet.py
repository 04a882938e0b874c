"""Parquet of the hub's repositories becomes the same set as the JSON that it was made from.

1. XQuAD, MLQA and BEIR's corpus, queries and judgements: the same texts, ids and judgements from either form.
2. Folders for each language: ids get endings, the folder says the language, equal ids are no translations.
3. A row has its number in a fault; all faults of all files come together; a missing column is one fault.
4. A split may be several files, and what is not of the split asked for stays unread.
5. A name on the hub leads to the same set, with the name of the repository; without `pyarrow` the extra is named.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from isogloss.datasets import load, read_corpus
from isogloss.errors import DataError, FileError, MissingExtraError

from .conftest import LANGUAGES, write_lines

SHARD = "-00000-of-00001.parquet"
QRELS = {"query-id": "q", "corpus-id": "p", "score": 1}


@pytest.fixture
def write():
    """Writes records as parquet; what one lacks and another has is null."""
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def write_table(path, records, **settings):
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = {key: [record.get(key) for record in records] for record in records for key in record}
        parquet.write_table(arrow.table(columns), path, **settings)
        return path

    return write_table


def squad(path, paragraphs):
    entries = [{"context": c, "qas": [{"id": i, "question": q} for i, q in questions]} for c, questions in paragraphs]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"data": [{"paragraphs": entries}]}))


def rows(paragraphs):
    answers = {"text": ["x"], "answer_start": [0]}
    return [{"id": i, "context": c, "question": q, "answers": answers} for c, asked in paragraphs for i, q in asked]


def xquad(language):
    return [
        (f"first {language}", [("a", f"A {language}"), ("b", f"B {language}")]),
        (f"second {language}", [("c", f"C {language}")]),
    ]


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def judged(path):
    columns = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    return [{"query-id": query, "corpus-id": passage, "score": float(grade)} for query, passage, grade in columns]


def test_xquad_is_the_same_set(tmp_path, write):
    for language in ("de", "zh"):
        squad(tmp_path / "json" / "xquad" / f"xquad.{language}.json", xquad(language))
        write(tmp_path / "hub" / "xquad" / f"xquad.{language}" / f"validation{SHARD}", rows(xquad(language)))
    loaded = load(tmp_path / "hub" / "xquad")
    assert loaded == load(tmp_path / "json" / "xquad")
    assert loaded.qrels["c.zh"] == {"para001.zh": 1}
    one = tmp_path / "hub" / "xquad" / "xquad.zh"
    assert load(one).query_languages == load(one / f"validation{SHARD}").passage_languages == ("zh",)


@pytest.mark.parametrize("name", ["{}-00000-of-00001.parquet", "{}/0000.parquet"])
def test_mlqa_is_the_same_set(tmp_path, write, name):
    for context in ("de", "en"):
        for question in ("de", "en"):
            paragraphs = [(f"context {context}", [("a", f"A {question}")])]
            squad(tmp_path / "json" / "mlqa" / f"test-context-{context}-question-{question}.json", paragraphs)
            folder = tmp_path / "hub" / "mlqa" / f"mlqa.{context}.{question}"
            write(folder / name.format("test"), rows(paragraphs))
            write(folder / name.format("validation"), rows([(f"dev {context}", [("z", f"Z {question}")])]))
    write(tmp_path / "hub" / "mlqa" / "mlqa-translate-test.de" / name.format("test"), rows([("machine", [("a", "A")])]))
    assert load(tmp_path / "hub" / "mlqa") == load(tmp_path / "json" / "mlqa")
    assert load(tmp_path / "hub" / "mlqa", split="validation").pair("de", "en").qrels == {"z.de": {"para001.en": 1}}
    with pytest.raises(FileError, match="no split 'train'") as caught:
        load(tmp_path / "hub" / "mlqa", split="train")
    assert "test, validation" in caught.value.next_step


@pytest.mark.parametrize("qrels", ["qrels", "default", "data"])
def test_beir_is_the_same_set(beir, tmp_path, write, qrels):
    hub = tmp_path / "hub" / "rivers"
    corpus = lines(beir / "corpus.jsonl")
    corpus[0]["url"] = "https://one.example"
    write_lines(beir / "corpus.jsonl", corpus)
    write(hub / "corpus" / "corpus-00000-of-00002.parquet", corpus[:4])
    write(hub / "corpus" / "corpus-00001-of-00002.parquet", corpus[4:])
    write(hub / "queries" / f"queries{SHARD}", lines(beir / "queries.jsonl"))
    write(hub / qrels / "test-00000-of-00001-0a1b2c.parquet", judged(beir / "qrels" / "test.tsv"))
    assert load(hub) == load(beir)
    assert load(hub, split="test").passages[1].metadata is None
    assert read_corpus(hub) == read_corpus(beir) == read_corpus(beir / "corpus.jsonl")


def test_judgements_as_json_lines(beir):
    loaded = load(beir)
    write_lines(beir / "qrels" / "test.jsonl", judged(beir / "qrels" / "test.tsv"))
    (beir / "qrels" / "test.tsv").unlink()
    assert load(beir) == loaded


@pytest.mark.parametrize("form", ["{}-corpus {}-queries {}-qrels", "corpus-{} queries-{} qrels-{}"])
@pytest.mark.parametrize("ending", [".jsonl", SHARD])
def test_a_folder_for_each_language(tmp_path, write, form, ending):
    save = write_lines if ending == ".jsonl" else write
    for written in ("deu_Latn", "th"):
        corpus, queries, qrels = form.format(*[written] * 3).split()
        for split in ("test", "train"):
            passages = [{"_id": f"{split}{n}", "title": "", "text": f"{written} {n}"} for n in (0, 1)]
            save(tmp_path / corpus / f"{split}{ending}", passages)
        save(tmp_path / queries / f"queries{ending}", [{"id": "q", "text": f"{written}?"}])
        save(tmp_path / qrels / f"test{ending}", [{"query-id": "q", "corpus-id": "test1", "score": 1}])
        save(tmp_path / qrels / f"train{ending}", [{"query-id": "q", "corpus-id": "train0", "score": 1}])
    loaded = load(tmp_path)
    assert loaded.qrels == {"q.de": {"test1.de": 1}, "q.th": {"test1.th": 1}}
    assert [(text.id, text.language, text.parallel_id) for text in loaded.passages] == [
        (f"test{n}.{language}", language, None) for language in ("de", "th") for n in (0, 1)
    ]
    assert load(tmp_path, split="train").pair("th", "th").qrels == {"q.th": {"train0.th": 1}}


def test_one_language_keeps_its_ids_and_says_what_is_missing(tmp_path, write):
    write(tmp_path / "sw-corpus" / f"test{SHARD}", [{"_id": "p", "text": "mto"}])
    write(tmp_path / "sw-qrels" / f"test{SHARD}", [QRELS])
    with pytest.raises(FileError, match="no sw-queries"):
        load(tmp_path)
    write(tmp_path / "sw-queries" / f"test{SHARD}", [{"_id": "q", "text": "mto?"}])
    loaded = load(tmp_path)
    assert (loaded.qrels, loaded.query_languages) == ({"q": {"p": 1}}, ("sw",))


def test_all_faults_come_at_once_with_their_rows(tmp_path, write):
    passages = [
        {"_id": "p", "text": "x", "title": None},
        {"_id": "p", "text": "again"},
        {"_id": None, "text": "no id"},
        {"_id": "e", "text": " "},
        {"_id": "l", "text": "x", "lang": "xx"},
    ]
    corpus = write(tmp_path / "corpus" / f"corpus{SHARD}", passages)
    queries = write(tmp_path / "queries" / f"queries{SHARD}", [{"_id": "q", "text": "x"}, {"_id": "r", "text": ""}])
    grades = [{**QRELS, "score": 0.5}, {**QRELS, "corpus-id": "z"}, {**QRELS, "score": None}, QRELS]
    qrels = write(tmp_path / "qrels" / f"test{SHARD}", grades)
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert sorted(fault.where for fault in caught.value.faults) == sorted(
        [*(f"{corpus}:{row}" for row in (2, 3, 4, 5)), f"{queries}:2", *(f"{qrels}:{row}" for row in (1, 2, 3))]
    )


def test_a_missing_column_is_one_fault(tmp_path, write):
    corpus = write(tmp_path / "corpus" / f"corpus{SHARD}", [{"_id": str(n), "body": "x"} for n in range(50)])
    write(tmp_path / "queries" / f"queries{SHARD}", [{"_id": "q", "text": "x"}])
    qrels = write(tmp_path / "qrels" / f"test{SHARD}", [{"query-id": "q", "score": 1}])
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert [str(fault) for fault in caught.value.faults] == [
        f"{corpus}  the column 'text' is missing (it has: _id, body)",
        f"{qrels}  the column 'corpus-id' is missing (it has: query-id, score)",
    ]
    write(qrels, [QRELS])
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert [fault.where for fault in caught.value.faults] == [str(corpus)]


def test_faults_of_all_squad_tables_come_together(tmp_path, write):
    german = write(
        tmp_path / "x.de" / f"test{SHARD}",
        [{"id": "a", "context": "", "question": "A"}, {"id": "b", "context": "x", "question": None}],
    )
    write(tmp_path / "x.en" / f"test{SHARD}", [{"id": "a", "context": "x", "question": "A"}])
    russian = tmp_path / "x.ru" / f"test{SHARD}"
    russian.parent.mkdir()
    russian.write_bytes(b"PAR1 cut off")
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert [fault.where for fault in caught.value.faults] == [f"{german}:2", f"{german}:1", str(russian)]


def test_rows_are_numbered_across_batches_and_broken_text_is_named(tmp_path, write):
    arrow = pytest.importorskip("pyarrow")
    texts = [b"x"] * 5000
    texts[4500] = texts[4999] = b"\xff\xfe"
    bad = arrow.array(texts, arrow.binary()).view(arrow.string())
    pytest.importorskip("pyarrow.parquet").write_table(
        arrow.table({"_id": [str(n) for n in range(5000)], "text": bad}), tmp_path / "corpus.parquet"
    )
    with pytest.raises(DataError) as caught:
        read_corpus(tmp_path / "corpus.parquet")
    assert [fault.where.rpartition(":")[2] for fault in caught.value.faults] == ["4501", "5000"]


def test_a_hub_name_leads_to_the_same_set(hub, tmp_path, write):
    snapshot = tmp_path / "snapshots" / "51adfef1"
    for language in LANGUAGES:
        write(snapshot / f"xquad.{language}" / f"validation{SHARD}", rows(xquad(language)))
    hub.folders = {"google/xquad": snapshot, "me/rivers": snapshot}
    loaded = load("google/xquad")
    assert (loaded.name, loaded.licence, loaded.query_languages) == ("xquad", "CC BY-SA 4.0", LANGUAGES)
    assert load("xquad") == loaded
    assert load("hf://datasets/me/rivers@v2") == replace(loaded, name="rivers", licence="")
    assert all("*.parquet" in patterns for *_, patterns in hub.asked)


def test_mlqa_is_fetched_without_its_machine_translations(hub, tmp_path, write):
    write(tmp_path / "mlqa.de.en" / "test" / "0000.parquet", rows([("Fluss", [("a", "river?")])]))
    hub.folders["facebook/mlqa"] = tmp_path
    loaded = load("mlqa")
    assert (loaded.passage_languages, loaded.query_languages, loaded.licence) == (("de",), ("en",), "CC BY-SA 3.0")
    assert hub.asked == [("facebook/mlqa", "dataset", "refs/convert/parquet", ["mlqa.*.parquet"])]


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "xquad.de").mkdir()
    (tmp_path / "xquad.de" / f"validation{SHARD}").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"isogloss\[hub\]"):
        load(tmp_path)
