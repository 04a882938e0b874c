"""A negative lies in the window of ranks, below what the positive allows, and under no rule; the draw is by the seed.

1. Ranks begin at 1, both ends of the window belong to it, and excluded candidates keep their ranks.
2. A candidate above the fraction of the positive's score, or nearer than the margin, is left out; on it, it stays.
3. Each excluded candidate of the window is counted once, under the first rule that hits it.
4. Negatives come in the order of their ranks; equal keys and seeds draw alike, others differ; each candidate may come.
5. A rule about what is drawn is asked until there are enough, and what may be chosen is what both rules let pass.
6. Shares of languages are whole numbers that add up.
"""

from __future__ import annotations

from collections import Counter

import pytest

from isogloss.errors import UsageError
from isogloss.training.mining import SelectionRule, select_negatives
from isogloss.training.mining.selection import TOO_CLOSE, shares

# The positive is `gold` with 0.80: 95 % of it are 0.76, and 0.10 below it is 0.70.
RANKED = [("a", 0.90), ("gold", 0.80), ("b", 0.77), ("c", 0.76), ("d", 0.71), ("e", 0.70), ("f", 0.40)]


def reason(candidate):
    return "known" if candidate in ("gold", "f") else None


def ids(selection):
    return "".join(negative.id for negative in selection.negatives)


@pytest.mark.parametrize(
    ("options", "expected", "excluded"),
    [
        ({}, "abcde", {"known": 2}),
        ({"fraction": 0.95}, "cde", {"known": 2, TOO_CLOSE: 2}),
        ({"margin": 0.1}, "e", {"known": 2, TOO_CLOSE: 4}),
        ({"fraction": 0.95, "margin": 0.09}, "de", {"known": 2, TOO_CLOSE: 3}),
        ({"fraction": 1.0}, "bcde", {"known": 2, TOO_CLOSE: 1}),
        ({"first_rank": 3, "last_rank": 5}, "bcd", {}),
        ({"first_rank": 2, "last_rank": 2}, "", {"known": 1}),
        ({"first_rank": 7, "last_rank": 90}, "", {"known": 1}),
        ({"first_rank": 8}, "", {}),
    ],
)
def test_the_window_and_the_limits(options, expected, excluded):
    rule = SelectionRule(**{"first_rank": 1, "pick": "first", **options})
    selection = select_negatives(RANKED, 9, rule, positive_score=0.8, reason_against=reason)
    assert ids(selection) == expected
    assert selection.excluded == excluded


def test_ranks_and_scores_are_those_of_the_list():
    rule = SelectionRule(first_rank=1, last_rank=7, pick="first")
    found = select_negatives(RANKED, 3, rule, reason_against=reason).negatives
    assert [(negative.id, negative.rank, negative.score) for negative in found] == [
        ("a", 1, 0.90),
        ("b", 3, 0.77),
        ("c", 4, 0.76),
    ]


def test_a_fraction_of_a_negative_score_lies_below_it():
    ranked = [("a", -0.19), ("b", -0.20), ("c", -0.211), ("d", -0.22)]
    rule = SelectionRule(first_rank=1, fraction=0.95, pick="first")
    assert ids(select_negatives(ranked, 4, rule, positive_score=-0.2)) == "cd"


def test_the_draw():
    ranked = [(str(rank), 1 - rank / 100) for rank in range(1, 101)]
    rule = SelectionRule(first_rank=30, last_rank=100)
    counts: Counter[int] = Counter()
    for number in range(300):
        chosen = select_negatives(ranked, 7, rule, key=f"row {number}").negatives
        ranks = [negative.rank for negative in chosen]
        assert ranks == sorted(set(ranks))
        assert len(ranks) == 7
        counts.update(ranks)
    assert set(counts) == set(range(30, 101))
    # 2,100 draws over 71 ranks: 29.6 of each, with a standard deviation of about 5.2.
    assert max(counts.values()) < 60
    first, second = (select_negatives(ranked, 7, rule, key=key) for key in ("one", "two"))
    assert first == select_negatives(ranked, 7, rule, key="one") != second
    assert first != select_negatives(ranked, 7, SelectionRule(first_rank=30, seed=14), key="one")


@pytest.mark.parametrize("pick", ["first", "random"])
def test_a_rule_about_what_is_drawn(pick):
    asked: list[str] = []

    def copied(candidate):
        asked.append(candidate)
        return "copied" if candidate in ("a", "c", "e") else None

    rule = SelectionRule(first_rank=1, pick=pick)
    options = {"reason_against": reason, "reason_against_drawn": copied}
    assert ids(select_negatives(RANKED, 9, rule, **options)) == "bd"
    assert sorted(asked) == ["a", "b", "c", "d", "e"]
    seen = set()
    for key in map(str, range(40)):
        asked.clear()
        selection = select_negatives(RANKED, 1, rule, key=key, **options)
        assert asked[-1] == ids(selection)
        assert selection.excluded == {"known": 2} | ({"copied": len(asked) - 1} if len(asked) > 1 else {})
        seen.add(ids(selection))
    assert seen == ({"b"} if pick == "first" else {"b", "d"})


def test_a_rule_that_compares_needs_the_score_of_the_positive():
    with pytest.raises(UsageError, match="positive_score"):
        select_negatives(RANKED, 1, SelectionRule(margin=0.0))


def test_all_faults_of_a_rule_come_at_once():
    with pytest.raises(UsageError) as caught:
        SelectionRule(first_rank=0, fraction=1.5, margin=-1.0, pick="last", seed=-1)
    assert [fault.where for fault in caught.value.faults] == ["ranks", "fraction", "margin", "pick", "seed"]


@pytest.mark.parametrize(
    ("count", "weights", "expected"),
    [
        (7, {"same": 1, "other": 1}, {"same": 4, "other": 3}),
        (8, {"same": 3, "other": 1}, {"same": 6, "other": 2}),
        (5, {"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 2, "c": 1}),
        (1, {"a": 1, "b": 2}, {"a": 0, "b": 1}),
        (7, {"same": 0.5}, {"same": 7}),
    ],
)
def test_shares(count, weights, expected):
    assert shares(count, weights) == expected
