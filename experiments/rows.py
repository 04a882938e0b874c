"""What several experiments make of training rows: parts held out, and evaluation sets of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from isogloss.datasets import load, row_record
from isogloss.datasets.beir_writing import write_beir
from isogloss.files import write_jsonl
from isogloss.records import EvalSet, Row, Text


def held_out(rows: Iterable[Row], share: float) -> tuple[list[Row], list[Row]]:
    """Rows to train on, and rows held out: all rows of a passage go the same way, by the hash of its text."""
    kept: list[Row] = []
    apart: list[Row] = []
    for row in rows:
        (apart if place(row.passage) < share else kept).append(row)
    return kept, apart


def place(text: str) -> float:
    """A number from 0 to 1 that depends on a text alone."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


def set_of_rows(name: str, rows: Sequence[Row], others: Iterable[Row] = ()) -> EvalSet:
    """An evaluation set of rows: their questions over their passages and those of other rows."""
    passages: dict[tuple[str, str], Text] = {}
    for row in (*rows, *others):
        key = (row.title, row.passage)
        if key not in passages:
            passages[key] = Text(f"p{len(passages)}", row.passage, row.passage_language, row.title)
    asked: dict[tuple[str, str | None], str] = {}
    queries: list[Text] = []
    qrels: dict[str, dict[str, int]] = {}
    for row in rows:
        question = (row.query, row.query_language)
        if question not in asked:
            asked[question] = f"q{len(asked)}"
            queries.append(Text(asked[question], row.query, row.query_language))
        qrels.setdefault(asked[question], {})[passages[row.title, row.passage].id] = 1
    return EvalSet(name, tuple(queries), tuple(passages.values()), qrels)


def part_of(path: Path, share: float) -> EvalSet:
    """A share of a set's questions, each in all its languages, over all passages: measuring takes time."""
    whole = load(path)
    kept = tuple(query for query in whole.queries if place(query.parallel_id or query.id) < share)
    return replace(whole, queries=kept, qrels={query.id: whole.qrels[query.id] for query in kept})


def made(place_: Path, make: Callable[[], EvalSet | Iterable[Row | dict[str, Any]]]) -> Path:
    """The file of rows, or the folder of a set, made where it is not there yet; whole or not at all."""
    if not place_.exists():
        content = make()
        if isinstance(content, EvalSet):
            write_beir(content, place_)
        else:
            write_jsonl(place_, (row_record(row) if isinstance(row, Row) else row for row in content))
    return place_
