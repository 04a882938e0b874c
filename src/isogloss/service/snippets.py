"""The sentence of a passage that answers a query, found by its vector, so that it is found across languages too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

SENTENCES_OF_A_PASSAGE = 12
SHORTEST_SENTENCE = 12
LONGEST_SENTENCE = 280
CONTEXT_BEFORE = 120
CONTEXT_AFTER = 240

# Full stops of Latin, CJK, Devanagari, Arabic, Urdu, Ethiopic, Khmer, Burmese, Armenian and Tibetan.
# Those of Latin end a sentence only before a space, or `3.5` would be two.
_END = r"[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？｡]+[」』”’）]*|[।॥؟۔።፧။។։།]+|\n+"
# Thai and Lao part sentences by a space, and phrases too.
_THAI_SPACE = r"(?<=[\u0e00-\u0eff])\s+(?=[\u0e00-\u0eff])"


@dataclass(frozen=True)
class Snippet:
    """A piece of a passage.

    Attributes:
        before: Text before the sentence, shortened.
        sentence: The sentence that is closest to the query.
        after: Text after it, shortened.
    """

    before: str
    sentence: str
    after: str


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence; very short ones are joined to their successor, very long ones are cut."""
    ends = [match.end() for match in _boundary().finditer(text)]
    borders = [0]
    for end in [*ends, len(text)]:
        if end - borders[-1] >= SHORTEST_SENTENCE or end == len(text):
            while end - borders[-1] > LONGEST_SENTENCE:
                borders.append(_cut(text, borders[-1]))
            borders.append(end)
    spans = [_stripped(text, start, end) for start, end in pairwise(borders)]
    return [(start, end) for start, end in spans if start < end]


def candidates(text: str) -> list[tuple[int, int]]:
    """The spans of a passage's first sentences that have a letter or a digit."""
    spans = sentence_spans(text)
    return [span for span in spans if any(map(str.isalnum, text[slice(*span)]))][:SENTENCES_OF_A_PASSAGE]


def best_span(
    spans: Sequence[tuple[int, int]], vectors: NDArray[np.float32], query: NDArray[np.float32]
) -> tuple[int, int]:
    """The span whose vector, a row of shape (spans, dimension), is closest to the query's; the first of equals."""
    return spans[int(np.argmax(vectors @ query))]


def snippet(text: str, span: tuple[int, int]) -> Snippet:
    """The sentence at `span` between shortened pieces of what stands around it."""
    start, end = span
    return Snippet(_tail(text[:start]), text[start:end], _head(text[end:]))


@cache
def _boundary() -> re.Pattern[str]:
    return re.compile(f"{_END}|{_THAI_SPACE}")


def _cut(text: str, start: int) -> int:
    """Where a sentence that is too long is cut: at its last space, if it has one in its second half."""
    end = start + LONGEST_SENTENCE
    space = text.rfind(" ", start + LONGEST_SENTENCE // 2, end)
    return end if space < 0 else space + 1


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())


def _tail(text: str) -> str:
    if len(text) <= CONTEXT_BEFORE:
        return text
    start = len(text) - CONTEXT_BEFORE
    space = text.find(" ", start, start + CONTEXT_BEFORE // 2)
    return "…" + text[start if space < 0 else space + 1 :]


def _head(text: str) -> str:
    if len(text) <= CONTEXT_AFTER:
        return text
    space = text.rfind(" ", CONTEXT_AFTER // 2, CONTEXT_AFTER)
    return text[: CONTEXT_AFTER if space < 0 else space] + "…"
