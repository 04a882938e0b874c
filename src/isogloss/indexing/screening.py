"""Which passages can be among the k best of a query at all, by a float32 product and a bound on its error.

A float32 dot product of d terms, summed in any order, differs from the true one by at most d·u·|q|·|p| with u = 2^-24
(Higham 2002, section 3.1; Cauchy-Schwarz). Rounding the vectors to float32, and to the integers of `fixed_point`, adds
less than as much again. So a passage whose float32 score lies more than

    margin = (2d + 8) · u · |q| · max |p|

below a score that k passages reach cannot be among the k best, and only the others, about k of each query, need their
exact scores. Nothing is approximated: what is left out is proved to be out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROWS_AT_ONCE = 2048
GROUPS_PER_RESULT = 4
MOST_PAIRS = 0.05
UNIT_ROUNDOFF = 2.0**-24
LEAST_NORM, LARGEST_NORM = 1e-15, 1e15  # between them no product of float32 numbers over- or underflows by more


@dataclass(frozen=True)
class Pairs:
    """Passages and the queries that they are to be compared with, place by place.

    Attributes:
        passages: Rows in the block.
        queries: Rows among the queries.
        scores: Their float32 products.
        margins: By how much these may differ from the exact scores, one a query.
    """

    passages: NDArray[np.int64]
    queries: NDArray[np.int64]
    scores: NDArray[np.float32]
    margins: NDArray[np.float64]


class Screen:
    """Sorts out passages for a fixed set of queries.

    Args:
        queries: Finite vectors of shape (queries, dimension).

    Attributes:
        queries: The same in float32.
    """

    def __init__(self, queries: NDArray[np.floating]) -> None:
        with np.errstate(over="ignore"):
            self.queries = np.ascontiguousarray(queries, dtype=np.float32)
        self._columns = self.queries.T
        self._norms = np.linalg.norm(np.asarray(queries, dtype=np.float64), axis=1)
        there = self._norms[self._norms > 0]
        self._fits = not len(there) or (there.min() >= LEAST_NORM and there.max() <= LARGEST_NORM)
        self._products = np.empty((0, len(queries)), dtype=np.float32)

    def fits(self, longest: float) -> bool:
        """Whether no vector is so long or so short that the bound does not hold, the longest passage being so long."""
        return bool(self._fits) and LEAST_NORM <= longest <= LARGEST_NORM

    def margins(self, longest: float) -> NDArray[np.float64]:
        """The bound on the error of a float32 product of each query with passages up to this length, (queries,)."""
        margins: NDArray[np.float64] = self._norms * ((2 * self.queries.shape[1] + 8) * UNIT_ROUNDOFF * longest)
        return margins

    def pairs(self, passages: NDArray[np.float32], floors: NDArray[np.float64], k: int) -> Pairs | None:
        """What has to be compared exactly.

        Args:
            passages: Vectors of shape (passages, dimension).
            floors: A score that k passages of each query are known to reach, shape (queries,); -inf where there are
                not so many yet.
            k: Results wanted.

        Returns:
            All pairs whose score can be the floor or more; None where these would be so many, or the vectors so long
            or short, that comparing everything is the better way.
        """
        longest = largest_norm(passages)
        if not self.fits(longest):
            return None
        margins = self.margins(longest)
        found: list[NDArray[np.int64]] = []
        scores: list[NDArray[np.float32]] = []
        most = MOST_PAIRS * len(passages) * len(self._norms)
        unknown = bool(np.isneginf(floors).any())
        at_once = len(passages) if unknown else ROWS_AT_ONCE  # floors of all rows are higher than those of some
        for first in range(0, len(passages), at_once):
            products = self._product(passages[first : first + at_once])
            if unknown:
                floors = np.maximum(floors, reached(products, k) - margins)
            limits = np.nextafter((floors - margins).astype(np.float32), np.float32(-np.inf))
            places = np.flatnonzero(products >= limits)
            found.append(places + first * len(self._norms))
            scores.append(products.ravel()[places])
            if sum(map(len, found)) > most:
                return None
        rows, columns = np.divmod(np.concatenate(found), len(self._norms))
        return Pairs(rows, columns, np.concatenate(scores), margins)

    def _product(self, passages: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of shape (passages, queries), in memory that is used again for the next ones."""
        if len(self._products) < len(passages):
            self._products = np.empty((len(passages), len(self._norms)), dtype=np.float32)
        return np.matmul(passages, self._columns, out=self._products[: len(passages)])


def largest_norm(passages: NDArray[np.float32]) -> float:
    """Length of the longest vector; infinite where float32 cannot hold its square."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sqrt(np.einsum("ij,ij->i", passages, passages).max(initial=0.0)))


def reached(products: NDArray[np.float32] | NDArray[np.int32], k: int) -> NDArray[np.float64]:
    """A score that k passages of each query reach, shape (queries,): the k-th largest of the maxima of groups."""
    rows, queries = products.shape
    groups = min(rows, GROUPS_PER_RESULT * k)
    if groups < k:
        return np.full(queries, -np.inf)
    maxima = products[: rows - rows % groups].reshape(groups, -1, queries).max(axis=1)
    lowest: NDArray[np.float64] = np.partition(maxima, groups - k, axis=0)[groups - k].astype(np.float64)
    return lowest
