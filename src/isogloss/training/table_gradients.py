"""Gradients of token tables, added where they belong instead of being written out as whole tables.

The gradient of a table has entries for the tokens of a chunk alone, yet torch makes a table of zeros for it and adds
all of that to the sum, chunk by chunk: with 250,000 tokens that is 384 MB written and added for each chunk of a model
of width 384. Here a backward pass adds the rows of its tokens to `weight.grad` itself. Sums are the same, up to the
order of their terms.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Rows(torch.autograd.Function):
    """Rows of a table; the backward pass adds to the gradient of the table and gives none back."""

    @staticmethod
    def forward(ctx: Any, table: nn.Parameter, ids: Tensor, padding: int | None) -> Tensor:
        ctx.table, ctx.padding = table, padding
        ctx.save_for_backward(ids)
        return F.embedding(ids, table.detach())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, None]:
        (ids,) = ctx.saved_tensors
        rows, values = ids.reshape(-1), gradients[0].reshape(ids.numel(), -1)
        if ctx.padding is not None:
            there = rows != ctx.padding
            rows, values = rows[there], values[there]
        if ctx.table.grad is None:
            ctx.table.grad = torch.zeros_like(ctx.table)
        ctx.table.grad.index_add_(0, rows, values.to(ctx.table.dtype))
        return None, None, None


def add_in_place(module: nn.Module) -> None:
    """Lets the trained tables of a module take their gradients row by row; `restore` ends it."""
    for table in module.modules():
        if not isinstance(table, nn.Embedding) or not table.weight.requires_grad:
            continue
        if table.max_norm is None and not table.scale_grad_by_freq and not table.sparse:
            table.__dict__["forward"] = partial(_looked_up, table)


def restore(module: nn.Module) -> None:
    """Makes tables what they were before `add_in_place`."""
    for table in module.modules():
        table.__dict__.pop("forward", None)


def _looked_up(table: nn.Embedding, ids: Tensor) -> Tensor:
    if not torch.is_grad_enabled():
        return F.embedding(ids, table.weight)
    rows: Tensor = _Rows.apply(table.weight, ids, table.padding_idx)  # type: ignore[no-untyped-call]
    return rows
