"""What must not become a negative because it answers, or may answer, the question.

In this order, and counted under the first that holds:

    known answer      labelled for the same question (or for its translation) anywhere in the rows: same id or same text
    translation       has the parallel id of a known answer
    gold answer       contains one of the row's `answers`
    near duplicate    shares most character pieces with the row's passage
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from isogloss.indexing.tokens import terms
from isogloss.records import Row, Text

KNOWN_ANSWER = "known answer"
TRANSLATION = "translation"
GOLD_ANSWER = "contains a gold answer"
NEAR_DUPLICATE = "near duplicate"
PIECE = 8
CACHED_TEXTS = 16_384


class _Kept(dict[int, int | None]):
    """Which characters are letters, marks or digits, for `str.translate`, looked up when each is seen first."""

    def __missing__(self, code: int) -> int | None:
        self[code] = code if unicodedata.category(chr(code))[0] in "LMN" else None
        return self[code]


@lru_cache(maxsize=1)
def _kept() -> _Kept:
    return _Kept()


@lru_cache(maxsize=CACHED_TEXTS)
def letters(text: str) -> str:
    """The letters, marks and digits of a text, folded for width and case: what two copies of a text share."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return folded.translate(_kept())


@lru_cache(maxsize=CACHED_TEXTS)
def text_key(text: str) -> bytes:
    """A short digest that copies of a text share, whatever their case, spaces and signs."""
    return hashlib.blake2b((letters(text) or text).encode(), digest_size=16).digest()


@lru_cache(maxsize=CACHED_TEXTS)
def pieces(text: str) -> NDArray[np.uint64]:
    """Hashes of all runs of eight letters of a text, each once; of the whole text where it is shorter."""
    codes = np.frombuffer(letters(text).ljust(PIECE).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    # Powers of an odd number modulo 2^64: the usual polynomial hash, the same in every process.
    powers = np.cumprod(np.full(PIECE, 0x9E3779B97F4A7C15, dtype=np.uint64))
    runs = np.zeros(len(codes) - PIECE + 1, dtype=np.uint64)
    for place, power in enumerate(powers):
        runs += codes[place : place + len(runs)] * power
    runs.sort()
    once: NDArray[np.uint64] = runs[np.append(True, runs[1:] != runs[:-1])]
    return once


def overlap(first: str, second: str) -> float:
    """Shared part of the smaller text's pieces, from 0 to 1; a sentence overlaps wholly with its paragraph."""
    one, other = pieces(first), pieces(second)
    return len(np.intersect1d(one, other, assume_unique=True)) / min(len(one), len(other))


def overlaps(first: str, second: str, at_least: float) -> bool:
    """Whether the shared part of the smaller text's pieces is at least so large; most pairs are told apart quickly.

    The first 16 bits of a piece's hash are looked up before all of it: they are shared wherever the piece is.
    """
    one, other = pieces(first), pieces(second)
    may_be_shared = np.count_nonzero(_first_bits(first)[_short(other)])
    return bool(may_be_shared / min(len(one), len(other)) >= at_least) and overlap(first, second) >= at_least


@lru_cache(maxsize=16)
def _first_bits(text: str) -> NDArray[np.bool_]:
    """Which first 16 bits the hashes of a text's pieces have, shape (65,536,)."""
    found = np.zeros(2**16, dtype=np.bool_)
    found[_short(pieces(text))] = True
    return found


def _short(hashes: NDArray[np.uint64]) -> NDArray[np.uint16]:
    return (hashes >> np.uint64(48)).astype(np.uint16)


@lru_cache(maxsize=CACHED_TEXTS)
def _spaced_terms(text: str) -> str:
    return f" {' '.join(terms(text))} "


def contains_answer(text: str, answers: Iterable[str]) -> bool:
    """Whether a text contains one of the answers as whole words (in unspaced scripts: as a run of characters)."""
    within = _spaced_terms(text)
    return any(wanted.strip() and wanted in within for wanted in map(_spaced_terms, answers))


@dataclass(frozen=True)
class _Answers:
    """What is known to answer one question."""

    ids: set[str] = field(default_factory=set)
    texts: set[bytes] = field(default_factory=set)
    families: set[str] = field(default_factory=set)


class KnownAnswers:
    """The answers of all questions of some rows.

    A question's answers are the passages of all rows that ask it, and of all rows that ask its translation.

    Args:
        rows: The rows; those which are not mined may be among them.
        passages: All passages that are searched, or none: then those asked about are looked at one by one. Of them the
            parallel ids of the known answers are taken.
        near_duplicate: Overlap with the row's passage from which on a passage is its near duplicate; above 1 is never.
    """

    def __init__(self, rows: Sequence[Row], passages: Iterable[Text] = (), *, near_duplicate: float = 0.8) -> None:
        self._near_duplicate = near_duplicate
        self._leaders: dict[bytes, bytes] = {}
        for row in rows:
            first, *others = question_keys(row)
            for other in others:
                self._leaders[self._leader(other)] = self._leader(first)
        self._answers: dict[bytes, _Answers] = defaultdict(_Answers)
        for row in rows:
            answers = self._of(row)
            answers.texts.add(text_key(row.passage))
            if row.passage_id:
                answers.ids.add(row.passage_id)
        self.places: dict[bytes, str] = {}
        self._copies: dict[str, bytes] = {}
        self._searched = False
        self._add_families({text_key(row.passage) for row in rows}, passages)

    def reason_against(self, row: Row, candidate: Text) -> str | None:
        """The first rule by which a passage must not be a negative of a row, or None."""
        return self.labelled_reason(row, candidate) or self.copied_reason(row, candidate)

    def labelled_reason(self, row: Row, candidate: Text) -> str | None:
        """The first of the rules about labels, which are looked up, by which a passage must not be a negative."""
        answers = self._of(row)
        if candidate.id in answers.ids or self._key(candidate) in answers.texts:
            return KNOWN_ANSWER
        if candidate.parallel_id is not None and candidate.parallel_id in answers.families:
            return TRANSLATION
        if row.answers and contains_answer(candidate.text, row.answers):
            return GOLD_ANSWER
        return None

    def copied_reason(self, row: Row, candidate: Text) -> str | None:
        """`NEAR_DUPLICATE` where the passage is one of the row's passage, for which the two texts are compared."""
        if self._near_duplicate <= 1 and overlaps(row.passage, candidate.text, self._near_duplicate):
            return NEAR_DUPLICATE
        return None

    def _key(self, candidate: Text) -> bytes | None:
        """Key of a passage's text: of the searched ones it is known for copies of answers, and no other matters."""
        return self._copies.get(candidate.id) if self._searched else text_key(candidate.text)

    def answers_texts(self, row: Row) -> Collection[bytes]:
        """Keys of the texts that are known to answer a row's question."""
        return self._of(row).texts

    def _add_families(self, wanted: set[bytes], passages: Iterable[Text]) -> None:
        named = set().union(*(answers.ids for answers in self._answers.values()))
        families: dict[str | bytes, str] = {}
        for passage in passages:
            self._searched = True
            key = text_key(passage.text)
            if key in wanted:
                self.places.setdefault(key, passage.id)
                self._copies[passage.id] = key
            if passage.parallel_id is not None:
                families.update(dict.fromkeys({key} & wanted | {passage.id} & named, passage.parallel_id))
        for answers in self._answers.values():
            answers.families.update(families[name] for name in answers.ids | answers.texts if name in families)

    def _of(self, row: Row) -> _Answers:
        return self._answers[self._leader(text_key(row.query))]

    def _leader(self, key: bytes) -> bytes:
        """The question that stands for all which are linked by translation."""
        while (next_key := self._leaders.get(key, key)) != key:
            key = next_key
        return key


def question_keys(row: Row) -> Iterator[bytes]:
    """Keys of a row's question and of its translation."""
    yield text_key(row.query)
    if row.translated_query:
        yield text_key(row.translated_query)
