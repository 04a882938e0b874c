"""The texts of a run: every distinct text once, with a number, and its tokens once per tower.

Rows of a source hold numbers instead of strings, so that a batch is drawn, sorted and de-duplicated by NumPy alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    from isogloss.engines.torch_tower import TorchTower

Ids = NDArray[np.int64]
MISSING = -1


class TextTable:
    """Distinct texts and their numbers; `MISSING` is the number of no text."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, number: int) -> str:
        return self._texts[number]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def add(self, text: str) -> int:
        """Number of a text, new where it has none yet."""
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self._texts)
            self._texts.append(text)
        return number

    def number(self, text: str) -> int:
        """Number of a text, `MISSING` where it is not here."""
        return self._numbers.get(text, MISSING)

    def texts(self, numbers: Iterable[int]) -> list[str]:
        """The texts of some numbers, in their order."""
        return [self._texts[number] for number in numbers]


class TokenCache:
    """Token ids of a tower's texts: each is tokenised on first use and kept as a slice of one flat array per column."""

    def __init__(self, tower: TorchTower, texts: TextTable) -> None:
        self._tower = tower
        self._texts = texts
        self._starts: Ids = np.full(0, MISSING, dtype=np.int64)
        self._counts: Ids = np.zeros(0, dtype=np.int64)
        self._columns: dict[str, NDArray[np.int32]] = {}
        self._used = 0
        self._flat_features: bool | None = None

    def counts(self, numbers: Ids) -> Ids:
        """Tokens of each text, prompt and special tokens included, after truncation."""
        self._tokenize_new(numbers)
        return self._counts[numbers]

    def features(self, numbers: Ids) -> dict[str, Any]:
        """Model inputs of some texts, in their order, as `TorchTower.features` gives them."""
        self._tokenize_new(numbers)
        if self.flat:
            places, offsets = self._places(numbers)
            device = self._tower.device
            return {
                "input_ids": torch.from_numpy(self._columns["input_ids"][places]).to(device),
                "offsets": torch.from_numpy(offsets.astype(np.int32)).to(device),
            }
        from isogloss.engines.torch_tower import Tokens

        columns = {
            name: [flat[start : start + count].tolist() for start, count in self._slices(numbers)]
            for name, flat in self._columns.items()
        }
        counts = self._counts[numbers].tolist()
        return self._tower.collate(Tokens(columns, counts, [False] * len(counts)), range(len(counts)))

    @property
    def flat(self) -> bool:
        """Whether the tower takes all tokens in one row with offsets, as static embeddings do: there is no padding."""
        if self._flat_features is None:
            self._flat_features = "offsets" in self._tower.features(["a"])
        return self._flat_features

    def _places(self, numbers: Ids) -> tuple[Ids, Ids]:
        """Positions of all tokens of some texts in the flat arrays, and where each text begins among them."""
        counts = self._counts[numbers]
        ends = np.cumsum(counts)
        offsets = ends - counts
        total = int(ends[-1]) if len(ends) else 0
        return np.repeat(self._starts[numbers] - offsets, counts) + np.arange(total), offsets

    def _slices(self, numbers: Ids) -> list[tuple[int, int]]:
        return list(zip(self._starts[numbers].tolist(), self._counts[numbers].tolist(), strict=True))

    def _tokenize_new(self, numbers: Ids) -> None:
        if len(self._starts) < len(self._texts):
            grown = len(self._texts) - len(self._starts)
            self._starts = np.concatenate([self._starts, np.full(grown, MISSING, dtype=np.int64)])
            self._counts = np.concatenate([self._counts, np.zeros(grown, dtype=np.int64)])
        new = np.unique(numbers[self._starts[numbers] == MISSING])
        if not len(new):
            return
        tokens = self._tower.tokenize(self._texts.texts(new.tolist()))
        counts = np.asarray(tokens.counts, dtype=np.int64)
        total = int(counts.sum())
        for name, rows in tokens.columns.items():
            flat = np.fromiter((token for row in rows for token in row), dtype=np.int32, count=total)
            self._columns[name] = _appended(self._columns.get(name), self._used, flat)
        self._starts[new] = self._used + np.cumsum(counts) - counts
        self._counts[new] = counts
        self._used += total


def _appended(array: NDArray[np.int32] | None, used: int, more: NDArray[np.int32]) -> NDArray[np.int32]:
    """The array with `more` from position `used` on; it doubles where it is full, so that appending stays cheap."""
    needed = used + len(more)
    if array is None or len(array) < needed:
        grown = np.zeros(max(needed, 2 * used, 1024), dtype=np.int32)
        if array is not None:
            grown[:used] = array[:used]
        array = grown
    array[used:needed] = more
    return array


# Where chunks are padded, a text shorter than this share of the longest begins another one, so that at most so much
# of a chunk is padding, unless the chunk has fewer tokens than a product needs to be fast.
ALIKE = 0.8
LEAST_TOKENS = 256


def chunks_by_budget(counts: Ids, *, budget: int, size: int, padded: bool) -> list[Ids]:
    """Positions of texts in chunks of at most `budget` tokens and `size` texts of about one length, longest first.

    Args:
        counts: Tokens of each text.
        budget: Most tokens of a chunk; a longer text is a chunk by itself.
        size: Most texts of a chunk.
        padded: Whether each text takes as many tokens as the longest of its chunk.
    """
    order = np.argsort(-counts, kind="stable")
    chunks: list[Ids] = []
    current: list[int] = []
    tokens = 0
    for position in order.tolist():
        count = max(int(counts[position]), 1)
        longest = max(int(counts[current[0]]), 1) if current else count
        next_tokens = longest * (len(current) + 1) if padded else tokens + count
        unlike = padded and count < ALIKE * longest and longest * len(current) >= LEAST_TOKENS
        if current and (next_tokens > budget or len(current) >= size or unlike):
            chunks.append(np.asarray(current, dtype=np.int64))
            current, tokens = [], 0
        current.append(position)
        tokens += count
    if current:
        chunks.append(np.asarray(current, dtype=np.int64))
    return chunks


def unique_numbers(columns: Sequence[Ids]) -> Ids:
    """Distinct numbers of some columns, `MISSING` left out, ascending."""
    if not columns:
        return np.zeros(0, dtype=np.int64)
    numbers: Ids = np.unique(np.concatenate([column.ravel() for column in columns]))
    kept: Ids = numbers[numbers != MISSING]
    return kept
