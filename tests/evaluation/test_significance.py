"""Intervals and p values are those of SciPy, do not change from run to run, and hold their level.

1. The randomisation test is exact for few queries and near SciPy's for many.
2. Under the null hypothesis p is uniform: a level of 5 % is missed in 5 % of the cases.
3. Holm's correction is the published one, whatever the order.
4. The bootstrap interval covers the true mean about as often as it says.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from isogloss.evaluation.significance import bootstrap_intervals, bootstrap_means, holm, randomisation_test


def p_value(differences: np.ndarray, resamples: int = 4000) -> float:
    return float(randomisation_test(differences[:, None], resamples=resamples, seed=1)[0])


def scipy_p_value(differences: np.ndarray, resamples: int) -> float:
    found = stats.permutation_test(
        (differences, np.zeros_like(differences)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def test_exact_for_few_queries() -> None:
    assert p_value(np.array([0.1, 0.2, 0.3, 0.4])) == 2 / 16
    differences = np.random.default_rng(2).standard_normal(9)
    assert p_value(differences) == pytest.approx(scipy_p_value(differences, 2**9))


def test_equal_sums_in_another_order_count_as_extreme() -> None:
    assert p_value(np.array([0.1, 0.2, -0.3, 0.0])) == 1.0


def test_near_scipy_for_many() -> None:
    differences = np.random.default_rng(3).standard_normal(200) + 0.12
    assert p_value(differences) == pytest.approx(scipy_p_value(differences, 4000), abs=0.02)


def test_no_difference_is_no_evidence() -> None:
    assert p_value(np.zeros(30)) == 1.0
    assert p_value(np.empty(0)) == 1.0


def test_level_under_the_null_hypothesis() -> None:
    generator = np.random.default_rng(4)
    values = generator.choice([-0.5, -0.1, 0.0, 0.2, 0.4], size=(60, 400)) * generator.choice([-1, 1], size=(60, 400))
    rejected = (randomisation_test(values, resamples=500, seed=1) < 0.05).mean()
    assert 0.02 < rejected < 0.09


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_interval_covers_and_repeats() -> None:
    generator = np.random.default_rng(5)
    weights = bootstrap_means(80, resamples=400, seed=1)
    low, high = bootstrap_intervals(generator.exponential(size=(80, 300)), weights)
    assert 0.88 < ((low < 1) & (high > 1)).mean() < 0.99
    assert (bootstrap_means(80, resamples=400, seed=1) == weights).all()
    np.testing.assert_allclose(bootstrap_intervals(np.full((80, 1), 0.25), weights).ravel(), [0.25, 0.25])
