"""Candidates that must not count as negatives: places without a text, the answer once more, and other known answers."""

from __future__ import annotations

import torch
from torch import Tensor

from isogloss.losses.terms import same_text

CANDIDATES_AT_ONCE = 1_024  # the answers of equal anchors are added up in float32


def hidden_candidates(
    anchor_ids: Tensor,
    answer_ids: Tensor,
    candidate_ids: Tensor,
    *,
    duplicates: bool,
    false_negatives: bool,
) -> Tensor:
    """Candidates to hide from each row, shape (rows, candidates); a row's own answer is among them, a loss keeps it.

    Args:
        anchor_ids: Text ids of the rows' anchors, shape (rows,).
        answer_ids: Text ids of the rows' answers, shape (rows,).
        candidate_ids: Text ids of all candidates, -1 for a place without a text, which is always hidden.
        duplicates: Whether candidates with the text of the row's answer are hidden.
        false_negatives: Whether candidates that answer the same anchor in another row are hidden.
    """
    equal = same_text(answer_ids, candidate_ids)
    hidden = equal if duplicates else torch.zeros_like(equal)
    if false_negatives:
        again = _asked_again(anchor_ids)
        asked = same_text(anchor_ids[again], anchor_ids[again]).float()
        for start in range(0, len(candidate_ids) if len(again) else 0, CANDIDATES_AT_ONCE):
            columns = slice(start, start + CANDIDATES_AT_ONCE)
            answers = (asked @ equal[again, columns].float()) > 0
            hidden[again, columns] |= answers
    hidden |= candidate_ids < 0
    return hidden


def _asked_again(anchor_ids: Tensor) -> Tensor:
    """Rows whose anchor another row has too."""
    _, places, counts = torch.unique(anchor_ids, return_inverse=True, return_counts=True)
    return torch.nonzero((counts[places] > 1) & (anchor_ids >= 0)).flatten()


def own_mask(ids: Tensor | None, like: Tensor) -> Tensor:
    """Places without a text among the rows' own negatives, shape (rows, n); none where the ids are unknown.

    Args:
        ids: Text ids, shape (rows, n), or None.
        like: The negatives' vectors, shape (rows, n, dim).
    """
    return torch.zeros(like.shape[:2], dtype=torch.bool, device=like.device) if ids is None else ids < 0
