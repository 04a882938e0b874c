"""Candidates that must not count as negatives: places without a text, the answer once more, and other known answers."""

from __future__ import annotations

import torch
from torch import Tensor

from isogloss.losses.terms import same_text


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
    hidden = (candidate_ids < 0)[None, :].expand(len(anchor_ids), -1)
    equal = same_text(answer_ids, candidate_ids)
    if duplicates:
        hidden = hidden | equal
    if false_negatives:
        same_anchor = same_text(anchor_ids, anchor_ids)
        again = torch.nonzero(same_anchor.sum(dim=1) > 1).flatten()  # the other rows have no equal but themselves
        if len(again):
            answers = (same_anchor[again][:, again].float() @ equal[again].float()) > 0
            hidden = hidden.index_copy(0, again, hidden[again] | answers)
    return hidden


def own_mask(ids: Tensor | None, like: Tensor) -> Tensor:
    """Places without a text among the rows' own negatives, shape (rows, n); none where the ids are unknown.

    Args:
        ids: Text ids, shape (rows, n), or None.
        like: The negatives' vectors, shape (rows, n, dim).
    """
    return torch.zeros(like.shape[:2], dtype=torch.bool, device=like.device) if ids is None else ids < 0
