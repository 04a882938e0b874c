"""Scores of a query's own candidates, and distributions over them: what the losses on scores share."""

from __future__ import annotations

import torch
from torch import Tensor

from isogloss.losses.masks import own_mask
from isogloss.losses.terms import Embeddings, at_least_float32


def own_scores(e: Embeddings, queries: Tensor) -> tuple[Tensor, Tensor]:
    """Dot products of queries with their rows' own candidates, and the places without one.

    Args:
        e: The step's embeddings, for passages and negative passages.
        queries: Shape (rows, dim).

    Returns:
        Scores and mask (True hides), both of shape (rows, 1 + n), the passage first.
    """
    queries, passages = at_least_float32(queries), at_least_float32(e.passage)
    scores = (queries * passages).sum(dim=-1, keepdim=True)
    hidden = torch.zeros_like(scores, dtype=torch.bool)
    if "negative_passages" in e:
        negatives = at_least_float32(e.negative_passages)
        scores = torch.cat([scores, torch.einsum("rd,rnd->rn", queries, negatives)], dim=1)
        hidden = torch.cat([hidden, own_mask(e.text_ids("negative_passages"), negatives)], dim=1)
    return scores, hidden


def scored_rows(teacher: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The teacher's scores beside those of the student.

    Args:
        teacher: The teacher's scores, shape (rows, any width); NaN where there is none.
        hidden: Places without a candidate, shape (rows, candidates).

    Returns:
        The teacher's scores and what is hidden, of shape (rows, candidates), and the rows that can be compared: those
        whose passage and at least one other candidate have a score.
    """
    teacher = teacher.reshape(len(teacher), -1)
    missing = hidden.shape[1] - teacher.shape[1]
    if missing > 0:
        teacher = torch.nn.functional.pad(teacher, (0, missing), value=float("nan"))
    teacher = teacher[:, : hidden.shape[1]]
    hidden = hidden | teacher.isnan()
    kept = ~hidden[:, 0] & ((~hidden).sum(dim=1) > 1)
    return teacher, hidden, kept


def visible_log_softmax(scores: Tensor, temperature: float, mask: Tensor | None) -> Tensor:
    """Log-probabilities of the candidates that are not hidden; -inf for the others, shape (rows, candidates)."""
    logits = at_least_float32(scores) / temperature
    return (logits if mask is None else logits.masked_fill(mask, -torch.inf)).log_softmax(dim=-1)


def kl_divergence(first: Tensor, second: Tensor) -> Tensor:
    """KL(P ‖ Q) of each row from log-probabilities of shape (rows, candidates).

    A candidate that both hide adds nothing, and neither does one to which P gives no probability.
    """
    there = first > -torch.inf
    safe = torch.where(there, first, 0.0), torch.where(there, second, 0.0)
    return (torch.where(there, first.exp(), 0.0) * (safe[0] - safe[1])).sum(dim=-1)


def check_scores(first: Tensor, second: Tensor, mask: Tensor | None, **temperatures: float) -> None:
    """Checks two score matrices and what belongs to them.

    Raises:
        ValueError: If shapes, types or temperatures do not fit.
    """
    if first.dim() != 2 or first.shape != second.shape:
        raise ValueError(
            f"scores {tuple(first.shape)} and {tuple(second.shape)} must have one shape (rows, candidates)"
        )
    if mask is not None and (mask.dtype != torch.bool or mask.shape != first.shape):
        raise ValueError(f"mask is {mask.dtype} {tuple(mask.shape)}; it must be bool {tuple(first.shape)}")
    for name, value in temperatures.items():
        if not value > 0:
            raise ValueError(f"{name} {value} must be above 0")
