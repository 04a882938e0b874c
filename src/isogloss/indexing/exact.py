"""Exact search: every passage is compared, in bounded memory.

Scores are float32 dot products that depend on the two vectors alone (`fixed_point`), results follow trec_eval's order
(`ranking`); so neither the size of a block nor the order of queries or passages changes a bit of a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import DataError, Fault, UsageError, raise_faults
from isogloss.indexing.candidates import Candidates, by_query, columns_of
from isogloss.indexing.fixed_point import exact_pair_scores, exact_scores, fixed_point
from isogloss.indexing.integer_screening import best_screen
from isogloss.indexing.ranking import NO_RESULT, PassageOrder, largest, ranking_keys, scores_of

QUERIES_AT_ONCE = 1024
PAIRS_AT_ONCE = 128


class PassageVectors(Protocol):
    """Passages that can be read block by block; a bank is one."""

    @property
    def ids(self) -> Sequence[str]:
        """Passage ids in the order of the vectors."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def vectors(self) -> Iterator[tuple[int, Sequence[str], NDArray[Any]]]:
        """First row, ids and vectors, shape (rows, dimension), of each stored block."""


@dataclass(frozen=True)
class VectorTable:
    """Passage vectors in memory, shape (n, dimension), with their ids."""

    ids: Sequence[str]
    matrix: NDArray[Any]

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self.matrix.shape[1])

    def vectors(self) -> Iterator[tuple[int, Sequence[str], NDArray[Any]]]:
        """The whole table as one block."""
        yield 0, self.ids, self.matrix


def search(
    query_vectors: NDArray[Any],
    query_ids: Sequence[str],
    passages: PassageVectors,
    *,
    k: int = 100,
    block: int = 8192,
    allowed: NDArray[np.bool_] | None = None,
    order: PassageOrder | None = None,
) -> dict[str, dict[str, float]]:
    """Finds the k best passages of each query.

    Args:
        query_vectors: Shape (queries, dimension).
        query_ids: One id per query, each once.
        passages: A bank or a `VectorTable`.
        k: Results per query; fewer where there are fewer passages.
        block: Passages compared at once. It bounds the memory and changes nothing else.
        allowed: Which passages may be found, shape (passages,); all where it is None.
        order: Of `passages.ids`, where many searches share it; else it is made.

    Returns:
        Run: query id to passage id to float32 score, best first.

    Raises:
        UsageError: Arguments that do not fit each other.
        DataError: Passage ids that appear twice, or vectors that are not finite.
    """
    query_vectors = np.asarray(query_vectors)
    _check(query_vectors, query_ids, passages, k, block, allowed)
    order = PassageOrder(passages.ids) if order is None else order
    parts = [
        _BestOfPart(query_vectors[first : first + QUERIES_AT_ONCE], min(k, len(passages.ids)))
        for first in range(0, len(query_ids), QUERIES_AT_ONCE)
    ]
    for rows, matrix in _blocks(passages, block, allowed):
        with np.errstate(over="ignore"):
            rounded = np.asarray(matrix, dtype=np.float32)
        if not np.isfinite(rounded.sum()):
            _check_finite([passages.ids[row] for row in rows[_unusable(matrix)]], "passage")
        for part in parts:
            part.add(matrix, rounded, rows, order.places[rows])
    waiting = [part.waiting() for part in parts]
    for rows, matrix in _blocks(passages, block, allowed):
        for part, (queries, wanted) in zip(parts, waiting, strict=True):
            some = slice(*np.searchsorted(wanted, [rows[0], rows[-1] + 1]))
            if some.start < some.stop:
                part.compare(matrix, order.places[rows], queries[some], np.searchsorted(rows, wanted[some]))
    keys = [key for part in parts for key in part.keys]
    return {query_id: order.results(best) for query_id, best in zip(query_ids, keys, strict=True)}


class _BestOfPart:
    """The best passages so far of some of the queries.

    Attributes:
        keys: Ranking keys of those that are compared exactly, shape (queries, k).
    """

    def __init__(self, vectors: NDArray[Any], k: int) -> None:
        self.keys = np.full((len(vectors), k), NO_RESULT, dtype=np.uint64)
        self._queries = fixed_point(vectors)
        self._screen = best_screen(vectors)
        self._candidates = Candidates(len(vectors), k)

    def add(
        self,
        passages: NDArray[Any],
        rounded: NDArray[np.float32],
        rows: NDArray[np.int64],
        places: NDArray[np.uint64],
    ) -> None:
        """Looks through one more block of passages.

        Args:
            passages: Finite vectors of shape (rows, dimension).
            rounded: The same in float32.
            rows: Of the passages in the collection.
            places: Of their ids.
        """
        k = self.keys.shape[1]
        compared = scores_of(self.keys)
        pairs = self._screen.pairs(rounded, self._candidates.floors(compared), k)
        if pairs is None:
            self._keep(ranking_keys(exact_scores(self._queries, fixed_point(passages)), places))
        elif not self._candidates.add(pairs, rows[pairs.passages], compared):
            self.compare(passages, places, pairs.queries, pairs.passages)

    def waiting(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Queries and rows of the pairs that are to be compared when all blocks were looked through, by row."""
        return self._candidates.pairs()

    def compare(
        self,
        passages: NDArray[Any],
        places: NDArray[np.uint64],
        queries: NDArray[np.int64],
        rows: NDArray[np.int64],
    ) -> None:
        """Computes the exact scores of some pairs.

        Args:
            passages: Finite vectors of shape (rows, dimension).
            places: Of their ids.
            queries: Of each pair.
            rows: Of each pair's passage among these.
        """
        used, numbers = np.unique(rows, return_inverse=True)
        integers = fixed_point(passages[used])
        scores = np.empty(len(rows), dtype=np.float32)
        for first in range(0, len(rows), PAIRS_AT_ONCE):
            some = slice(first, first + PAIRS_AT_ONCE)
            scores[some] = exact_pair_scores(integers[numbers[some]], self._queries[queries[some]])
        self._keep(_by_query(ranking_keys(scores, places[rows]), queries, len(self.keys)))

    def _keep(self, keys: NDArray[np.uint64]) -> None:
        k = self.keys.shape[1]
        self.keys = largest(np.concatenate([self.keys, largest(keys, k)], axis=1), k)


def _by_query(keys: NDArray[np.uint64], queries: NDArray[np.int64], count: int) -> NDArray[np.uint64]:
    """Keys in one row for each query, filled up with `NO_RESULT`."""
    order = by_query(queries)
    columns, width = columns_of(queries[order], count)
    table = np.full((count, width), NO_RESULT, dtype=np.uint64)
    table[queries[order], columns] = keys[order]
    return table


def _blocks(
    passages: PassageVectors, block: int, allowed: NDArray[np.bool_] | None
) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
    """Ascending rows and vectors of the passages that may be found, so many at once."""
    if allowed is None:
        for start, _, matrix in passages.vectors():
            for first in range(0, len(matrix), block):
                some = np.asarray(matrix[first : first + block])
                yield np.arange(start + first, start + first + len(some)), some
        return
    rows, parts = np.empty(0, dtype=np.int64), []
    for start, _, matrix in passages.vectors():
        left = np.flatnonzero(allowed[start : start + len(matrix)])
        while len(left):
            taken, left = np.split(left, [block - len(rows)])
            rows = np.append(rows, start + taken)
            parts.append(np.asarray(matrix[taken]))
            if len(rows) == block:
                yield rows, np.concatenate(parts)
                rows, parts = np.empty(0, dtype=np.int64), []
    if parts:
        yield rows, np.concatenate(parts)


def _unusable(matrix: NDArray[Any]) -> NDArray[np.int64]:
    return np.flatnonzero(~np.isfinite(matrix).all(axis=1))


def _check_finite(ids: Sequence[str], role: str) -> None:
    faults = [Fault(f"{role} '{name}'", "its vector has a value that is not a finite number") for name in ids]
    raise_faults(DataError, f"{role.capitalize()} vectors", faults, "Encode these texts again.")


def _check(
    query_vectors: NDArray[Any],
    query_ids: Sequence[str],
    passages: PassageVectors,
    k: int,
    block: int,
    allowed: NDArray[np.bool_] | None,
) -> None:
    faults = []
    wanted = (len(query_ids), passages.dimension)
    if query_vectors.shape != wanted:
        faults.append(Fault("query_vectors", f"shape {query_vectors.shape}", f"{wanted}: queries × dimension"))
    twice = sorted(name for name, count in Counter(query_ids).items() if count > 1)
    faults += [Fault("query_ids", f"'{name}' appears more than once", "each id once") for name in twice]
    faults += [Fault(name, f"{value}", "at least 1") for name, value in (("k", k), ("block", block)) if value < 1]
    if allowed is not None and np.shape(allowed) != (len(passages.ids),):
        faults.append(Fault("allowed", f"shape {np.shape(allowed)}", f"({len(passages.ids)},): one per passage"))
    raise_faults(UsageError, "search", faults)
    _check_finite([query_ids[row] for row in _unusable(query_vectors)], "query")
