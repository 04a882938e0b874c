"""Dot products whose bits depend on the two vectors alone.

A floating-point sum depends on the order of its terms, and a matrix product orders them by block size, position and
processor. Here each vector is a row of integers (26 bits below a power of two near its norm), so that a product of two
rows is a sum of integers below 2^53 by the Cauchy-Schwarz inequality: float64 holds every partial sum exactly, and the
order is of no account. The rounding to integers moves a score by less than the rounding to float32 does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FRACTION_BITS = 26
ROWS_AT_ONCE = 128  # as many as a core's cache holds


@dataclass(frozen=True)
class FixedPoint:
    """Vectors as integers.

    Attributes:
        integers: Whole numbers, float64, shape (n, dimension).
        scales: Power of two by which a row is to be multiplied, float64, shape (n,).
    """

    integers: NDArray[np.float64]
    scales: NDArray[np.float64]

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> FixedPoint:
        return FixedPoint(self.integers[rows], self.scales[rows])


def fixed_point(vectors: NDArray[Any]) -> FixedPoint:
    """Rounds finite vectors of shape (n, dimension) to 26 bits below a power of two within [3/4, 3/2] of their norm."""
    integers = np.empty(np.shape(vectors), dtype=np.float64)
    scales = np.empty(len(vectors), dtype=np.float64)
    for first in range(0, len(vectors), ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        values = np.array(vectors[rows], dtype=np.float64)
        norms = np.sqrt(np.square(values).sum(axis=1))
        # The factor keeps the change of exponent away from norm 1, where unit vectors lie on both sides by rounding.
        exponents = np.frexp(norms * 0.75)[1]
        exponents[norms == 0] = 0
        values *= np.ldexp(1.0, FRACTION_BITS - exponents)[:, None]
        np.rint(values, out=integers[rows])
        scales[rows] = np.ldexp(1.0, exponents - FRACTION_BITS)
    return FixedPoint(integers, scales)


def exact_scores(queries: FixedPoint, passages: FixedPoint) -> NDArray[np.float32]:
    """Dot products, float32, shape (queries, passages): each is the exact sum, rounded once."""
    products = queries.integers @ passages.integers.T
    products *= queries.scales[:, None]
    products *= passages.scales[None, :]
    return products.astype(np.float32)


def exact_pair_scores(first: FixedPoint, second: FixedPoint) -> NDArray[np.float32]:
    """Dot product of each pair of rows, float32, shape (pairs,), with the very bits that `exact_scores` gives it."""
    products: NDArray[np.float64] = np.einsum("ij,ij->i", first.integers, second.integers)
    products *= first.scales
    products *= second.scales
    return products.astype(np.float32)
