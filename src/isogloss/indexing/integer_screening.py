"""Screening by products of 8-bit integers: a first sieve before the float32 one, where the processor is fast at it.

A query q is rounded to t·y and the passages p of a block to s·x, with x and y of whole numbers up to 127, so that

    q·p = t·s·(x·y) + t·y·(p − s·x) + (q − t·y)·p

where x·y is computed exactly and the other two terms are at most |t·y| |p − s·x| and |q − t·y| |p| (Cauchy-Schwarz).
So a passage whose t·s·(x·y) lies more than

    margin = |t·y| · max |p − s·x| + |q − t·y| · max |p| + the margin of `screening`

below a score that k passages reach cannot be among the k best. What passes is sieved again by float32 products.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isogloss.indexing.integer_products import LARGEST, MOST_DIMENSIONS, OFFSET, Product, integer_product
from isogloss.indexing.screening import MOST_PAIRS, Pairs, Screen, largest_norm, reached

LEAST_QUERIES = 128  # fewer do not pay for loading onnxruntime
ROWS_AT_ONCE = 1024
PAIRS_AT_ONCE = 1024
ROUNDED_AT_ONCE = 256
INT32 = np.iinfo(np.int32)


def best_screen(queries: NDArray[np.floating]) -> Screen | IntegerScreen:
    """The fastest screen for these queries, finite vectors of shape (queries, dimension), on this processor."""
    if len(queries) < LEAST_QUERIES or queries.shape[1] > MOST_DIMENSIONS:
        return Screen(queries)
    product = integer_product()
    return Screen(queries) if product is None else IntegerScreen(queries, product)


class IntegerScreen:
    """Sorts out passages for a fixed set of queries; `Screen` does where integers cannot.

    Args:
        queries: Finite vectors of shape (queries, dimension).
        product: Multiplies the integers.
    """

    def __init__(self, queries: NDArray[np.floating], product: Product) -> None:
        self._product = product
        self._float = Screen(queries)
        self._queries = self._float.queries
        exact = np.asarray(queries, dtype=np.float64)
        steps = np.abs(exact).max(axis=1, initial=0.0) / LARGEST
        self._steps = np.where(steps > 0, steps, 1.0)
        codes = np.rint(exact / self._steps[:, None])
        rounded = codes * self._steps[:, None]
        self._lengths = np.linalg.norm(rounded, axis=1)
        self._errors = np.linalg.norm(exact - rounded, axis=1)
        self._offsets = OFFSET * codes.sum(axis=1)
        self._codes = np.ascontiguousarray(codes.T.astype(np.int8))

    def pairs(self, passages: NDArray[np.float32], floors: NDArray[np.float64], k: int) -> Pairs | None:
        """What has to be compared exactly; arguments and answer are those of `Screen.pairs`."""
        longest = largest_norm(passages)
        if not self._float.fits(longest):
            return None
        least = self._errors * longest + self._float.margins(longest)
        found: list[NDArray[np.int64]] = []
        most = MOST_PAIRS * len(passages) * len(self._steps)
        unknown = bool(np.isneginf(floors).any())
        at_once = len(passages) if unknown else ROWS_AT_ONCE  # floors of all rows are higher than those of some
        for first in range(0, len(passages), at_once):
            some = passages[first : first + at_once]
            codes, step, error = _codes_of(some)
            products = self._product(codes, self._codes)
            margins = self._lengths * error + least
            if unknown:
                floors = np.maximum(floors, self._scores(reached(products, k), step) - margins)
            found.append(np.flatnonzero(products >= self._limits(floors - margins, step)) + first * len(self._steps))
            if sum(map(len, found)) > most:
                return self._float.pairs(passages, floors, k)
        rows, columns = np.divmod(np.concatenate(found), len(self._steps))
        return self._sieved(rows, columns, passages, floors, self._float.margins(longest))

    def _scores(self, products: NDArray[np.float64], step: float) -> NDArray[np.float64]:
        """t·s·(x·y) from the products, one a query."""
        scores: NDArray[np.float64] = (products - self._offsets) * (self._steps * step)
        return scores

    def _limits(self, scores: NDArray[np.float64], step: float) -> NDArray[np.int32]:
        """The least product that may stand for these scores, one a query."""
        products = np.floor(scores / (self._steps * step)) + self._offsets
        limits: NDArray[np.int32] = np.clip(products, INT32.min, INT32.max).astype(np.int32)
        return limits

    def _sieved(
        self,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        passages: NDArray[np.float32],
        floors: NDArray[np.float64],
        margins: NDArray[np.float64],
    ) -> Pairs:
        """Those of the pairs that the float32 screen would keep."""
        scores = np.empty(len(rows), dtype=np.float32)
        for first in range(0, len(rows), PAIRS_AT_ONCE):
            some = slice(first, first + PAIRS_AT_ONCE)
            scores[some] = np.einsum("ij,ij->i", passages[rows[some]], self._queries[columns[some]])
        kept = scores >= (floors - margins)[columns]
        return Pairs(rows[kept], columns[kept], scores[kept], margins)


def _codes_of(passages: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float, float]:
    """Of some passages x + 128, s, and the largest |p − s·x|."""
    step = np.float32(max(passages.max(initial=0.0), -passages.min(initial=0.0)) / np.float32(LARGEST)) or np.float32(1)
    codes = np.empty(passages.shape, dtype=np.uint8)
    error = 0.0
    for first in range(0, len(passages), ROUNDED_AT_ONCE):
        some = passages[first : first + ROUNDED_AT_ONCE]
        rounded = np.rint(some / step)
        codes[first : first + ROUNDED_AT_ONCE] = rounded + np.float32(OFFSET)
        rounded *= step
        rounded -= some
        error = max(error, float(np.einsum("ij,ij->i", rounded, rounded).max(initial=0.0)))
    return codes, float(step), float(np.sqrt(error))
