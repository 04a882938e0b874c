"""The interval is over questions and seeds, translations of a question move together, and its border decides."""

from __future__ import annotations

import numpy as np
import pytest
from experiments.statistics import Interval, differences, interval, spread, verdict


def runs_of(values: np.ndarray) -> list[dict[str, dict[str, float]]]:
    """Runs with one pair from an array of shape (seeds, queries)."""
    return [{"de-en": {f"q{number}": float(value) for number, value in enumerate(run)}} for run in values]


def test_each_pair_counts_once_however_many_queries_it_has() -> None:
    run = {"de-en": {"a": 1.0, "b": 0.0, "c": 0.0, "d": 0.0}, "fr-en": {"e": 1.0}}
    assert interval([run], {}).value == pytest.approx((0.25 + 1.0) / 2)


def test_of_equal_seeds_the_interval_is_that_of_a_mean_over_queries() -> None:
    values = np.random.default_rng(0).normal(size=400)
    found = interval(runs_of(np.stack([values] * 3)), {})
    half = 1.96 * values.std() / np.sqrt(400)
    assert found.high - found.value == pytest.approx(half, rel=0.1)
    assert found.value - found.low == pytest.approx(half, rel=0.1)


def test_of_equal_queries_the_interval_has_the_standard_error_over_seeds() -> None:
    seeds = np.random.default_rng(1).normal(size=12)
    found = interval(runs_of(np.repeat(seeds[:, None], 50, axis=1)), {})
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * seeds.std(ddof=1) / np.sqrt(12), rel=0.1)


def test_translations_of_a_question_are_no_further_evidence() -> None:
    values = np.random.default_rng(2).normal(size=200)
    once = interval(runs_of(values[None]), {})
    copies = {
        f"{lang}-en": {f"q{n}.{lang}": float(v) for n, v in enumerate(values)} for lang in ("de", "fr", "ru", "zh")
    }
    units = {query: query.split(".")[0] for queries in copies.values() for query in queries}
    together, apart = interval([copies], units), interval([copies], {})
    assert together.high - together.low == pytest.approx(once.high - once.low, rel=0.1)
    assert (apart.high - apart.low) * 2 == pytest.approx(once.high - once.low, rel=0.15)


def test_a_pair_that_a_resample_misses_keeps_its_mean() -> None:
    run = {"de-en": {f"q{n}": 0.5 for n in range(40)}, "fr-en": {"single": 0.3}}
    found = interval([run], {})
    assert (found.low, found.high) == (pytest.approx(0.4), pytest.approx(0.4))


def test_differences_are_those_of_the_same_query_pair_and_seed() -> None:
    first = [{"de-en": {"a": 1.0, "b": 0.5}}, {"de-en": {"a": 0.25, "b": 0.5}}]
    second = [{"de-en": {"b": 0.5, "a": 0.5}}, {"de-en": {"b": 0.0, "a": 0.5}}]
    assert differences(first, second) == [{"de-en": {"a": 0.5, "b": 0.0}}, {"de-en": {"a": -0.25, "b": 0.5}}]


@pytest.mark.parametrize(
    ("low", "high", "expected", "said"),
    [
        (0.001, 0.02, "higher", "held"),
        (-0.02, -0.001, "higher", "did not hold"),
        (-0.001, 0.02, "higher", "undecided"),
        (-0.009, -0.001, "not lower", "held"),
        (-0.03, -0.011, "not lower", "did not hold"),
        (-0.03, 0.02, "not lower", "undecided"),
    ],
)
def test_the_border_of_the_interval_decides(low: float, high: float, expected: str, said: str) -> None:
    assert verdict(Interval((low + high) / 2, low, high), expected, margin=0.01) == said


def test_the_spread_of_one_seed_is_none() -> None:
    assert spread([0.4]) == 0.0
    assert spread([0.1, 0.3]) == pytest.approx(0.2 / np.sqrt(2))
