"""Normalising and pre-tokenising of many chunks at once: from chunks to the words that a model cuts.

A chunk is what stands between white space in a text. All chunks are one array of code points, in which a mark stands
between them: the steps of the normaliser that look at one character at a time are a look-up, and those that are
regular expressions, as those of the pre-tokeniser, look for their matches in its shadow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from isogloss.engines.tokenising.characters import NORMAL_FORMS, CharacterTable
from isogloss.engines.tokenising.locality import pattern_of, steps_of
from isogloss.engines.tokenising.patterns import (
    MARK,
    PIECE_START,
    NotExpressible,
    Pattern,
    Points,
    Shadows,
    code_points,
    replaced,
)

SPACE = ord(" ")
LONGEST_WORD = 4096


@dataclass(frozen=True)
class Words:
    """The words of some chunks.

    Attributes:
        points: Code points of all words, one word after the other.
        lengths: int64, characters of each word.
        chunk: int64, the number of the chunk that each word is of, ascending.
        refused: Numbers of the chunks that cannot be told here; they have no words.
    """

    points: Points
    lengths: NDArray[np.int64]
    chunk: NDArray[np.int64]
    refused: list[int]


class Folding:
    """A normaliser and a pre-tokeniser of `tokenizers`, for chunks without white space.

    The pre-tokeniser has to split at white space and to begin each word with `▁`; it may go on with regular expressions
    that split words further.

    Args:
        tokenizer: Its normaliser and pre-tokeniser count.
        alphabet: Characters that are likely to be met; with them regular expressions are spelled out once.

    Raises:
        NotExpressible: If a step is of a kind that is not known here, or might look beyond a chunk.
    """

    def __init__(self, tokenizer: Tokenizer, alphabet: str = "") -> None:
        steps = steps_of(tokenizer.normalizer, "normalizers")
        form = ""
        if steps and steps[0]["type"] in NORMAL_FORMS:
            form = steps.pop(0)["type"]
        single: list[dict[str, Any]] = []
        while steps and _is_single(steps[0]):
            single.append(steps.pop(0))
        self._replacements = [_replacement(step) for step in steps]
        self._splits = _splits(steps_of(tokenizer.pre_tokenizer, "pretokenizers"))
        self._shadows = Shadows(pattern for pattern, _ in [*self._replacements, *self._splits])
        self._shadows.meet("".join(content for _, content in self._replacements))
        self._table = CharacterTable(form, single, self._shadows)
        self._table.meet(alphabet)

    def words(self, chunks: Sequence[str]) -> Words:
        """The words of all chunks, in order."""
        refused = [number for number, chunk in enumerate(chunks) if MARK in chunk]
        points, odd = self._table.fold(_joined(chunks, refused))
        if odd.any():
            # What came is the normal form, whose marks still tell the chunks.
            of_chunk = np.cumsum(points == ord(MARK)) - (points == ord(MARK))
            refused = sorted({*refused, *of_chunk[odd].tolist()})
            points, odd = self._table.fold(_joined(chunks, refused))
        for pattern, content in self._replacements:
            points = replaced(points, self._shadows.spans(pattern, points), code_points(content))
        inside = points != SPACE
        inside[1:] &= points[:-1] == SPACE
        points = np.insert(points, np.flatnonzero(inside), ord(PIECE_START))
        for pattern, isolated in self._splits:
            spans = self._shadows.spans(pattern, points)
            if isolated:
                points = np.insert(points, spans.reshape(-1), SPACE)
            else:
                points = replaced(points, spans, code_points(" "))
        return _told_apart(points, refused)


def _told_apart(points: Points, refused: list[int]) -> Words:
    """The words between the spaces, by the marks between the chunks."""
    inside = np.concatenate([[False], points != SPACE, [False]])
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    is_mark = (lengths == 2) & (points[np.minimum(starts + 1, len(points) - 1)] == ord(MARK))
    chunk = np.cumsum(is_mark)[~is_mark]
    inside = inside[1:-1]
    marks = starts[is_mark]
    inside[marks] = inside[marks + 1] = False
    points, lengths = points[inside], lengths[~is_mark]
    if lengths.max(initial=0) > LONGEST_WORD:
        refused = sorted({*refused, *chunk[lengths > LONGEST_WORD].tolist()})
        stays = ~np.isin(chunk, refused)
        points, lengths, chunk = points[np.repeat(stays, lengths)], lengths[stays], chunk[stays]
    return Words(points, lengths, chunk, refused)


def _is_single(step: dict[str, Any]) -> bool:
    """Whether a step looks at one character at a time."""
    if step["type"] == "Lowercase":
        return True
    if step["type"] != "Replace":
        return False
    kind, source = pattern_of(step)
    if kind == "String":
        return len(source) == 1
    pattern = Pattern.parse(source, spaces_allowed=step["content"] == " ")
    # One space and many are the same to all that comes later: white space splits, and no pattern sees it.
    return pattern.is_run if step["content"] in ("", " ") else pattern.is_one_sign


def _replacement(step: dict[str, Any]) -> tuple[Pattern, str]:
    if step["type"] != "Replace":
        raise NotExpressible(f"the normaliser {step['type']}")
    kind, source = pattern_of(step)
    content = step["content"]
    if kind != "Regex" or MARK in content or PIECE_START in content:
        raise NotExpressible(f"replacing {source}")
    return Pattern.parse(source, spaces_allowed=content == " "), content


def _splits(steps: list[dict[str, Any]]) -> list[tuple[Pattern, bool]]:
    """The splits after the one at white space: a pattern, and whether what it matches stays, as a word of its own."""
    metaspace = {"type": "Metaspace", "replacement": PIECE_START, "prepend_scheme": "always", "split": True}
    if [step["type"] for step in steps[:2]] != ["WhitespaceSplit", "Metaspace"] or steps[1] != metaspace:
        raise NotExpressible("the pre-tokeniser is not WhitespaceSplit and Metaspace")
    return [_split(step) for step in steps[2:]]


def _split(step: dict[str, Any]) -> tuple[Pattern, bool]:
    if step["type"] != "Split" or step["behavior"] not in ("Removed", "Isolated") or step["invert"]:
        raise NotExpressible(f"the pre-tokeniser {step['type']}")
    kind, source = pattern_of(step)
    if kind != "Regex":
        raise NotExpressible(f"splitting at {source}")
    return Pattern.parse(source, start_allowed=True), step["behavior"] == "Isolated"


def _joined(chunks: Sequence[str], refused: Sequence[int]) -> str:
    if refused:
        left_out = set(refused)
        chunks = ["" if number in left_out else chunk for number, chunk in enumerate(chunks)]
    return f" {MARK} ".join([*chunks, ""])
