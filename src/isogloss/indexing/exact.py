"""Exact search: every passage is compared, in one pass over the bank and in bounded memory.

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
from isogloss.indexing.fixed_point import FixedPoint, exact_scores, fixed_point
from isogloss.indexing.ranking import NO_RESULT, PassageOrder, largest, ranking_keys

QUERIES_AT_ONCE = 512


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
) -> dict[str, dict[str, float]]:
    """Finds the k best passages of each query.

    Args:
        query_vectors: Shape (queries, dimension).
        query_ids: One id per query, each once.
        passages: A bank or a `VectorTable`.
        k: Results per query; fewer where there are fewer passages.
        block: Passages compared at once. It bounds the memory and changes nothing else.
        allowed: Which passages may be found, shape (passages,); all where it is None.

    Returns:
        Run: query id to passage id to float32 score, best first.

    Raises:
        UsageError: Arguments that do not fit each other.
        DataError: Passage ids that appear twice, or vectors that are not finite.
    """
    query_vectors = np.asarray(query_vectors)
    _check(query_vectors, query_ids, passages, k, block, allowed)
    order = PassageOrder(passages.ids)
    queries = fixed_point(query_vectors)
    best = np.full((len(query_ids), 0), NO_RESULT, dtype=np.uint64)
    for start, matrix in _blocks(passages, block):
        rows = np.arange(start, start + len(matrix))
        if allowed is not None:
            matrix, rows = matrix[allowed[rows]], rows[allowed[rows]]
        if len(rows):
            _check_finite([passages.ids[row] for row in rows[_unusable(matrix)]], "passage")
            best = _merged(best, queries, fixed_point(matrix), order.places[rows], k)
    return {query_id: order.results(keys) for query_id, keys in zip(query_ids, best, strict=True)}


def _merged(
    best: NDArray[np.uint64], queries: FixedPoint, passages: FixedPoint, places: NDArray[np.uint64], k: int
) -> NDArray[np.uint64]:
    """The k best keys of each query after one more block."""
    parts = []
    for first in range(0, len(best), QUERIES_AT_ONCE):
        rows = slice(first, first + QUERIES_AT_ONCE)
        found = largest(ranking_keys(exact_scores(queries[rows], passages), places), k)
        parts.append(largest(np.concatenate([best[rows], found], axis=1), k))
    return np.concatenate(parts) if parts else best


def _blocks(passages: PassageVectors, block: int) -> Iterator[tuple[int, NDArray[Any]]]:
    for start, _, matrix in passages.vectors():
        for first in range(0, len(matrix), block):
            yield start + first, np.asarray(matrix[first : first + block])


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
