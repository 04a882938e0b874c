"""Ids of texts from the ids of their chunks, each of which is cut once and then remembered.

A chunk is what stands between white space. Where a tokenizer cuts each by itself, the ids of a text are those of its
chunks one after the other, and most chunks of a text have been met before.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from isogloss.engines.tokenising.folding import Folding
from isogloss.engines.tokenising.locality import spaces_that_join
from isogloss.engines.tokenising.patterns import NotExpressible
from isogloss.engines.tokenising.unigram import UnigramCutter

LOGGER = logging.getLogger("isogloss")
Kind = TypeVar("Kind", np.int32, np.int64)

MOST_CHUNKS = 200_000
MOST_CHARACTERS = 4_000_000
CHARACTERS_PER_BLOCK = 65_536
FEW_CHARACTERS = 2_000
CHARACTERS_WORTH_A_CUTTER = 200_000  # to make one costs as much as cutting these by the tokenizer


@dataclass(frozen=True)
class Ids:
    """Token ids of some texts.

    Attributes:
        flat: int32, the ids of all texts, one text after the other.
        counts: int64, the number of ids of each text.
    """

    flat: NDArray[np.int32]
    counts: NDArray[np.int64]

    @classmethod
    def of_lists(cls, rows: Sequence[Sequence[int]]) -> Ids:
        """Ids from one list per text."""
        counts = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        return cls(np.fromiter(chain.from_iterable(rows), dtype=np.int32, count=int(counts.sum())), counts)

    def lists(self) -> list[list[int]]:
        """One list per text."""
        ends = np.cumsum(self.counts).tolist()
        flat = self.flat.tolist()
        return [flat[start:stop] for start, stop in zip([0, *ends], ends, strict=False)]


class ChunkCutter:
    """Cuts chunks into the ids of a Unigram tokenizer, many at once and without it.

    Chunks in which an added token occurs are left to the tokenizer.

    Raises:
        NotExpressible: If some part of the tokenizer is of a kind that is not known here.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        if not is_unigram(tokenizer):
            raise NotExpressible("the tokenizer is no Unigram model")
        added = tokenizer.get_added_tokens_decoder().values()
        for token in added:
            # Such a token may come about by the normaliser, where it cannot be seen in the chunk.
            if token.normalized and tokenizer.normalizer is not None:
                raise NotExpressible(f"the added token {token.content!r} is looked for in normalised text")
        self._added = re.compile("|".join(re.escape(token.content) for token in added)) if added else None
        model = json.loads(tokenizer.model.__getstate__())
        if model["unk_id"] is None or model.get("byte_fallback"):
            raise NotExpressible("the model has no unknown piece")
        pieces, scores = zip(*model["vocab"], strict=True)
        self._model = UnigramCutter(pieces, scores, model["unk_id"])
        self._folding = Folding(tokenizer, self._model.alphabet)

    def cut(self, chunks: Sequence[str]) -> tuple[Ids, list[int]]:
        """Ids of the chunks, and the numbers of those that cannot be cut here, which have no ids."""
        left = [] if self._added is None else [row for row, chunk in enumerate(chunks) if self._added.search(chunk)]
        if left:
            of_tokenizer = set(left)
            chunks = ["" if row in of_tokenizer else chunk for row, chunk in enumerate(chunks)]
        words = self._folding.words(chunks)
        flat, pieces = self._model.cut(words.points, words.lengths)
        counts = np.bincount(words.chunk, weights=pieces, minlength=len(chunks)).astype(np.int64)
        return Ids(flat, counts), sorted({*words.refused, *left}) if left else words.refused


class ChunkTokenizer:
    """Gives the ids that a tokenizer of `tokenizers` gives, special tokens left out, nothing cut off.

    What it remembers is bounded: when it is full, rare chunks are forgotten. Not to be used by two threads at a time.

    Attributes:
        cutter: Cuts many new chunks at once; None until there are many, and where there is none for the tokenizer.

    Raises:
        NotExpressible: If the tokenizer might look beyond white space.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._joining = spaces_that_join(tokenizer)
        self.cutter: ChunkCutter | None = None
        self._cutter_wanted = is_unigram(tokenizer)
        self._missed = 0
        self._memory = _Memory()

    def ids(self, texts: Sequence[str]) -> Ids:
        """Ids of each text; few and short ones with a chunk that is not remembered are left to the tokenizer."""
        short = sum(map(len, texts)) < FEW_CHARACTERS
        if short and any(chunk not in self._memory for text in texts for chunk in text.split()):
            return Ids.of_lists(encode_whole(self.tokenizer, texts))
        return self.ids_by_chunks(texts)

    def ids_by_chunks(self, texts: Sequence[str]) -> Ids:
        """Ids of each text from those of its chunks, all of which are remembered from now on."""
        whole = [row for row, text in enumerate(texts) if any(space in text for space in self._joining)]
        if whole:
            return self._with_whole_texts(texts, whole)
        chunks = [text.split() for text in texts]
        counts = np.fromiter(map(len, chunks), dtype=np.int64, count=len(chunks))
        if self._memory.is_full:
            self._memory = self._memory.of_the_most_frequent()
        try:
            places = np.fromiter(
                map(self._memory.__getitem__, chain.from_iterable(chunks)), dtype=np.int64, count=int(counts.sum())
            )
            self._learn(self._memory.unlearned())
        except BaseException:
            self._memory = _Memory()  # which holds chunks without ids
            raise
        return self._memory.gather(places, counts)

    def forget(self, *, cutter: bool) -> None:
        """Forgets all ids and, if that is asked for, cuts new chunks by the tokenizer alone from now on."""
        self._memory = _Memory()
        if cutter:
            self.cutter, self._cutter_wanted = None, False

    def _with_whole_texts(self, texts: Sequence[str], whole: Sequence[int]) -> Ids:
        left = set(whole)
        rows = self.ids_by_chunks(["" if row in left else text for row, text in enumerate(texts)]).lists()
        for row, ids in zip(whole, encode_whole(self.tokenizer, [texts[row] for row in whole]), strict=True):
            rows[row] = ids
        return Ids.of_lists(rows)

    def _learn(self, chunks: list[str]) -> None:
        ends = np.cumsum(np.fromiter(map(len, chunks), dtype=np.int64, count=len(chunks)))
        self._missed += int(ends[-1]) if chunks else 0
        if self._cutter_wanted and self._missed > CHARACTERS_WORTH_A_CUTTER:
            self._make_cutter()
        start = 0
        while start < len(chunks):
            before = int(ends[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + CHARACTERS_PER_BLOCK, side="right")))
            block, characters = chunks[start:stop], int(ends[stop - 1]) - before
            if self.cutter is None or characters < FEW_CHARACTERS:
                self._memory.learn(Ids.of_lists(encode_whole(self.tokenizer, block)), characters)
            else:
                self._memory.learn(self._cut(self.cutter, block), characters)
            start = stop

    def _cut(self, cutter: ChunkCutter, chunks: list[str]) -> Ids:
        ids, refused = cutter.cut(chunks)
        if not refused:
            return ids
        rows = ids.lists()
        left = encode_whole(self.tokenizer, [chunks[row] for row in refused])
        for row, by_tokenizer in zip(refused, left, strict=True):
            rows[row] = by_tokenizer
        return Ids.of_lists(rows)

    def _make_cutter(self) -> None:
        self._cutter_wanted = False
        try:
            self.cutter = ChunkCutter(self.tokenizer)
        except NotExpressible as reason:
            LOGGER.warning(
                "New words are cut by the tokenizer itself, which is slower; the ids are the same: %s", reason
            )


class _Memory(dict[str, int]):
    """Chunk to its number; the ids of chunk `n` are `length[n]` values of `ids` from `start[n]`."""

    def __init__(self) -> None:
        super().__init__()
        self._ids = np.zeros(1 << 12, dtype=np.int32)
        self._starts = np.zeros(1 << 10, dtype=np.int64)
        self._lengths = np.zeros(1 << 10, dtype=np.int64)
        self._uses = np.zeros(1 << 10, dtype=np.int64)
        self._learned = self._used = self._characters = 0

    def __missing__(self, chunk: str) -> int:
        number = self[chunk] = len(self)
        return number

    @property
    def is_full(self) -> bool:
        """Whether some of it should be forgotten."""
        return len(self) > MOST_CHUNKS or self._characters > MOST_CHARACTERS

    def of_the_most_frequent(self) -> _Memory:
        """Another that holds the chunks that were used most, a quarter of what there may be at most."""
        number = len(self)
        order = np.argsort(-self._uses[:number], kind="stable")[: MOST_CHUNKS // 4]
        kept = np.sort(order[self._uses[order] > 1])
        chunks = [chunk for chunk, stays in zip(self, np.isin(np.arange(number), kept).tolist(), strict=True) if stays]
        characters = np.cumsum(np.fromiter(map(len, chunks), dtype=np.int64, count=len(chunks)))
        fitting = int(np.searchsorted(characters, MOST_CHARACTERS // 4, side="right"))
        other = _Memory()
        if fitting:
            other.update(zip(chunks[:fitting], range(fitting), strict=True))
            ids = self.gather(kept[:fitting], np.ones(fitting, dtype=np.int64))
            other.learn(ids, int(characters[fitting - 1]))
        return other

    def unlearned(self) -> list[str]:
        """Chunks without ids, in the order of their numbers."""
        return list(islice(reversed(self), len(self) - self._learned))[::-1]

    def learn(self, ids: Ids, characters: int) -> None:
        """Takes the ids of the next chunks without ids."""
        learned, used = self._learned + len(ids.counts), self._used + len(ids.flat)
        self._ids, self._starts = _roomy(self._ids, used), _roomy(self._starts, learned)
        self._lengths, self._uses = _roomy(self._lengths, learned), _roomy(self._uses, learned)
        self._ids[self._used : used] = ids.flat
        self._lengths[self._learned : learned] = ids.counts
        self._starts[self._learned : learned] = self._used + np.cumsum(ids.counts) - ids.counts
        self._learned, self._used = learned, used
        self._characters += characters

    def gather(self, places: NDArray[np.int64], counts: NDArray[np.int64]) -> Ids:
        """Ids of texts from the numbers of their chunks and the number of chunks of each text."""
        self._uses[: self._learned] += np.bincount(places, minlength=self._learned)
        lengths = self._lengths.take(places)
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        sources = np.repeat(self._starts.take(places) - (ends - lengths), lengths) + np.arange(total)
        upto = np.concatenate([[0], ends])[np.concatenate([[0], np.cumsum(counts)])]
        return Ids(self._ids.take(sources), np.diff(upto))


def is_unigram(tokenizer: Tokenizer) -> bool:
    """Whether it is of the kind of model that `ChunkCutter` is for."""
    return type(tokenizer.model).__name__ == "Unigram"


def encode_whole(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Ids by the tokenizer itself; it must be one that cuts nothing off."""
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


def _roomy(values: NDArray[Kind], needed: int) -> NDArray[Kind]:
    """The values with room for `needed` of them."""
    if needed <= len(values):
        return values
    larger = np.zeros(max(needed, 2 * len(values)), dtype=values.dtype)
    larger[: len(values)] = values
    return larger
