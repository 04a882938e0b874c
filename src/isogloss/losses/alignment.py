"""Alignment: a generated query in another language should find what the labelled query finds.

    S(·|x) = softmax_{c ∈ D_q}( s(x, c)/τ )        L = (1/B) Σ_i KL( sg[S(·|q_i)] ‖ S(·|q′_i) )

q′ is generated for q's passage; both score the same candidates D_q, q's passage first. The stop-gradient keeps both
from becoming uniform. Source: query-generator-teacher (2303.14991), equation 5; the form is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from isogloss.losses.scores import check_scores, kl_divergence, own_scores, scored_rows, visible_log_softmax
from isogloss.losses.terms import Embeddings, term

Target = Literal["student", "teacher", "both"]


def alignment(
    scores: Tensor,
    generated_scores: Tensor,
    *,
    temperature: float = 1.0,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Scalar loss of rows of candidates: KL from the distribution of `scores`, which is fixed, to the other one.

    Args:
        scores: Scores of the labelled queries, shape (rows, candidates); get no gradient.
        generated_scores: Scores of the generated queries with the same candidates, shape (rows, candidates).
        temperature: τ, above 0.
        mask: True hides a candidate from both, shape (rows, candidates); every row must keep one.
        weights: w(q′) of each row, shape (rows,); 1 where it is left out.

    Raises:
        ValueError: If shapes, types or the temperature do not fit.
    """
    check_scores(scores, generated_scores, mask, temperature=temperature)
    if weights is not None and weights.shape != scores.shape[:1]:
        raise ValueError(f"weights {tuple(weights.shape)} must have the shape (rows,) = {tuple(scores.shape[:1])}")
    target = visible_log_softmax(scores.detach(), temperature, mask)
    rows = kl_divergence(target, visible_log_softmax(generated_scores, temperature, mask))
    return (rows if weights is None else rows * weights.detach().to(rows)).mean()


@term("alignment", roles=("query", "passage", "generated_query"), optional_roles=("negative_passages",))
@dataclass(frozen=True)
class Alignment:
    """Term of `alignment`; rows for which no generated query was drawn are left out.

    Attributes:
        temperature: τ; the towers give unit vectors, whose products lie within -1 and 1.
        align_target: What the generated query is aligned to: the student's distribution for the labelled query, the
            teacher's, or the sum of both losses.
        teacher_temperature: τ of the teacher's distribution.
        scores: Name of the rows' values with the teacher's scores.
        weighted: Whether each row counts by the `weight` of its generated query.
    """

    temperature: float = 0.05
    align_target: Target = "student"
    teacher_temperature: float = 1.0
    scores: str = "teacher_scores"
    weighted: bool = False

    @property
    def chosen_values(self) -> tuple[str, ...]:
        """Values that rows must have with these options."""
        teacher = () if self.align_target == "student" else (self.scores,)
        return (*teacher, "generated_weight") if self.weighted else teacher

    def negatives(self, rows: int, given: int) -> int:
        """Negatives of each row."""
        return given

    def __call__(self, e: Embeddings) -> Tensor:
        """Scalar loss of one step."""
        whole, e = e, e.complete("query", "passage", "generated_query")
        if not len(e.query):
            return whole.nothing()
        generated, hidden = own_scores(e, e.generated_query)
        losses = []
        if self.align_target != "teacher":
            labelled, _ = own_scores(e, e.query)
            losses.append(
                alignment(
                    labelled, generated, temperature=self.temperature, mask=hidden, weights=self._weights(e, hidden)
                )
            )
        if self.align_target != "student":
            losses.append(self._to_teacher(e, generated, hidden))
        return torch.stack(losses).sum()

    def _to_teacher(self, e: Embeddings, generated: Tensor, hidden: Tensor) -> Tensor:
        teacher, hidden, kept = scored_rows(e.values(self.scores), hidden)
        if not bool(kept.any()):
            return e.nothing()
        # One temperature serves both sides of `alignment`: the teacher's scores are brought to it beforehand.
        target = torch.where(hidden, 0.0, teacher) * (self.temperature / self.teacher_temperature)
        weights = self._weights(e, hidden)
        return alignment(
            target[kept].to(generated),
            generated[kept],
            temperature=self.temperature,
            mask=hidden[kept],
            weights=None if weights is None else weights[kept],
        )

    def _weights(self, e: Embeddings, hidden: Tensor) -> Tensor | None:
        if not self.weighted:
            return None
        return torch.nan_to_num(e.values("generated_weight").reshape(len(hidden), -1)[:, 0], nan=1.0)
