"""A tiny BEIR folder with languages, to be damaged by the tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

LANGUAGES = ("de", "en", "th")
WORDS = {"de": "Fluss", "en": "river", "th": "แม่น้ำ"}


def write_lines(path: Path, records: Iterable[Any]) -> Path:
    """Writes JSON lines; a string stands for itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [record if isinstance(record, str) else json.dumps(record, ensure_ascii=False) for record in records]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    """Two passages and two questions in three languages."""
    folder = tmp_path / "rivers"
    passages = [
        {"_id": f"p{n}.{lang}", "title": "", "text": f"{WORDS[lang]} {n}", "lang": lang}
        for n in (0, 1)
        for lang in LANGUAGES
    ]
    queries = [
        {"_id": f"q{n}.{lang}", "text": f"{WORDS[lang]} {n}?", "lang": lang} for n in (0, 1) for lang in LANGUAGES
    ]
    write_lines(folder / "corpus.jsonl", passages)
    write_lines(folder / "queries.jsonl", queries)
    judged = [f"q{n}.{lang}\tp{n}.{lang}\t1" for n in (0, 1) for lang in LANGUAGES]
    write_lines(folder / "qrels" / "test.tsv", ["query-id\tcorpus-id\tscore", *judged])
    return folder
