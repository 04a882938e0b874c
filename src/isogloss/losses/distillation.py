"""Distillation: the student's distribution over a query's candidates should be the teacher's.

    T_i = softmax_c( t_i[c]/τ_T )      S_i = softmax_c( s_i[c]/τ )      L = (1/B) Σ_i KL( T_i ‖ S_i )

over the row's own candidates, its passage first. The teacher is fixed. Sources: query-generator-teacher (2303.14991),
equation 4, where the teacher is a generator's log-likelihood; Hinton et al. 2015 (1503.02531) for the form, without
their factor τ²; any reranker's scores will do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from isogloss.losses.scores import check_scores, kl_divergence, own_scores, scored_rows, visible_log_softmax
from isogloss.losses.terms import Embeddings, term


def distillation(
    student_scores: Tensor,
    teacher_scores: Tensor,
    *,
    temperature: float = 1.0,
    teacher_temperature: float = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """Scalar loss of rows of candidates.

    Args:
        student_scores: Shape (rows, candidates).
        teacher_scores: Shape (rows, candidates); gets no gradient.
        temperature: τ, above 0.
        teacher_temperature: τ_T, above 0.
        mask: True hides a candidate from both, shape (rows, candidates); every row must keep one.

    Raises:
        ValueError: If shapes, types or temperatures do not fit.
    """
    check_scores(student_scores, teacher_scores, mask, temperature=temperature, teacher_temperature=teacher_temperature)
    student = visible_log_softmax(student_scores, temperature, mask)
    teacher = visible_log_softmax(teacher_scores.detach().to(student), teacher_temperature, mask)
    return kl_divergence(teacher, student).mean()


@term("distillation", roles=("query", "passage"), optional_roles=("negative_passages",))
@dataclass(frozen=True)
class Distillation:
    """Term of `distillation` over a row's passage and its own negative passages; rows without scores are left out.

    Attributes:
        temperature: τ; the towers give unit vectors, whose products lie within -1 and 1.
        teacher_temperature: τ_T.
        scores: Name of the rows' values with the teacher's scores, the passage's first.
    """

    temperature: float = 0.05
    teacher_temperature: float = 1.0
    scores: str = "teacher_scores"

    @property
    def chosen_values(self) -> tuple[str, ...]:
        """Values that rows must have."""
        return (self.scores,)

    def negatives(self, rows: int, given: int) -> int:
        """Negatives of each row."""
        return given

    def __call__(self, e: Embeddings) -> Tensor:
        """Scalar loss of one step."""
        student, hidden = own_scores(e, e.query)
        teacher, hidden, kept = scored_rows(e.values(self.scores), hidden)
        if not bool(kept.any()):
            return e.nothing()
        return distillation(
            student[kept],
            torch.where(hidden, 0.0, teacher)[kept],
            temperature=self.temperature,
            teacher_temperature=self.teacher_temperature,
            mask=hidden[kept],
        )
