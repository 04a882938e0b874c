"""Embedding match: a text should have the vector that a teacher gives it, or gives its translation.

    cosine   L = (1/B) Σ_i 1 − cos(s_i, t_i)          mse   L = (1/(B·d)) Σ_i |s_i − t_i|²

Source: Reimers and Gurevych 2020 (2004.09813) for matching a translation to the teacher's vector of the original (mse);
the cosine form is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor
from torch.nn import functional as F

from isogloss.losses.terms import Embeddings, at_least_float32, term

Distance = Literal["cosine", "mse"]


def embedding_match(student: Tensor, teacher: Tensor, *, distance: Distance = "cosine") -> Tensor:
    """Scalar loss of a student's vectors against a teacher's, both of shape (texts, dim); the teacher gets no gradient.

    Raises:
        ValueError: If the shapes differ or `distance` is unknown.
    """
    if student.shape != teacher.shape or student.dim() != 2:
        raise ValueError(
            f"student {tuple(student.shape)} and teacher {tuple(teacher.shape)} must have one shape (texts, dim)"
        )
    student = at_least_float32(student)
    teacher = teacher.detach().to(student.dtype)
    if distance == "cosine":
        return (1 - F.cosine_similarity(student, teacher, dim=-1)).mean()
    if distance == "mse":
        return F.mse_loss(student, teacher)
    raise ValueError(f"distance '{distance}' is unknown; allowed are {', '.join(get_args(Distance))}")


@term("embedding_match", roles=("parallel_source", "parallel_target"))
@dataclass(frozen=True)
class EmbeddingMatch:
    """Term of `embedding_match`: each role of `student` is matched to the teacher's vector of the role `teacher`.

    Attributes:
        student: Roles whose vectors are trained.
        teacher: Role whose texts the teacher reads, in a language that it knows.
        distance: `cosine` or `mse`.
    """

    student: tuple[str, ...] = ("parallel_source", "parallel_target")
    teacher: str = "parallel_source"
    distance: Distance = "cosine"

    @property
    def chosen_roles(self) -> tuple[str, ...]:
        """Roles that a row must have with these options."""
        return self.student

    @property
    def teacher_of(self) -> tuple[str, ...]:
        """Roles whose texts the teacher must have read."""
        return (self.teacher,)

    def __call__(self, e: Embeddings) -> Tensor:
        """Scalar loss of one step."""
        target = e.teacher(self.teacher)
        parts = [embedding_match(e.vectors(role), target, distance=self.distance) for role in self.student]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total / len(parts)
