"""What decides: a difference with an interval over queries and seeds, and the verdict that follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95

Verdict = Literal["held", "did not hold", "undecided"]
# Values of one run by language pair and query; a query is (what it shares with its translations, value).
PairValues = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """Rounded to what is meaningful."""
        return {name: round(value, 5) for name, value in asdict(self).items()}


def interval(runs: Sequence[PairValues], units: Mapping[str, str], *, seed: int = 13) -> Interval:
    """Mean over language pairs of the mean over queries, averaged over seeds, with a bootstrap over both.

    A resample draws seeds, and draws questions: all languages of a question come together, since its translations are
    no independent evidence. With n seeds the spread over them is stretched by sqrt(n / (n - 1)), for a resample of so
    few seeds varies less than seeds do.

    Args:
        runs: Of each seed, values (or differences) by pair and query id; all with the same pairs and queries.
        units: Question that a query id belongs to; an id without an entry is its own.
        seed: Of the resampling.
    """
    pairs = sorted(runs[0])
    named = sorted({units.get(query, query) for pair in pairs for query in runs[0][pair]})
    place = {name: number for number, name in enumerate(named)}
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(len(named), np.full(len(named), 1 / len(named)), size=RESAMPLES).astype(np.float64)
    means, samples = np.zeros(len(runs)), np.zeros((RESAMPLES, len(runs)))
    for pair in pairs:
        queries = sorted(runs[0][pair])
        weights = counts[:, [place[units.get(query, query)] for query in queries]]
        values = np.array([[run[pair][query] for query in queries] for run in runs])
        means += values.mean(axis=1) / len(pairs)
        # A resample may miss every question of a small pair; the pair then keeps its mean.
        total = weights.sum(axis=1, keepdims=True)
        drawn = np.where(total > 0, weights @ values.T / np.maximum(total, 1), values.mean(axis=1))
        samples += drawn / len(pairs)
    middle = samples.mean(axis=1, keepdims=True)
    stretch = np.sqrt(len(runs) / max(len(runs) - 1, 1))
    samples = middle + (samples - middle) * stretch
    seeds = generator.integers(0, len(runs), size=(RESAMPLES, len(runs)))
    drawn_means = np.take_along_axis(samples, seeds, axis=1).mean(axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn_means, [tail, 1 - tail])
    return Interval(float(means.mean()), float(low), float(high))


def differences(better: Sequence[PairValues], worse: Sequence[PairValues]) -> list[dict[str, dict[str, float]]]:
    """Per seed, pair and query: the value of one arm less that of the other."""
    return [
        {
            pair: {query: value - second[pair][query] for query, value in values.items()}
            for pair, values in first.items()
        }
        for first, second in zip(better, worse, strict=True)
    ]


def verdict(found: Interval, expected: str = "higher", margin: float = 0.01) -> Verdict:
    """What an interval says of a claim.

    Args:
        found: Of the difference.
        expected: `higher`: it held where the interval lies above 0, and did not where it lies below. `not lower`: it
            held where the interval lies above -margin, and did not where it lies below.
        margin: Largest loss that counts as none.
    """
    border = 0.0 if expected == "higher" else -margin
    if found.low > border:
        return "held"
    return "did not hold" if found.high < border else "undecided"


def spread(values: Sequence[float]) -> float:
    """Standard deviation over seeds."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def mean_of(run: PairValues) -> float:
    """Mean over pairs of the mean over queries."""
    return float(np.mean([np.mean(list(values.values())) for values in run.values()]))


def summary(runs: Sequence[PairValues], units: Mapping[str, str]) -> dict[str, Any]:
    """One arm on one set: mean, interval and spread over seeds."""
    return {
        **interval(runs, units).to_json(),
        "spread_over_seeds": round(spread([mean_of(run) for run in runs]), 5),
    }
