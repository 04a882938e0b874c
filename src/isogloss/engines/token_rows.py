"""Token ids of many texts in a few flat arrays: a twentieth of what the lists and objects of tokenizers take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TokenRows:
    """What is kept of tokenised texts until their batch is computed.

    Attributes:
        columns: Model inputs by name, int32, all texts one behind the other, unpadded.
        counts: int64, tokens of each text.
        truncated: Whether tokens of the text were cut off.
    """

    columns: Mapping[str, NDArray[np.int32]]
    counts: NDArray[np.int64]
    truncated: NDArray[np.bool_]

    @classmethod
    def of_lists(cls, columns: Mapping[str, Sequence[Sequence[int]]], truncated: Sequence[bool]) -> TokenRows:
        """Rows from one list per text and column."""
        first = next(iter(columns.values()))
        counts = np.fromiter(map(len, first), dtype=np.int64, count=len(first))
        total = int(counts.sum())
        flat = {
            name: np.fromiter(chain.from_iterable(rows), dtype=np.int32, count=total) for name, rows in columns.items()
        }
        return cls(flat, counts, np.array(truncated, dtype=np.bool_))

    @classmethod
    def joined(cls, pieces: Iterable[TokenRows]) -> TokenRows:
        """The rows of all pieces, of which there is at least one."""
        all_ = list(pieces)
        if len(all_) == 1:
            return all_[0]
        return cls(
            {name: np.concatenate([piece.columns[name] for piece in all_]) for name in all_[0].columns},
            np.concatenate([piece.counts for piece in all_]),
            np.concatenate([piece.truncated for piece in all_]),
        )

    def lists(self, rows: Sequence[int]) -> dict[str, list[list[int]]]:
        """The inputs of some texts by name, one list per text."""
        stops = np.cumsum(self.counts)
        spans = [(int(stops[row] - self.counts[row]), int(stops[row])) for row in rows]
        return {name: [flat[start:stop].tolist() for start, stop in spans] for name, flat in self.columns.items()}
