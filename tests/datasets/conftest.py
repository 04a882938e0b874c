"""A tiny BEIR folder with languages, to be damaged by the tests, and a hub without a network."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType, SimpleNamespace
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


@pytest.fixture
def hub(monkeypatch):
    """A hub that answers with what is in `folders`, and records what was asked."""
    module, errors = ModuleType("huggingface_hub"), ModuleType("huggingface_hub.errors")
    errors.HfHubHTTPError = type("HfHubHTTPError", (OSError,), {})
    errors.LocalEntryNotFoundError = type("LocalEntryNotFoundError", (ValueError,), {})
    state = SimpleNamespace(folders={}, asked=[])

    def snapshot_download(repo_id, repo_type, revision, allow_patterns):
        state.asked.append((repo_id, repo_type, revision, allow_patterns))
        if repo_id not in state.folders:
            raise errors.HfHubHTTPError("404: no such repository\nlong trace")
        return str(state.folders[repo_id])

    module.snapshot_download, module.errors = snapshot_download, errors
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", errors)
    monkeypatch.delenv("ISOGLOSS_DATA", raising=False)
    return state
