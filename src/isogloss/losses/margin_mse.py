"""MarginMSE: the student should put its passage as far above each negative as the teacher does.

    L = (1/|N|) Σ_{(i,c) ∈ N} ( (s_i[0] − s_i[c]) − (t_i[0] − t_i[c]) )²        N: all negatives of all rows

Source: Hofstätter et al. 2020 (2010.02666), with any number of negatives a row: ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from isogloss.losses.scores import check_scores, own_scores, scored_rows
from isogloss.losses.terms import Embeddings, at_least_float32, term


def margin_mse(student_scores: Tensor, teacher_scores: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Scalar loss of rows of candidates, the passage in the first column.

    Args:
        student_scores: Shape (rows, 1 + n).
        teacher_scores: Shape (rows, 1 + n); gets no gradient.
        mask: True hides a candidate, shape (rows, 1 + n); a row whose passage is hidden does not count.

    Raises:
        ValueError: If the shapes do not fit, or there is no negative.
    """
    check_scores(student_scores, teacher_scores, mask)
    student = at_least_float32(student_scores)
    teacher = teacher_scores.detach().to(student)
    difference = (student[:, :1] - student[:, 1:]) - (teacher[:, :1] - teacher[:, 1:])
    counted = torch.ones_like(difference, dtype=torch.bool) if mask is None else ~(mask[:, 1:] | mask[:, :1])
    if not bool(counted.any()):
        raise ValueError(f"scores {tuple(student_scores.shape)} have no negative that counts")
    return difference[counted].square().mean()


@term("margin_mse", roles=("query", "passage", "negative_passages"))
@dataclass(frozen=True)
class MarginMSE:
    """Term of `margin_mse` over a row's passage and its own negative passages; rows without scores are left out.

    Attributes:
        scale: Factor on the student's scores: the teacher's margins are rarely within -2 and 2, as those of unit
            vectors are.
        scores: Name of the rows' values with the teacher's scores, the passage's first.
    """

    scale: float = 1.0
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
        return margin_mse(self.scale * student[kept], torch.where(hidden, 0.0, teacher)[kept], mask=hidden[kept])
