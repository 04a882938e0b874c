"""What is hidden is what the definition says, pair by pair, and however many candidates are looked at at once."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from isogloss.losses import masks
from isogloss.losses.infonce import Mode, candidate_mask

# Rows 0, 2 and 5 ask the same, 1 and 4 too; -1 is a text that is not known. Row 3's answer is row 1's as well.
ANCHORS = torch.tensor([10, 11, 10, 12, 11, 10, -1, -1])
ANSWERS = torch.tensor([1, 2, 3, 2, 4, 1, 5, 6])
CANDIDATES = torch.tensor([1, 2, 3, 2, 4, 1, 5, 6, 7, 3, -1, 2])


def by_definition(duplicates, false_negatives):
    hidden = torch.zeros(len(ANCHORS), len(CANDIDATES), dtype=torch.bool)
    for row, (anchor, answer) in enumerate(zip(ANCHORS.tolist(), ANSWERS.tolist(), strict=True)):
        others = {
            other
            for other_anchor, other in zip(ANCHORS.tolist(), ANSWERS.tolist(), strict=True)
            if anchor == other_anchor >= 0
        }
        for place, candidate in enumerate(CANDIDATES.tolist()):
            hidden[row, place] = (
                candidate < 0 or (duplicates and candidate == answer) or (false_negatives and candidate in others)
            )
    return hidden


@pytest.mark.parametrize("at_once", [1, 5, 1024])
@pytest.mark.parametrize("duplicates", [True, False])
@pytest.mark.parametrize("false_negatives", [True, False])
def test_hidden_candidates(monkeypatch, at_once, duplicates, false_negatives):
    monkeypatch.setattr(masks, "CANDIDATES_AT_ONCE", at_once)
    options = {"duplicates": duplicates, "false_negatives": false_negatives}
    found = masks.hidden_candidates(ANCHORS, ANSWERS, CANDIDATES, **options)
    expected = by_definition(duplicates, false_negatives)
    # Of a row that shares its anchor with others its own answer is hidden too, which a loss keeps.
    alone = torch.tensor([(anchor == ANCHORS).sum() == 1 or anchor < 0 for anchor in ANCHORS])
    own = (ANSWERS[:, None] == CANDIDATES[None, :]) & alone[:, None]
    if not duplicates:
        expected &= ~own
    assert torch.equal(found, expected)


@pytest.mark.parametrize("mode", get_args(Mode))
def test_candidates_by_mode(mode):
    rows, n = 4, 2
    given = torch.zeros(rows, rows + rows * n, dtype=torch.bool)
    given[1, 3] = given[2, 2] = True
    before = given.clone()
    hidden = candidate_mask(rows, n, mode, given)
    assert torch.equal(given, before)
    for row in range(rows):
        for place in range(rows):
            expected = row != place and (mode == "own_only" or (row, place) == (1, 3))
            assert bool(hidden[row, place]) == expected
        for place in range(rows * n):
            expected = mode == "in_batch" or (mode != "in_batch_all" and place // n != row)
            assert bool(hidden[row, rows + place]) == expected
