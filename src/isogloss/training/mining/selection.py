"""Which of the ranked candidates of one anchor become its negatives: pure functions of ranks, scores and reasons.

A candidate c at rank r of an anchor whose positive scores s⁺ may be chosen if

    first_rank ≤ r ≤ last_rank,   no rule names a reason against it,   s(c) ≤ s⁺ − margin,
    s(c) ≤ s⁺ − (1 − fraction) · |s⁺|          which is fraction · s⁺ where s⁺ is positive

Ranks count every candidate, known answers too, so that a window means the same whatever is excluded. Source: the
fraction is NV-Retriever's idea (de Souza et al. 2024), and both are options of the retrofit recipe (Tu et al. 2025,
2510.14274, whose window is not known); the margin, and the fraction's form for scores below zero, are ours.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from isogloss.errors import Fault, UsageError, raise_faults

TOO_CLOSE = "too close to the positive"
Pick = Literal["random", "first"]


@dataclass(frozen=True)
class SelectionRule:
    """Which candidates may be chosen, and how.

    Attributes:
        first_rank: First rank of the window, from 1.
        last_rank: Last rank of the window, itself within it.
        fraction: Most of the positive's score that a negative may have; None asks nothing.
        margin: Least distance below the positive's score; None asks nothing.
        pick: `random` draws among the window, `first` takes the best ranks of it.
        seed: Of that draw.
    """

    first_rank: int = 30
    last_rank: int = 100
    fraction: float | None = None
    margin: float | None = None
    pick: Pick = "random"
    seed: int = 13

    def __post_init__(self) -> None:
        faults = []
        if not 1 <= self.first_rank <= self.last_rank:
            faults.append(Fault("ranks", f"{self.first_rank}-{self.last_rank}", "FIRST-LAST with 1 ≤ FIRST ≤ LAST"))
        if self.fraction is not None and not 0 < self.fraction <= 1:
            faults.append(Fault("fraction", f"{self.fraction}", "above 0, at most 1"))
        if self.margin is not None and not (self.margin >= 0 and math.isfinite(self.margin)):
            faults.append(Fault("margin", f"{self.margin}", "0 or more"))
        if self.pick not in ("random", "first"):
            faults.append(Fault("pick", f"'{self.pick}'", "random or first"))
        if self.seed < 0:
            faults.append(Fault("seed", f"{self.seed}", "0 or more"))
        raise_faults(UsageError, "Choice of negatives", faults)

    @property
    def needs_positive_score(self) -> bool:
        """Whether candidates are compared with the positive."""
        return self.fraction is not None or self.margin is not None

    def highest_score(self, positive_score: float) -> float:
        """The highest score that a negative may have beside a positive of this score."""
        limits = [math.inf]
        if self.margin is not None:
            limits.append(positive_score - self.margin)
        if self.fraction is not None:
            limits.append(positive_score - (1 - self.fraction) * abs(positive_score))
        return min(limits)


@dataclass(frozen=True)
class Negative:
    """A chosen candidate with its rank, from 1, and its score."""

    id: str
    rank: int
    score: float


@dataclass(frozen=True)
class Selection:
    """Negatives of one anchor, in the order of their ranks, and how many candidates each rule excluded."""

    negatives: tuple[Negative, ...] = ()
    excluded: Mapping[str, int] = field(default_factory=dict)


def select_negatives(
    ranked: Sequence[tuple[str, float]],
    count: int,
    rule: SelectionRule,
    *,
    key: str = "",
    positive_score: float | None = None,
    reason_against: Callable[[str], str | None] = lambda candidate: None,
    reason_against_drawn: Callable[[str], str | None] = lambda candidate: None,
) -> Selection:
    """Chooses negatives among ranked candidates.

    Args:
        ranked: Ids and scores, best first, from rank 1.
        count: Most negatives.
        rule: Which may be chosen, and how.
        key: What the draw of this anchor depends on beside the seed; equal keys draw alike wherever they stand.
        positive_score: Score of the anchor's positive, which a rule with a fraction or a margin needs.
        reason_against: Gives the name of the rule that excludes an id, or None; asked of the whole window.
        reason_against_drawn: A second such rule that is asked of what is drawn alone, one by one until there are
            enough. What may be chosen is the same, so a costly rule belongs here.

    Returns:
        The negatives in the order of their ranks. Each excluded candidate is counted once, under the first rule that
        hits it.

    Raises:
        UsageError: If the rule compares with the positive and there is no score of it.

    Examples:
        >>> ranked = [("gold", 0.9), ("a", 0.88), ("b", 0.8), ("c", 0.5)]
        >>> rule = SelectionRule(first_rank=2, last_rank=4, fraction=0.95, pick="first")
        >>> [negative.id for negative in select_negatives(ranked, 2, rule, positive_score=0.9).negatives]
        ['b', 'c']
    """
    if rule.needs_positive_score and positive_score is None:
        raise UsageError("positive_score: None", next_step="A fraction or a margin needs the score of the positive.")
    highest = math.inf if positive_score is None else rule.highest_score(positive_score)
    excluded: Counter[str] = Counter()
    eligible = []
    for rank, (candidate, score) in enumerate(ranked[: rule.last_rank], start=1):
        if rank < rule.first_rank:
            continue
        reason = reason_against(candidate) or (TOO_CLOSE if score > highest else None)
        if reason is None:
            eligible.append(Negative(candidate, rank, score))
        else:
            excluded[reason] += 1
    chosen: list[Negative] = []
    for negative in _in_order_of_draw(eligible, rule, key):
        if len(chosen) == count:
            break
        reason = reason_against_drawn(negative.id)
        if reason is None:
            chosen.append(negative)
        else:
            excluded[reason] += 1
    return Selection(tuple(sorted(chosen, key=lambda negative: negative.rank)), excluded)


def _in_order_of_draw(eligible: Sequence[Negative], rule: SelectionRule, key: str) -> Iterator[Negative]:
    if rule.pick == "first":
        yield from eligible
        return
    # A digest, since the hash of a string differs from process to process.
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    generator = np.random.default_rng((rule.seed, int.from_bytes(digest, "big")))
    for place in generator.permutation(len(eligible)).tolist():
        yield eligible[place]


def shares(count: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Parts of `count` in proportion to the weights, by largest remainder, ties to the earlier name.

    Examples:
        >>> shares(7, {"same": 1, "other": 1})
        {'same': 4, 'other': 3}
    """
    total = sum(weights.values())
    exact = {name: count * weight / total for name, weight in weights.items()}
    parts = {name: math.floor(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: parts[name] - exact[name])
    for name in by_remainder[: count - sum(parts.values())]:
        parts[name] += 1
    return parts
