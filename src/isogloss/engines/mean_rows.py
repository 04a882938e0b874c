"""The mean of table rows for each text, with a gradient that costs what the forward pass costs.

`torch.nn.EmbeddingBag` computes the same mean, but on a CPU its backward pass takes several times longer than its
forward pass. As a product of a sparse (texts × rows) matrix and the table both passes are one sparse product each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor


class _MeanRows(torch.autograd.Function):
    """Forward M·T, backward Mᵀ·g, where M holds 1/tokens at each token of a text."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, ids: Tensor, offsets: Tensor, sparse: bool) -> Tensor:
        ends = np.append(offsets.numpy(), len(ids)).astype(np.int64)
        rows, places = np.unique(ids.numpy(), return_inverse=True)
        counts = np.diff(ends)
        shares = np.repeat(1.0 / np.maximum(counts, 1), counts).astype(np.float32)
        matrix = csr_matrix((shares, places.reshape(-1), ends), shape=(len(counts), len(rows)))
        ctx.matrix, ctx.rows, ctx.shape, ctx.sparse = matrix, rows, tuple(table.shape), sparse
        return torch.from_numpy(matrix @ table.detach().numpy()[rows])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        values = torch.from_numpy(np.ascontiguousarray(ctx.matrix.T @ gradients[0].contiguous().numpy()))
        rows = torch.from_numpy(ctx.rows.astype(np.int64))
        if ctx.sparse:
            # Rows are distinct and ascending, which is what "coalesced" means.
            return (
                torch.sparse_coo_tensor(rows[None], values, ctx.shape, is_coalesced=True, check_invariants=False),
                None,
                None,
                None,
            )
        dense = torch.zeros(ctx.shape)
        dense[rows] = values
        return dense, None, None, None


def mean_rows(table: Tensor, ids: Tensor, offsets: Tensor, *, sparse: bool = False) -> Tensor:
    """Mean of the rows of each text, shape (texts, dimension); a text without tokens gives zeros.

    Args:
        table: Shape (rows, dimension), float32, on the CPU.
        ids: Row numbers of all texts, one text after the other.
        offsets: Where each text begins in `ids`.
        sparse: Whether the gradient of the table holds the rows of these texts alone.
    """
    mean: Tensor = _MeanRows.apply(table, ids, offsets, sparse)  # type: ignore[no-untyped-call]
    return mean
