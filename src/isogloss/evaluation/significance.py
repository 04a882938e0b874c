"""Intervals and tests over queries: seeded, vectorised, and independent of the order in which queries come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

EXACT_UP_TO = 14
FLIPS_AT_ONCE = 1000


def bootstrap_means(queries: int, *, resamples: int, seed: int) -> NDArray[np.float64]:
    """Weights of shape (resamples, queries) whose product with values per query gives means of bootstrap samples."""
    counts = np.random.default_rng(seed).multinomial(queries, np.full(queries, 1 / queries), size=resamples)
    return counts / queries


def bootstrap_intervals(
    values: NDArray[np.float64], weights: NDArray[np.float64], *, confidence: float = 0.95
) -> NDArray[np.float64]:
    """Percentile intervals of means.

    Args:
        values: Shape (queries, measures), queries in the order of their ids.
        weights: From `bootstrap_means` for as many queries.
        confidence: Share of the samples inside an interval.

    Returns:
        Lower and upper ends, shape (2, measures).
    """
    tail = (1 - confidence) / 2
    ends: NDArray[np.float64] = np.quantile(weights @ values, [tail, 1 - tail], axis=0)
    return ends


def randomisation_test(differences: NDArray[np.float64], *, resamples: int, seed: int) -> NDArray[np.float64]:
    """Two-sided p values of the paired randomisation test.

    Under the null hypothesis the sign of each query's difference is a coin toss. Up to 14 queries that differ, all sign
    patterns are counted; above, `resamples` of them are drawn and the observed one counts among them.
    Source: Smucker, Allan and Carterette 2007.

    Args:
        differences: Shape (queries, measures), queries in the order of their ids.
        resamples: Sign patterns drawn.
        seed: Seed of the draw.

    Returns:
        Shape (measures,); 1 where no query differs.
    """
    return np.array([_p_value(column[column != 0], resamples, seed) for column in differences.T])


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for being several, after Holm 1979, in the order given."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda index: (p_values[index], index))):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _p_value(differences: NDArray[np.float64], resamples: int, seed: int) -> float:
    count = len(differences)
    if count == 0:
        return 1.0
    # Sums of the same numbers in another order differ in their last bits; patterns as extreme as the observed count.
    observed = abs(differences.sum()) - 1e-9 * np.abs(differences).sum()
    if count <= EXACT_UP_TO:
        bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        return float((np.abs((2.0 * bits - 1) @ differences) >= observed).mean())
    generator = np.random.default_rng(seed)
    extreme = 0
    for first in range(0, resamples, FLIPS_AT_ONCE):
        flips = generator.integers(0, 2, size=(min(FLIPS_AT_ONCE, resamples - first), count), dtype=np.int8)
        extreme += int((np.abs((2.0 * flips - 1) @ differences) >= observed).sum())
    return (extreme + 1) / (resamples + 1)
