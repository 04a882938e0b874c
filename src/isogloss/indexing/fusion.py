"""Fusion of runs by rank, so that scores of different kinds need not be compared.

The score of a passage is the sum over runs of weight / (constant + rank). Source: Cormack, Clarke and Büttcher 2009.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from isogloss.errors import Fault, UsageError, raise_faults
from isogloss.indexing.ranking import ranked_passages
from isogloss.records import Run


def reciprocal_rank_fusion(
    runs: Sequence[Run], *, k: int = 100, constant: float = 60.0, weights: Sequence[float] | None = None
) -> dict[str, dict[str, float]]:
    """Joins runs into one.

    Args:
        runs: At least one run; a query or a passage that one of them lacks gets nothing from it.
        k: Results per query.
        constant: Added to every rank; larger values level the ranks.
        weights: One per run, all 1 where they are None.

    Raises:
        UsageError: No runs, or weights that do not fit them.
    """
    weights = [1.0] * len(runs) if weights is None else weights
    faults = [] if runs else [Fault("runs", "none given", "at least one")]
    if len(weights) != len(runs):
        faults.append(Fault("weights", f"{len(weights)} for {len(runs)} runs", "one per run"))
    raise_faults(UsageError, "reciprocal_rank_fusion", faults)
    fused = {}
    for query_id in sorted(set().union(*runs)):
        parts: dict[str, list[float]] = defaultdict(list)
        for run, weight in zip(runs, weights, strict=True):
            for rank, passage_id in enumerate(ranked_passages(run.get(query_id, {})), start=1):
                parts[passage_id].append(weight / (constant + rank))
        scores = {passage_id: float(np.float32(math.fsum(values))) for passage_id, values in parts.items()}
        fused[query_id] = {passage_id: scores[passage_id] for passage_id in ranked_passages(scores)[:k]}
    return fused


def weighted_fusion(runs: Sequence[Run], weights: Sequence[float], *, k: int = 100) -> dict[str, dict[str, float]]:
    """Joins runs by the weighted sum of their scores, each brought to 0 … 1 within its run and query.

    Unlike ranks, scores keep how far the best stand out. Source: CombSUM of Fox and Shaw 1994, with the min-max
    normalisation of Lee 1997.

    Args:
        runs: At least one run; a query or a passage that one of them lacks gets nothing from it.
        weights: One per run, not below 0 and not all 0; they are brought to a sum of 1.
        k: Results per query.

    Raises:
        UsageError: No runs, or weights that do not fit them.
    """
    faults = [] if runs else [Fault("runs", "none given", "at least one")]
    if len(weights) != len(runs):
        faults.append(Fault("weights", f"{len(weights)} for {len(runs)} runs", "one per run"))
    if any(weight < 0 for weight in weights) or not sum(weights) > 0:
        faults.append(Fault("weights", f"{list(weights)}", "none below 0, and not all 0"))
    raise_faults(UsageError, "weighted_fusion", faults)
    total = math.fsum(weights)
    fused = {}
    for query_id in sorted(set().union(*runs)):
        parts: dict[str, list[float]] = defaultdict(list)
        for run, weight in zip(runs, weights, strict=True):
            for passage_id, score in _normalised(run.get(query_id, {})).items():
                parts[passage_id].append(weight / total * score)
        scores = {passage_id: float(np.float32(math.fsum(values))) for passage_id, values in parts.items()}
        fused[query_id] = {passage_id: scores[passage_id] for passage_id in ranked_passages(scores)[:k]}
    return fused


def _normalised(scores: Mapping[str, float]) -> dict[str, float]:
    """Scores from 0 to 1; all are 1 where they are equal."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {passage_id: (score - low) / (high - low) for passage_id, score in scores.items()}
