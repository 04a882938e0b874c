"""The sparse product is the embedding bag.

1. Value and gradient equal those of torch's EmbeddingBag, empty texts and repeated rows included.
2. A sparse gradient holds exactly the rows that the texts use.
"""

import pytest
import torch
from torch.nn import functional as F

from isogloss.engines.mean_rows import mean_rows

IDS = torch.tensor([3, 1, 1, 0, 4, 3])
OFFSETS = torch.tensor([0, 3, 3, 5])  # the second text is empty


@pytest.mark.parametrize("sparse", [False, True])
def test_value_and_gradient_equal_the_embedding_bag(sparse):
    table = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    ours, theirs = (table.clone().requires_grad_() for _ in range(2))
    value = mean_rows(ours, IDS, OFFSETS, sparse=sparse)
    expected = F.embedding_bag(IDS, theirs, OFFSETS, mode="mean")
    (value * weights).sum().backward()
    (expected * weights).sum().backward()
    assert torch.allclose(value, expected, atol=1e-6)
    gradient = ours.grad.to_dense() if sparse else ours.grad
    assert torch.allclose(gradient, theirs.grad, atol=1e-6)


def test_a_sparse_gradient_holds_the_used_rows_alone():
    table = torch.ones(6, 2, requires_grad=True)
    mean_rows(table, IDS, OFFSETS, sparse=True).sum().backward()
    assert table.grad.coalesce().indices()[0].tolist() == [0, 1, 3, 4]
