"""The largest change since the start is that of a copy in memory, at the memory of a block.

1. Over several tensors, dtypes and blocks; nothing is left in the folder.
2. A folder that cannot be written to is a `FileError`.
"""

from __future__ import annotations

import pytest
import torch

from isogloss.errors import FileError
from isogloss.training import start_weights
from isogloss.training.start_weights import StartWeights


def test_it_is_that_of_a_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(start_weights, "NUMBERS_AT_ONCE", 7)
    torch.manual_seed(0)
    weights = [torch.randn(5, 4), torch.randn(3, dtype=torch.float64), torch.randn(9).bfloat16()]
    begun = StartWeights(weights, tmp_path / "run")
    assert begun.largest_change(weights) == 0
    for row, place in enumerate([(2, 1), (2,), (8,)]):
        changed = [weight.clone() for weight in weights]
        changed[row][place] += 0.5
        expected = float((changed[row].float() - weights[row].float()).abs().max())
        assert begun.largest_change(changed) == pytest.approx(expected, abs=1e-7)
    assert list((tmp_path / "run").iterdir()) == []


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(FileError):
        StartWeights([torch.zeros(3)], tmp_path / "run")
