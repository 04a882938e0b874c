"""Translation pairs come from two-column and from multi-way files.

1. Languages of columns come from the file's name or the caller; Indonesian (`id`) is a language, `_id` is not.
2. A multi-way line gives the chosen pairs that it has.
3. Broken lines are told at once; a language that a file has not is named.
"""

from __future__ import annotations

import gzip

import pytest

from isogloss.datasets import read_parallel
from isogloss.errors import DataError, UnknownLanguageError, UsageError

from .conftest import write_lines


def test_two_columns(tmp_path):
    path = tmp_path / "tatoeba" / "en-deu.tsv.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress("Hi.\tHallo!\nBye.\tTschüss!\n".encode()))
    rows = read_parallel(path)
    assert [(row.parallel_source, row.parallel_target, row.source_language, row.target_language) for row in rows] == [
        ("Hi.", "Hallo!", "en", "de"),
        ("Bye.", "Tschüss!", "en", "de"),
    ]
    assert (rows[1].pair_id, rows[1].source) == ("tatoeba/en-deu:2", "tatoeba/en-deu")


def test_the_caller_names_the_columns(tmp_path):
    path = write_lines(tmp_path / "pairs.tsv", ["a\tb"])
    assert read_parallel(path, pairs=[("eng_Latn", "zh-TW")])[0].target_language == "zh-hant"
    with pytest.raises(UsageError, match="does not say which languages"):
        read_parallel(path)
    with pytest.raises(UsageError, match="one pair"):
        read_parallel(path, pairs=[("en", "de"), ("en", "fr")])
    with pytest.raises(UnknownLanguageError):
        read_parallel(path, pairs=[("en", "xx")])


def test_broken_columns_are_told_at_once(tmp_path):
    path = write_lines(tmp_path / "en-de.tsv", ["a\tb", "no tab", "a\tb\tc", "a\t ", "c\td"])
    with pytest.raises(DataError) as caught:
        read_parallel(path)
    assert [fault.where for fault in caught.value.faults] == [f"{path}:{line}" for line in (2, 3, 4)]


def test_multiway(tmp_path):
    lines = [
        {"_id": "a", "en": "one", "id": "satu", "de": "eins", "_also": {"de": ["einer"]}},
        {"_id": "b", "en": "two", "id": "dua"},
        {"_id": "c", "id": "tiga", "de": "drei"},
    ]
    path = write_lines(tmp_path / "m.jsonl", lines)
    rows = read_parallel(path, pairs=[("en", "id"), ("deu", "id")])
    assert [(row.pair_id, row.parallel_source, row.parallel_target) for row in rows] == [
        ("a.en-id", "one", "satu"),
        ("a.de-id", "eins", "satu"),
        ("b.en-id", "two", "dua"),
        ("c.de-id", "drei", "tiga"),
    ]
    assert [row.pair_id for row in read_parallel(path)] == ["a.en-id", "a.en-de", "b.en-id"]
    with pytest.raises(DataError, match="nothing in: sw"):
        read_parallel(path, pairs=[("en", "sw")])


def test_broken_multiway_lines_are_told_at_once(tmp_path):
    broken = [
        {"_id": "a", "en": "x"},
        {"_id": "a", "en": "y"},
        {"_id": "b", "en": ""},
        {"_id": "c", "qq": "x"},
        "{",
        {"en": 1},
    ]
    path = write_lines(tmp_path / "m.jsonl", broken)
    with pytest.raises(DataError) as caught:
        read_parallel(path)
    assert sorted(fault.where for fault in caught.value.faults) == [f"{path}:{line}" for line in (2, 3, 4, 5, 6)]


def test_shared_files_load(shared_data):
    assert len(read_parallel(shared_data / "parallel" / "afriqa-questions" / "en-sw.tsv.gz")) > 300
    rows = read_parallel(shared_data / "parallel" / "tico19.jsonl.gz", pairs=[("en", "hi"), ("en", "id")])
    assert 2 * 3000 < len(rows) <= 2 * 3069
