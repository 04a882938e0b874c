"""Whether a ranking treats languages alike: attention by language, AWRF and PEER."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

FAIRNESS_CUTOFF = 20


def attention_by_language(languages: Sequence[str]) -> dict[str, float]:
    """Share of a reader's attention that each language gets, with weight 1 / log2(rank + 1) at a rank.

    Args:
        languages: Languages of the results, best first.

    Returns:
        Shares that add up to 1; empty where there are no results.
    """
    shares: dict[str, float] = defaultdict(float)
    for rank, language in enumerate(languages, start=1):
        shares[language] += 1 / math.log2(rank + 1)
    total = math.fsum(shares.values())
    return {language: share / total for language, share in shares.items()}


def awrf(attention: Mapping[str, float], target: Mapping[str, float]) -> float:
    """Attention-weighted rank fairness: 1 minus the divergence of Jensen and Shannon, in bits, from the target.

    1 where attention is spread as the target has it, 0 where the two have no language in common.
    Source: Sapiezynski et al. 2019, "Quantifying the Impact of User Attention on Fair Group Representation in Ranked
    Lists"; with this divergence and discount as in the TREC 2021 Fair Ranking Track (Ekstrand et al. 2022).

    Args:
        attention: Share by language, adding up to 1.
        target: Share by language that would be fair, adding up to 1.
    """
    divergence = 0.0
    for language in sorted({*attention, *target}):
        shares = attention.get(language, 0.0), target.get(language, 0.0)
        middle = sum(shares) / 2
        divergence += sum(share * math.log2(share / middle) for share in shares if share > 0) / 2
    return 1 - divergence


def peer(ranks: Mapping[int, Mapping[str, Sequence[float]]]) -> float | None:
    """Probability of equal expected rank: the p value of the test of Kruskal and Wallis, a mean over grades.

    Near 1 where passages of equal relevance have alike ranks in all languages, near 0 where a language is pushed down.
    A grade with a single passage in every language says nothing: whatever the ranking, its p value is the same. It is
    left out, unlike in the paper's program.
    Source: Yang et al. 2024 (2405.00978), equations 1 to 3, with equal weights for all grades above 0.

    Args:
        ranks: Ranks by grade and language; passages that were not found share one rank below all others.

    Returns:
        The probability, or None where no grade says anything.
    """
    from scipy.stats import kruskal

    values = []
    for by_language in ranks.values():
        groups = [list(found) for found in by_language.values() if found]
        if len(groups) < 2 or max(map(len, groups)) < 2:
            continue
        same = len({rank for group in groups for rank in group}) == 1
        values.append(1.0 if same else float(kruskal(*groups).pvalue))
    return math.fsum(values) / len(values) if values else None


def shares(counts: Mapping[str, int]) -> dict[str, float]:
    """Counts as shares of their sum."""
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()}


def median(values: Sequence[float]) -> float:
    """The median, a float."""
    array: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    return float(np.median(array))
