"""Scores by query are kept beside the runs: comparing reads no run again, and a stale value is never used.

1. Where nothing changed, no run is read, and the comparison is the one over runs in memory.
2. A changed run, changed judgements, a new measure or a damaged file are scored anew.
"""

from __future__ import annotations

import gzip
import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from isogloss.evaluation import compare, evaluate
from isogloss.files import read_run, write_run
from tests.evaluation.stand_ins import HashingRetriever, parallel_set

SET = parallel_set(("de", "en"))
PAIRS = ("de-de", "en-en")


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    for name, blind in (("a", False), ("b", True)):
        evaluate(HashingRetriever(blind=blind), SET, pairs=PAIRS, out=tmp_path / name, name=name, resamples=10)
    return tmp_path / "a", tmp_path / "b"


def scores(found) -> dict:
    return {(str(row.pair), row.measure): (row.before, row.after, row.p) for row in found.differences}


def in_memory(sides: tuple[Path, Path], eval_set=SET) -> dict:
    runs = [{pair: read_run(folder / "runs" / f"{pair}.trec.gz") for pair in PAIRS} for folder in sides]
    return scores(compare(*runs, eval_set, pairs=PAIRS))


def test_no_run_is_read_again(sides, monkeypatch):
    expected = in_memory(sides)
    module = importlib.import_module("isogloss.evaluation.compare")
    monkeypatch.setattr(module, "read_run", lambda file: pytest.fail(f"read {file}"))
    assert scores(compare(*sides, SET)) == expected


def test_a_changed_run_is_scored_anew(sides):
    file = sides[0] / "runs" / "de-de.trec.gz"
    write_run(file, {query: {name: -score for name, score in row.items()} for query, row in read_run(file).items()})
    assert scores(compare(*sides, SET)) == in_memory(sides)


def test_changed_judgements_are_scored_anew(sides):
    other = {query: {sorted(grades)[0]: 1, "p9.de": 2, "p9.en": 2} for query, grades in SET.qrels.items()}
    changed = replace(SET, qrels=other)
    assert scores(compare(*sides, changed)) == in_memory(sides, changed) != in_memory(sides)


def test_another_measure_or_a_damaged_file_is_scored_anew(sides):
    assert {row.measure for row in compare(*sides, SET, measures="RR@3").differences} == {"RR@3"}
    expected = in_memory(sides)
    files = sorted((sides[0] / "per-query").iterdir())
    files[0].write_bytes(b"no gzip")
    with gzip.open(files[1], "wt", encoding="utf-8") as stream:
        json.dump({"key": 1, "values": [], "unanswered": []}, stream)
    assert scores(compare(*sides, SET)) == expected
