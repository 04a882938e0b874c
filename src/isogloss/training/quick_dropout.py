"""Dropout on a CPU at a third of its time: one random word decides on four numbers, where torch draws one for each.

In attention with dropout torch has no fused kernel on a CPU either, so there it is the same sums with these masks.
Random words come from torch's own generator: a seed, a checkpoint and a replayed chunk mean what they meant before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

LEVELS = 1 << 16  # a share is rounded to so many parts, and what is kept is scaled by the rounded one
NUMBERS_A_WORD = 4


def dropout_context(tower: nn.Module) -> AbstractContextManager[object]:
    """`QuickDropout` for a forward pass of a tower that is trained."""
    return QuickDropout() if tower.training else nullcontext()


def contexts_of_checkpointed_layers() -> tuple[AbstractContextManager[object], AbstractContextManager[object]]:
    """For `torch.utils.checkpoint`: a layer's first pass and the one that computes it again draw alike."""
    return nullcontext(), QuickDropout()


class QuickDropout(TorchFunctionMode):
    """Inside `with QuickDropout():` dropout and attention with dropout are these, for tensors on a CPU."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if function is F.dropout:
            return _dropout(*args, **given)
        if function is F.scaled_dot_product_attention:
            return _attention(*args, **given)
        return function(*args, **given)


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:  # noqa: A002
    if not training or inplace or not 0 < p < 1 or input.device.type != "cpu":
        return F.dropout(input, p, training, inplace)
    return _dropped(input, p)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **options: Any,
) -> Tensor:
    if dropout_p == 0 or is_causal or options.get("enable_gqa") or query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, is_causal, **options)
    scale = options.get("scale") or 1 / math.sqrt(query.shape[-1])
    lower = torch.is_autocast_enabled("cpu")
    if lower:
        query, key, value = (part.to(torch.get_autocast_dtype("cpu")) for part in (query, key, value))
    with torch.autocast("cpu", enabled=False) if lower else nullcontext():
        scores = (query * scale) @ key.transpose(-2, -1)
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            scores.masked_fill_(~attn_mask, torch.finfo(scores.dtype).min)
        elif attn_mask is not None:
            scores += attn_mask
        return _dropped(scores.softmax(dim=-1), dropout_p) @ value


def _dropped(values: Tensor, share: float) -> Tensor:
    dropped: Tensor = _Dropped.apply(values, round(share * LEVELS))  # type: ignore[no-untyped-call]
    return dropped


class _Dropped(torch.autograd.Function):
    """Values of which some are 0 and the others scaled, so that the mean stays."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, level: int) -> Tensor:
        words = torch.empty(-(-values.numel() // NUMBERS_A_WORD), dtype=torch.int64).random_(-(1 << 63), None)
        numbers = words.view(torch.int16)[: values.numel()].view(values.shape)
        kept = numbers >= level - LEVELS // 2
        ctx.scale = LEVELS / (LEVELS - level)
        ctx.save_for_backward(kept)
        return (values * kept).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return (gradients[0] * kept).mul_(ctx.scale), None
