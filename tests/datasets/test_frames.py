"""A table in memory is read as the file with the same records: same rows, same set, same faults.

1. pandas, Hugging Face data sets and lists of objects; NaN and None are absent keys.
2. Faults name the row.
3. From the hub only files of the languages asked for are fetched, and those that name none.
"""

from __future__ import annotations

import pytest

from isogloss.datasets import load, read_parallel, read_rows
from isogloss.errors import DataError, UsageError

from .conftest import write_lines

ROWS = [
    {"anchor": "river?", "positive": "The Elbe.", "lang": "en", "negative_1": "Bread."},
    {"anchor": "Fluss?", "positive": "Die Elbe.", "lang": "de", "negative_1": None},
]


def tables(kind, rows):
    if kind == "list":
        return rows
    if kind == "pandas":
        return pytest.importorskip("pandas").DataFrame(rows)
    return pytest.importorskip("datasets").Dataset.from_list(rows)


@pytest.mark.parametrize("kind", ["list", "pandas", "datasets"])
def test_tables_are_read_as_files(kind, tmp_path):
    write_lines(tmp_path / "table.jsonl", [{k: v for k, v in row.items() if v is not None} for row in ROWS])
    assert read_rows(tables(kind, ROWS)) == read_rows(tmp_path / "table.jsonl")
    assert [row.negative_passages for row in read_rows(tables(kind, ROWS))] == [("Bread.",), ()]
    pairs = [{"en": "sea", "de": "Meer", "_id": "1"}, {"en": "bread", "de": "Brot", "_id": "2"}]
    found = read_parallel(tables(kind, pairs), pairs=[("en", "de")], source="words")
    assert [(row.parallel_target, row.source) for row in found] == [("Meer", "words"), ("Brot", "words")]


@pytest.mark.parametrize("kind", ["list", "pandas", "datasets"])
def test_three_tables_are_a_set(kind):
    corpus = [
        {"_id": 1, "title": None, "text": "Elbe", "lang": "de"},
        {"_id": 2, "title": "T", "text": "x", "lang": "en"},
    ]
    queries = [{"_id": "q", "text": "?", "lang": "en"}]
    qrels = [{"query-id": "q", "corpus-id": 1, "score": 2}]
    given = {"corpus": corpus, "queries": queries, "qrels": qrels}
    found = load({name: tables(kind, rows) for name, rows in given.items()}, query_languages=["en"])
    assert (found.qrels, [text.title for text in found.passages]) == ({"q": {"1": 2}}, ["", "T"])


def test_faults_name_the_row():
    with pytest.raises(DataError, match=r"table.jsonl:2  .*'anchor' is missing"):
        read_rows([ROWS[0], {"positive": "x", "negative_1": "y", "anchor": None, "query": None, "pos": None}])
    with pytest.raises(DataError, match="qrels row 1 lacks score"):
        load({"corpus": ROWS, "queries": ROWS, "qrels": [{"query-id": "q", "corpus-id": "1"}]})
    with pytest.raises((UsageError, DataError)):
        read_rows(pytest.importorskip("pandas").DataFrame({0: [object()]}))


def test_only_the_languages_asked_for_are_fetched(hub, beir):
    import sys

    hub.folders["me/rivers"] = beir
    names = ["README.md", "de-corpus/a.parquet", "en-corpus/a.parquet", "th.de/a.parquet", "meta.json", "sw/a.parquet"]
    sys.modules["huggingface_hub"].list_repo_files = lambda *given, **named: names
    load("me/rivers", query_languages=["de"], passage_languages=["de", "th"])
    load("me/rivers")
    assert hub.asked[0][3] == ["de-corpus/a.parquet", "th.de/a.parquet", "meta.json"]
    assert "*.parquet" in hub.asked[1][3]
