"""Texts that training must not see: those of the sets that a model will be measured on.

A text is dropped where it equals one of them in letters and digits alone, after NFKC and case folding, so that neither
vowel signs nor punctuation hide it. Short texts are kept: words and names belong to everybody.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from isogloss.files import read_jsonl
from isogloss.records import ParallelRow, Row
from isogloss.training.sources.reading import expand

LEAST_LETTERS = 13
NOT_TEXT = ("_id", "id", "title", "lang", "language")
_NO_LETTER = re.compile(r"[\W_]+")


class Apart:
    """The texts of evaluation files.

    Args:
        paths: JSONL files or patterns. Every string in them counts as a text, but for ids, titles and tags.

    Raises:
        DataError: If a pattern matches nothing, or a file is faulty.
    """

    def __init__(self, paths: Sequence[str] = ()) -> None:
        self.found = 0
        self._digests: set[bytes] = set()
        for path in expand(paths) if paths else ():
            for _, record in read_jsonl(Path(path)):
                self._digests.update(_digest(letters) for letters in map(_letters, _strings(record)) if letters)

    def __len__(self) -> int:
        return len(self._digests)

    def holds(self, text: str) -> bool:
        """Whether a training text is one of them; counted in `found`."""
        if not self._digests:
            return False
        letters = _letters(text)
        held = bool(letters) and _digest(letters) in self._digests
        self.found += held
        return held

    def rows(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows without those that have such a text in any role."""
        return (row for row in rows if not self._any(*_texts(row)))

    def pairs(self, rows: Iterable[ParallelRow]) -> Iterator[ParallelRow]:
        """The translation pairs without those that have such a text on either side."""
        return (row for row in rows if not self._any(row.parallel_source, row.parallel_target))

    def notes(self) -> list[str]:
        """What one should know of a run that keeps texts apart."""
        if not self._digests:
            return []
        return [f"kept apart from {len(self):,} texts of evaluation sets: {self.found:,} such texts were left out"]

    def _any(self, *texts: str) -> bool:
        # Without a short cut, so that every such text is counted.
        return sum(map(self.holds, texts)) > 0


def _texts(row: Row) -> Iterator[str]:
    yield from (row.query, row.title, row.passage, row.translated_query or "")
    yield from (*row.negative_passages, *row.negative_queries)
    yield from (query.text for query in row.generated_queries)


def _letters(text: str) -> str:
    """Letters and digits of a text as they are compared; nothing where they are few."""
    letters = _NO_LETTER.sub("", unicodedata.normalize("NFKC", text).casefold())
    return letters if len(letters) >= LEAST_LETTERS else ""


def _digest(letters: str) -> bytes:
    return hashlib.blake2b(letters.encode(), digest_size=16).digest()


def _strings(record: dict[str, Any]) -> Iterator[str]:
    for name, value in record.items():
        if isinstance(value, str) and name not in NOT_TEXT and not name.startswith("_"):
            yield value
