"""`python -m experiments.coverage --data FOLDER`: what a static model can read of AfriQA's questions, by language."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from experiments.page import table
from isogloss import Retriever
from isogloss.datasets import load, read_rows
from isogloss.engines.static import StaticEngine
from isogloss.models.vocabulary import UNKNOWN


def coverage(data: Path) -> list[tuple[str, ...]]:
    """Of each language: pieces of a word, unknown pieces, those of training questions, those of the right passage."""
    engine = Retriever.load("bundled").query.engine
    assert isinstance(engine, StaticEngine)  # noqa: S101 - the bundled model is static

    def pieces(text: str) -> list[str]:
        return list(engine.tokenizer.encode(text, add_special_tokens=False).tokens)

    trained: dict[str | None, set[str]] = defaultdict(set)
    for row in read_rows(data / "train" / "xx-afriqa.jsonl.gz"):
        trained[row.query_language].update(pieces(row.query))
    measured = load(data / "retrieval" / "afriqa")
    passages = {text.id: f"{text.title} {text.text}" for text in measured.passages}
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * 5)
    for query in measured.queries:
        found = pieces(query.text)
        answers = {piece for name in measured.qrels[query.id] for piece in pieces(passages[name])}
        numbers = (
            len(query.text.split()),
            len(found),
            found.count(UNKNOWN),
            sum(piece in trained[query.language] for piece in found),
            sum(piece in answers for piece in found),
        )
        language = query.language or ""
        counts[language] = [old + new for old, new in zip(counts[language], numbers, strict=True)]
    return [
        (language, f"{whole / words:.1f}", *(f"{100 * part / whole:.0f} %" for part in parts))
        for language, (words, whole, *parts) in sorted(counts.items())
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m experiments.coverage", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train and retrieval")
    given = parser.parse_args(arguments)
    heads = ("language", "pieces a word", "unknown", "in training questions", "in the right passage")
    print("\n".join(table(heads, coverage(given.data))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
