"""By blocks of rows the loss and its gradients are those of the whole matrix.

1. For any size of block, with hidden candidates, more candidates than rows, and vectors in both roles.
2. A batch whose products are too many takes that way, in the memory of a block; a small one does not.
"""

from __future__ import annotations

import pytest
import torch

from isogloss.losses import blockwise
from isogloss.losses.blockwise import diagonal_cross_entropy
from isogloss.losses.infonce import infonce


def batch(rows: int = 7, more: int = 4, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(1)
    queries = torch.nn.functional.normalize(torch.randn(rows, 5, dtype=dtype), dim=1).requires_grad_()
    candidates = torch.nn.functional.normalize(torch.randn(rows + more, 5, dtype=dtype), dim=1).requires_grad_()
    hidden = torch.rand(rows, rows + more) < 0.3
    hidden[torch.arange(rows), torch.arange(rows)] = False
    return queries, candidates, hidden


@pytest.mark.parametrize("at_once", [1, 11, 30, 70])
def test_it_is_that_of_the_whole_matrix(monkeypatch, at_once):
    queries, candidates, hidden = batch()
    whole = diagonal_cross_entropy(queries, candidates, hidden, temperature=0.1)
    expected = torch.autograd.grad(3 * whole, [queries, candidates])
    monkeypatch.setattr(blockwise, "PRODUCTS_AT_ONCE", at_once)
    found = diagonal_cross_entropy(queries, candidates, hidden, temperature=0.1)
    assert type(found.grad_fn).__name__ == "_ByBlocksBackward"
    torch.testing.assert_close(found, whole)
    for one, other in zip(torch.autograd.grad(3 * found, [queries, candidates]), expected, strict=True):
        torch.testing.assert_close(one, other)


def test_its_gradient_is_that_of_finite_differences(monkeypatch):
    monkeypatch.setattr(blockwise, "PRODUCTS_AT_ONCE", 25)
    queries, candidates, hidden = batch()
    assert torch.autograd.gradcheck(
        lambda q, c: diagonal_cross_entropy(q, c, hidden, temperature=0.2), (queries, candidates)
    )


@pytest.mark.parametrize("mode", ["in_batch", "in_batch_own", "in_batch_all", "own_only"])
def test_infonce_takes_that_way(monkeypatch, mode):
    torch.manual_seed(2)
    queries, passages = (torch.randn(6, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    negatives = torch.randn(6, 3, 4, dtype=torch.float64, requires_grad=True)
    values = []
    for at_once in (1 << 20, 13):
        monkeypatch.setattr(blockwise, "PRODUCTS_AT_ONCE", at_once)
        loss = infonce(queries, passages, negatives, temperature=0.3, mode=mode)
        values.append([loss, *torch.autograd.grad(loss, [queries, passages, negatives], allow_unused=True)])
    for whole, by_blocks in zip(*values, strict=True):
        torch.testing.assert_close(by_blocks, whole)


def test_no_gradient_is_made_where_none_is_wanted(monkeypatch):
    monkeypatch.setattr(blockwise, "PRODUCTS_AT_ONCE", 25)
    queries, candidates, hidden = batch()
    with torch.no_grad():
        found = diagonal_cross_entropy(queries, candidates, hidden, temperature=0.2)
    assert not found.requires_grad
    expected = diagonal_cross_entropy(queries, candidates, hidden, temperature=0.2)
    torch.testing.assert_close(found, expected.detach())
