"""What a file or folder is, told by reading it whole: an evaluation set, training rows or parallel text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from isogloss.datasets.beir import read_corpus, stream_texts
from isogloss.datasets.beir_files import beir_files
from isogloss.datasets.collecting import Languages, has_space
from isogloss.datasets.loading import load
from isogloss.datasets.parallel import read_multiway, read_parallel
from isogloss.datasets.registry import layout_of
from isogloss.datasets.rows import KEYS_OF_ROWS, read_rows
from isogloss.errors import DataError, Fault
from isogloss.files import check_file, read_jsonl
from isogloss.records import EvalSet, Text

UNKNOWN = "unknown"
_LOOKED_AT = 20  # lines that decide what a JSON-lines file is
_SHOWN = 10  # places of a warning
_NO_WORDS = "texts have no letter or digit, and most models cannot encode them: leave them out"


def check_path(path: Path, *, split: str | None = None) -> dict[str, Any]:
    """Reads what is at a path and says what it is.

    Texts without any letter or digit are warned of: most models have no token for them and refuse to encode them.

    Args:
        path: A file or folder in any layout that isogloss reads.
        split: Which judgements of an evaluation set.

    Returns:
        `kind`, `name`, `languages` (counts by side and language), and what else is known.

    Raises:
        FileError: If it cannot be read.
        DataError: With all its faults, or if it is in no known layout.
    """
    if not path.is_dir():
        check_file(path)
        if ".tsv" in path.suffixes[-2:]:
            return _pairs(path)
        if ".jsonl" in path.suffixes[-2:]:
            keys = _keys(path)
            if keys & KEYS_OF_ROWS:
                return _rows(path)
            if "text" in keys:
                return _texts(path)
            if layout_of(path).name == "bitext":
                return _multiway(path)
    eval_set = load(path, split=split)
    found = summary(eval_set, layout_of(path).name)
    if any(_is_wordless(text) for text in (*eval_set.queries, *eval_set.passages)):
        files = (
            [file for files in beir_files(path) for file in (*files.queries, *files.corpus)] if path.is_dir() else []
        )
        found["notes"] += _wordless(stream_texts(files, Languages([]))) or [f"some {_NO_WORDS}"]
    return found


def summary(eval_set: EvalSet, layout: str = "") -> dict[str, Any]:
    """An evaluation set in plain JSON values: counts by language, judgements, licence, notes, an example."""
    judged = sum(len(grades) for grades in eval_set.qrels.values())
    relevant = sum(grade > 0 for grades in eval_set.qrels.values() for grade in grades.values())
    example = next((text.text for text in eval_set.queries), "")
    return {
        "kind": f"evaluation set, layout {layout}" if layout else "evaluation set",
        "name": eval_set.name,
        "languages": {
            "queries": _counts(text.language for text in eval_set.queries),
            "passages": _counts(text.language for text in eval_set.passages),
        },
        "judgements": f"{judged:,}, of them {relevant:,} relevant",
        "pools": len({text.pool for text in eval_set.passages}),
        "parallel": any(text.parallel_id for text in eval_set.passages),
        "licence": eval_set.licence or UNKNOWN,
        "example": example,
        "notes": list(eval_set.notes),
    }


def _texts(path: Path) -> dict[str, Any]:
    """A file of texts alone, such as a corpus: fit to encode, and a part of an evaluation set."""
    texts = read_corpus(path)
    spaced = [text.id for text in texts if has_space(text.id)]
    notes = [
        "this is a corpus alone, to encode and search; an evaluation set is a folder of corpus.jsonl, queries.jsonl "
        "and qrels/test.tsv"
    ]
    if spaced:
        notes.append(f"{len(spaced):,} ids hold a space, as '{spaced[0]}' does: a set with them cannot be evaluated")
    if any(map(_is_wordless, texts)):
        notes += _wordless(stream_texts([path], Languages([])))
    return {
        "kind": "corpus",
        "name": path.name,
        "languages": {"texts": _counts(text.language for text in texts)},
        "rows": len(texts),
        "example": texts[0].text if texts else "",
        "notes": notes,
    }


def _is_wordless(text: Text) -> bool:
    return not any(map(str.isalnum, f"{text.title}{text.text}"))


def _wordless(located: Iterable[tuple[Text, str]]) -> list[str]:
    """One warning with the places of all texts without a letter or digit, nothing where there are none."""
    places = [f"{where} {text.text[:20]!r}" for text, where in located if _is_wordless(text)]
    if not places:
        return []
    more = f" and {len(places) - _SHOWN:,} more" if len(places) > _SHOWN else ""
    return [f"{len(places):,} {_NO_WORDS}: {', '.join(places[:_SHOWN])}{more}"]


def _rows(path: Path) -> dict[str, Any]:
    rows = read_rows(path)
    texts = ((Text(row.row_id, text), row.row_id) for row in rows for text in (row.query, row.passage))
    return {
        "kind": "training rows",
        "name": path.name,
        "languages": {
            "queries": _counts(row.query_language for row in rows),
            "positives": _counts(row.passage_language for row in rows),
        },
        "rows": len(rows),
        "negatives": sum(len(row.negative_passages) for row in rows),
        "example": rows[0].query,
        "notes": _wordless(texts),
    }


def _pairs(path: Path) -> dict[str, Any]:
    rows = read_parallel(path)
    languages = {
        rows[0].source_language: len(rows),
        rows[0].target_language: len(rows),
    }
    return {"kind": "parallel text, two columns", "name": path.name, "languages": {"texts": languages}, "notes": []}


def _multiway(path: Path) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    lines = 0
    for _, texts in read_multiway(path):
        counts.update(texts.keys())
        lines += 1
    return {
        "kind": "parallel text, many languages in a line",
        "name": path.name,
        "languages": {"texts": dict(sorted(counts.items()))},
        "rows": lines,
        "notes": [],
    }


def _keys(path: Path) -> set[str]:
    """Keys of the first lines; faults are for the reader that is chosen by them."""
    faults: list[Fault] = []
    keys = {key for _, record in islice(read_jsonl(path, faults=faults), _LOOKED_AT) for key in record}
    if not keys and not faults:
        raise DataError(f"{path} is empty", next_step="Check that it was written whole.")
    return keys


def _counts(languages: Iterable[str | None]) -> dict[str, int]:
    found = Counter(language or UNKNOWN for language in languages)
    return dict(sorted(found.items()))
