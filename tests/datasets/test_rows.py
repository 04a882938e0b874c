"""Training rows in four forms become one record.

1. Ours, sentence-transformers, FlagEmbedding and Tevatron lines give the same fields.
2. Several positives give a row each, with ids of their own.
3. A negative's title stands before its text; the positive's own title is kept apart.
4. All broken lines are told at once.
5. A row that we write is read as it was.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from isogloss.datasets import read_rows, row_record
from isogloss.errors import DataError, FileError
from isogloss.records import GeneratedQuery, Row

from .conftest import write_lines


def read_one(tmp_path, record, **options):
    rows = read_rows(write_lines(tmp_path / "mine.jsonl", [record]), **options)
    assert len(rows) == 1
    return rows[0]


def test_our_form(tmp_path):
    record = {"query": "q", "positive": "p", "lang": "swh_Latn", "positive_lang": "eng", "title": "T"}
    row = read_one(tmp_path, record)
    assert (row.query, row.passage, row.title, row.query_language, row.passage_language) == ("q", "p", "T", "sw", "en")
    assert (row.row_id, row.source, row.task_type) == ("mine:1", "mine", "question")


def test_all_fields_of_our_form(tmp_path):
    record = {
        "row_id": "r",
        "query": "q",
        "query_language": "en",
        "passage": "p",
        "passage_id": "d",
        "passage_language": "de",
        "negative_passages": ["n1", "n2"],
        "negative_passage_ids": ["i1", "i2"],
        "translated_query": "Q",
        "translated_query_language": "ger",
        "negative_queries": ["x"],
        "source": "s",
        "task_type": "fact",
    }
    row = read_one(tmp_path, record)
    assert (row.row_id, row.passage_id, row.negative_passages, row.negative_passage_ids) == (
        "r",
        "d",
        ("n1", "n2"),
        ("i1", "i2"),
    )
    assert (row.translated_query, row.translated_query_language, row.negative_queries) == ("Q", "de", ("x",))
    assert (row.source, row.task_type, row.passage_language) == ("s", "fact", "de")


def test_a_language_can_be_given_for_all(tmp_path):
    row = read_one(tmp_path, {"query": "q", "positive": "p"}, language="eng", passage_language="deu", source="s")
    assert (row.query_language, row.passage_language, row.source) == ("en", "de", "s")
    assert read_one(tmp_path, {"query": "q", "positive": "p"}).query_language is None


def test_sentence_transformers(tmp_path):
    negatives = {f"negative_{number}": f"n{number}" for number in (10, 2, 1)}
    row = read_one(tmp_path, {"anchor": "q", "positive": "p", **negatives})
    assert (row.query, row.passage, row.negative_passages) == ("q", "p", ("n1", "n2", "n10"))
    assert read_one(tmp_path, {"anchor": "q", "positive": "p", "negative": "n"}).negative_passages == ("n",)


def test_flag_embedding_gives_a_row_per_positive(tmp_path):
    path = write_lines(tmp_path / "fe.jsonl", [{"query": "q", "pos": ["p1", "p2"], "neg": ["n"], "prompt": "ignored"}])
    rows = read_rows(path)
    assert [(row.row_id, row.passage, row.negative_passages) for row in rows] == [
        ("fe:1#0", "p1", ("n",)),
        ("fe:1#1", "p2", ("n",)),
    ]


def test_tevatron(tmp_path):
    row = read_one(
        tmp_path,
        {
            "query_id": "7",
            "query": "q",
            "positive_passages": [{"docid": "d", "title": "T", "text": "p"}],
            "negative_passages": [{"docid": "e", "title": "N", "text": "n"}, {"docid": "f", "text": "m"}],
        },
    )
    assert (row.row_id, row.passage_id, row.title, row.passage) == ("7", "d", "T", "p")
    assert (row.negative_passages, row.negative_passage_ids) == (("N n", "m"), ("e", "f"))


def test_all_broken_rows_are_told_at_once(tmp_path):
    broken = [
        {"query": "fine", "positive": "fine"},
        '{"query": ',
        {"query": "q"},
        {"query": " ", "positive": "p"},
        {"query": "q", "positive": ""},
        {"query": "q", "positive": 1.5},
        {"query": "q", "pos": "p"},
        {"query": "q", "pos": []},
        {"query": "q", "pos": ["p"], "neg": [3]},
        {"query": "q", "positive": "p", "lang": "xx"},
        {"query": "q", "positive": "p", "negative_passages": ["a"], "negative_passage_ids": ["1", "2"]},
        {"query": "q", "positive_passages": ["p"]},
        {"positive": "p"},
        {"query": "q", "positive": "p", "negative_1": ""},
    ]
    path = write_lines(tmp_path / "rows.jsonl", broken)
    with pytest.raises(DataError) as caught:
        read_rows(path)
    places = {fault.where.split(" ")[0] for fault in caught.value.faults}
    assert places == {f"{path}:{line}" for line in range(2, 15)}


def test_an_empty_or_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no rows"):
        read_rows(write_lines(tmp_path / "rows.jsonl", []))
    with pytest.raises(FileError):
        read_rows(tmp_path / "nothing.jsonl")
    with pytest.raises(DataError, match="'klingonese'"):
        read_rows(write_lines(tmp_path / "r.jsonl", [{"query": "q", "positive": "p"}]), language="klingonese")


def test_shared_rows_all_load(shared_data):
    rows = read_rows(shared_data / "train" / "xx-afriqa.jsonl.gz")
    assert len(rows) == 3028
    assert {row.passage_language for row in rows} == {"en", "fr"}
    assert len({row.row_id for row in rows}) == len(rows)


def test_a_written_row_is_read_as_it_was(tmp_path):
    row = Row(
        query="Wer zählt?",
        passage="Der Wärter.",
        query_language="de",
        passage_language="de",
        row_id="r1",
        passage_id="p1",
        title="Turm",
        negative_passages=("Brot.", "Meer."),
        negative_passage_ids=("p2", "p3"),
        translated_query="Who counts?",
        translated_query_language="en",
        negative_queries=("Where?",),
        source="made",
        task_type="keyword",
        answers=("Wärter",),
    )
    assert read_one(tmp_path, row_record(row)) == row


@pytest.mark.parametrize(
    ("written", "read"),
    [("a", ("a",)), (["a", " "], ("a",)), ({"text": ["a"], "answer_start": [0]}, ("a",)), (None, ()), (3, ())],
)
def test_answers_come_in_three_forms(tmp_path, written, read):
    assert read_one(tmp_path, {"query": "q", "positive": "p", "answers": written}).answers == read


def test_scores_and_generated_queries_are_written_and_read(tmp_path):
    queries = (GeneratedQuery("¿Quién cuenta?", "es", 0.5, {"seed": 13}), GeneratedQuery("Qui compte ?", "fr"))
    row = Row("Wer zählt?", "Der Wärter.", "de", "de", row_id="r1", negative_passages=("Brot.",), source="made")
    row = replace(row, teacher_scores=(-0.5, -2.25), generated_queries=queries)
    assert read_one(tmp_path, row_record(row)) == row


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"teacher_scores": [-1.0]}, "1 teacher_scores for 1 passages and 1 negatives"),
        ({"teacher_scores": [-1.0, "low"]}, "finite numbers"),
        ({"generated_queries": [{"text": "Qui ?"}]}, "no language"),
        ({"generated_queries": [{"text": "Qui ?", "language": "fr", "weight": 2}]}, "weight"),
    ],
)
def test_faulty_scores_and_generated_queries_are_told(tmp_path, fields, message):
    with pytest.raises(DataError, match=message):
        read_one(tmp_path, {"query": "q", "positive": "p", "negative_passages": ["n"], **fields})
