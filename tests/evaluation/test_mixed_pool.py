"""In a mixed pool, preference and fairness are what a reader works out by hand.

1. AWRF and PEER equal worked examples; PEER says nothing where every language has one passage of a grade.
2. A passage that was not found stands right below the last result; a pair of which neither was found does not count.
"""

from __future__ import annotations

import math

import pytest

from isogloss.evaluation.fairness import attention_by_language, awrf, peer
from isogloss.evaluation.mixed_pool import mixed_pool
from isogloss.records import EvalSet, Text


def test_attention_and_awrf_by_hand() -> None:
    # Ranks 1 and 2 weigh 1 and 1 / log2(3) = 0.63093, which is 0.61315 and 0.38685 of the whole.
    attention = attention_by_language(["de", "en"])
    assert attention == {"de": pytest.approx(0.613147, abs=1e-6), "en": pytest.approx(0.386853, abs=1e-6)}
    # (0.085638 - 0.076179) / 2 = 0.004729 and (0.086616 - 0.077322) / 2 = 0.004647 make a divergence of 0.009377.
    assert awrf(attention, {"de": 0.5, "en": 0.5}) == pytest.approx(0.990623, abs=1e-5)
    assert awrf({"de": 1.0}, {"en": 1.0}) == 0
    assert awrf(attention, attention) == 1


def test_peer_by_hand() -> None:
    # Rank sums 3 and 7: H = 12 / (4 * 5) * (3² / 2 + 7² / 2) - 3 * 5 = 2.4, and p = erfc(√(2.4 / 2)).
    assert peer({1: {"de": [1, 2], "en": [3, 4]}}) == pytest.approx(math.erfc(math.sqrt(1.2)), abs=1e-9)
    assert peer({1: {"de": [11, 11], "en": [11, 11]}}) == 1
    assert peer({1: {"de": [1], "en": [9]}}) is None
    assert peer({}) is None


@pytest.fixture
def pool() -> EvalSet:
    passages = [
        Text(f"p{n}.{language}", "…", language, parallel_id=f"p{n}") for n in (1, 2, 3) for language in ("de", "en")
    ]
    queries = tuple(Text(f"q{n}", "?", "de") for n in (1, 2, 3))
    qrels = {f"q{n}": {f"p{n}.de": 1} for n in (1, 2, 3)}
    return EvalSet("pool", queries, tuple(passages), qrels).mixed_pool()


def test_preference_and_rank_gap_by_hand(pool: EvalSet) -> None:
    run = {
        "q1": {"p1.en": 3.0, "p2.de": 2.0, "p1.de": 1.0},  # the translation wins; its gap is 1 - 3
        "q2": {"p2.de": 3.0, "p1.de": 2.0, "p1.en": 1.0},  # the translation is not found: 4 - 1
        "q3": {"p1.de": 1.0},  # neither is found
    }
    found = mixed_pool(pool, run, "de", resamples=50)
    assert found.preference is not None
    assert found.preference.value == 0.5
    assert (found.compared, found.unseen) == (2, 1)
    assert found.rank_gap == {"en": 0.5}
    assert found.peer is None
    # Of German passages one is first and one third: 1 and 1 / log2(4); of English ones only the first is found.
    assert found.ndcg["de"].value == pytest.approx((0.5 + 1 + 0) / 3)
    assert found.ndcg["en"].value == pytest.approx((1 + 0 + 0) / 3)
    assert mixed_pool(pool, run, "de", resamples=50) == found
