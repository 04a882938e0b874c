"""Passages that may be among the k best of a query, kept by their float32 scores until all passages have been seen.

Let a float32 score a differ from the exact one by at most m. If k passages have a ≥ f, their exact scores are f − m or
more, and a passage with a < f − 2m is not among the k best. What stays is the k best and their near ties, so that about
k exact scores of a query are computed at the end, where comparing exactly at once computes about k·(1 + ln(n / block)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isogloss.indexing.screening import Pairs

NONE = np.float32(-np.inf)


@dataclass(frozen=True)
class _Table:
    """Scores, float32, and rows of passages, both of shape (queries, most of a query); `NONE` fills up."""

    scores: NDArray[np.float32]
    rows: NDArray[np.int64]

    def beside(self, other: _Table) -> _Table:
        return _Table(
            np.concatenate([self.scores, other.scores], axis=1), np.concatenate([self.rows, other.rows], axis=1)
        )

    def kept(self, limits: NDArray[np.float32]) -> _Table:
        """What reaches the limit of its query, in the same order, shape (queries, most of a query)."""
        reaches = (self.scores >= limits[:, None]) & (self.scores > NONE)
        return _table(np.nonzero(reaches)[0], self.scores[reaches], self.rows[reaches], len(self.scores))


def _table(queries: NDArray[np.int64], scores: NDArray[np.float32], rows: NDArray[np.int64], count: int) -> _Table:
    places, width = columns_of(queries, count)
    table = _Table(np.full((count, width), NONE), np.zeros((count, width), dtype=np.int64))
    table.scores[queries, places] = scores
    table.rows[queries, places] = rows
    return table


def by_query(queries: NDArray[np.int64]) -> NDArray[np.int64]:
    """The stable order of fewer than 65,536 queries, which NumPy finds fastest by numbers of 16 bits."""
    return np.argsort(queries.astype(np.uint16), kind="stable")


def columns_of(queries: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], int]:
    """Columns for values that are to lie in the rows of their queries, which do not fall, and how many are needed."""
    sizes = np.bincount(queries, minlength=count)
    return np.arange(len(queries)) - np.repeat(np.cumsum(sizes) - sizes, sizes), int(sizes.max(initial=0))


class Candidates:
    """The candidates of a fixed number of queries.

    Args:
        queries: How many.
        k: Results wanted.
    """

    def __init__(self, queries: int, k: int) -> None:
        self._k = k
        self._most = 2 * k + 256
        self._margins = np.zeros(queries)
        self._table = _Table(np.empty((queries, 0), dtype=np.float32), np.empty((queries, 0), dtype=np.int64))

    def add(self, pairs: Pairs, rows: NDArray[np.int64], compared: NDArray[np.float32]) -> bool:
        """Takes more candidates, and drops those that can no longer be among the best.

        Args:
            pairs: Passages of one block, with scores.
            rows: Row in the collection of each pair's passage.
            compared: Exact scores of passages that are no candidates, shape (queries, any); `NONE` fills up.

        Returns:
            Whether they were taken. So many near ties are not, for memory's sake: they are to be compared at once.
        """
        order = by_query(pairs.queries)
        new = _table(pairs.queries[order], pairs.scores[order], rows[order], len(self._margins))
        margins = np.maximum(self._margins, pairs.margins)
        together = self._table.beside(new)
        table = together.kept(_below(self._reached(together.scores, compared) - 2 * margins))
        if table.scores.shape[1] > self._most:
            return False
        self._margins, self._table = margins, table
        return True

    def floors(self, compared: NDArray[np.float32]) -> NDArray[np.float64]:
        """An exact score that k passages of each query reach, shape (queries,); -inf where there are fewer."""
        return self._reached(self._table.scores, compared) - self._margins

    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Queries and rows of all candidates, by ascending row."""
        queries, columns = np.nonzero(self._table.scores > NONE)
        rows = self._table.rows[queries, columns]
        order = np.argsort(rows, kind="stable")
        return queries[order], rows[order]

    def _reached(self, scores: NDArray[np.float32], compared: NDArray[np.float32]) -> NDArray[np.float64]:
        """The k-th largest score of each query."""
        every = np.concatenate([scores, compared], axis=1)
        if every.shape[1] < self._k:
            return np.full(len(every), -np.inf)
        place = every.shape[1] - self._k
        lowest: NDArray[np.float64] = np.partition(every, place, axis=1)[:, place].astype(np.float64)
        return lowest


def _below(limits: NDArray[np.float64]) -> NDArray[np.float32]:
    """The float32 numbers below these."""
    return np.nextafter(limits.astype(np.float32), NONE)
