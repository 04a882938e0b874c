"""Gradients of token tables, added where they belong instead of being written out as whole tables.

The gradient of a table has entries for the tokens of a chunk alone, yet torch makes a table of zeros for it and adds
all of that to the sum, chunk by chunk: with 250,000 tokens that is 384 MB written and added for each chunk of a model
of width 384. Here a backward pass adds the rows of its tokens to `weight.grad` itself. Sums are the same, up to the
order of their terms.

Where the optimiser takes them so (`RowAdamW`), the gradient holds these rows alone.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Rows(torch.autograd.Function):
    """Rows of a table; the backward pass adds to the gradient of the table and gives none back."""

    @staticmethod
    def forward(ctx: Any, table: nn.Parameter, ids: Tensor, padding: int | None, by_row: bool) -> Tensor:
        ctx.table, ctx.padding, ctx.by_row = table, padding, by_row
        ctx.save_for_backward(ids)
        return F.embedding(ids, table.detach())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, None, None]:
        (ids,) = ctx.saved_tensors
        rows, values = ids.reshape(-1), gradients[0].reshape(ids.numel(), -1)
        if ctx.padding is not None:
            there = rows != ctx.padding
            rows, values = rows[there], values[there]
        values = values.to(ctx.table.dtype)
        if ctx.by_row:
            gradient = _summed_by_row(ctx.table, rows, values)
            ctx.table.grad = gradient if ctx.table.grad is None else (ctx.table.grad + gradient).coalesce()
        else:
            if ctx.table.grad is None:
                ctx.table.grad = torch.zeros_like(ctx.table)
            ctx.table.grad.index_add_(0, rows, values)
        return None, None, None, None


def _summed_by_row(table: Tensor, rows: Tensor, values: Tensor) -> Tensor:
    """A gradient of the table that holds the sum of the values of each row."""
    distinct, places = torch.unique(rows, return_inverse=True)  # ascending, which is what "coalesced" means
    sums = values.new_zeros((len(distinct), values.shape[1])).index_add_(0, places, values)
    return torch.sparse_coo_tensor(distinct[None], sums, table.shape, is_coalesced=True, check_invariants=False)


def add_in_place(module: nn.Module, *, by_row: bool = False) -> None:
    """Lets the trained tables of a module take their gradients row by row; `restore` ends it.

    Args:
        module: Its `nn.Embedding`s count.
        by_row: Whether gradients hold the rows of a step alone, for optimisers that take them so. Tables that other
            parts of the module share keep whole gradients, for the others would give them such.
    """
    owners = Counter(id(value) for part in module.modules() for value in part._parameters.values())
    for table in module.modules():
        if not isinstance(table, nn.Embedding) or not table.weight.requires_grad:
            continue
        if table.max_norm is None and not table.scale_grad_by_freq and not table.sparse:
            alone = owners[id(table.weight)] == 1
            table.__dict__["forward"] = partial(_looked_up, table, by_row=by_row and alone)


def restore(module: nn.Module) -> None:
    """Makes tables what they were before `add_in_place`."""
    for table in module.modules():
        table.__dict__.pop("forward", None)


def _looked_up(table: nn.Embedding, ids: Tensor, *, by_row: bool) -> Tensor:
    if not torch.is_grad_enabled():
        return F.embedding(ids, table.weight)
    rows: Tensor = _Rows.apply(table.weight, ids, table.padding_idx, by_row)  # type: ignore[no-untyped-call]
    return rows
