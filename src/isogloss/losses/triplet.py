"""Triplet loss: the passage should be nearer to its query than the negative passage is, by a margin.

    L = (1/B) Σ_i max(0, m + d(q_i, p_i⁺) − d(q_i, p_i⁻))        d(x, y) = 1 − cos(x, y)   or   |x − y|

Exactly the given negative counts, nothing in the batch. Source: english-query-tuning (2407.00923) for its use; the
cosine distance and the margin of 0.1 are ours: on unit vectors a Euclidean margin of 5 never saturates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from isogloss.losses.terms import Embeddings, at_least_float32, term

Distance = Literal["cosine", "euclidean"]


def triplet(
    query: Tensor, positive: Tensor, negative: Tensor, *, margin: float = 0.1, distance: Distance = "cosine"
) -> Tensor:
    """Scalar loss of rows (query, positive, negative), each of shape (rows, dim).

    Raises:
        ValueError: If the shapes differ or `distance` is unknown.
    """
    if not query.shape == positive.shape == negative.shape or query.dim() != 2:
        shapes = ", ".join(str(tuple(vectors.shape)) for vectors in (query, positive, negative))
        raise ValueError(f"query, positive and negative must have one shape (rows, dim); they have {shapes}")
    query, positive, negative = (at_least_float32(vectors) for vectors in (query, positive, negative))
    return F.relu(margin + _distance(query, positive, distance) - _distance(query, negative, distance)).mean()


def _distance(first: Tensor, second: Tensor, distance: Distance) -> Tensor:
    if distance == "cosine":
        return 1 - F.cosine_similarity(first, second, dim=-1)
    if distance == "euclidean":
        # The plain norm: a query equal to its passage has distance 0 and, by torch's convention, gradient 0 there.
        length: Tensor = torch.linalg.vector_norm(first - second, dim=-1)
        return length
    raise ValueError(f"distance '{distance}' is unknown; allowed are {', '.join(get_args(Distance))}")


@term("triplet", roles=("query", "passage", "negative_passages"))
@dataclass(frozen=True)
class Triplet:
    """Term of `triplet`; of several negative passages a row's first counts, rows without one are left out.

    Attributes:
        margin: m.
        distance: `cosine` or `euclidean`.
    """

    margin: float = 0.1
    distance: Distance = "cosine"

    def negatives(self, rows: int, given: int) -> int:
        """Negatives of each row."""
        return min(given, 1)

    def __call__(self, e: Embeddings) -> Tensor:
        """Scalar loss of one step."""
        query, passage, negative = e.query, e.passage, e.negative_passages[:, 0]
        ids = e.text_ids("negative_passages")
        if ids is not None:
            there = ids[:, 0] >= 0
            if not there.any():
                return (query.sum() + passage.sum()) * 0.0
            query, passage, negative = query[there], passage[there], negative[there]
        return triplet(query, passage, negative, margin=self.margin, distance=self.distance)
