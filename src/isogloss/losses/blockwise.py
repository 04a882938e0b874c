"""Cross-entropy over products of vectors without the matrix of all products.

For 8,192 queries and as many passages the products, the masked ones, their probabilities and their gradients are 1.1
GB in float32, of which only sums are wanted. Here a block of rows is computed at a time, and what it gives to the
gradients is added up at once, so that nothing is computed twice either.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

PRODUCTS_AT_ONCE = 1 << 24


def diagonal_cross_entropy(queries: Tensor, candidates: Tensor, hidden: Tensor, *, temperature: float) -> Tensor:
    """Mean over the rows i of −log softmax_i, where row i of the softmax is over s(q_i, c)/τ and its answer is c_i.

    Args:
        queries: Shape (rows, dim).
        candidates: Shape (candidates, dim), at least as many as rows; the first ones are the answers.
        hidden: bool, shape (rows, candidates); True hides a candidate. No answer may be hidden.
        temperature: τ.
    """
    if hidden.numel() <= PRODUCTS_AT_ONCE:
        logits = (queries @ candidates.T / temperature).masked_fill(hidden, -torch.inf)
        return F.cross_entropy(logits, torch.arange(len(queries), device=queries.device))
    loss: Tensor = _ByBlocks.apply(queries, candidates, hidden, temperature)  # type: ignore[no-untyped-call]
    return loss


class _ByBlocks(torch.autograd.Function):
    """The loss and, while its probabilities are at hand, both gradients: (p − answer)/(rows·τ) times the vectors."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, candidates: Tensor, hidden: Tensor, temperature: float) -> Tensor:
        rows = len(queries)
        wanted = any(ctx.needs_input_grad)
        to_queries, to_candidates = torch.zeros_like(queries), torch.zeros_like(candidates)
        total = queries.new_zeros(())
        size = max(1, PRODUCTS_AT_ONCE // len(candidates))
        for start in range(0, rows, size):
            block = slice(start, min(start + size, rows))
            places = torch.arange(block.start, block.stop, device=queries.device)
            within = places - start
            logits = (queries[block] @ candidates.T).div_(temperature).masked_fill_(hidden[block], -torch.inf)
            logits -= logits.logsumexp(dim=1, keepdim=True)
            total -= logits[within, places].sum()
            if wanted:
                slopes = logits.exp_()
                slopes[within, places] -= 1
                slopes /= rows * temperature
                to_queries[block] = slopes @ candidates
                to_candidates += slopes.T @ queries[block]
        ctx.save_for_backward(to_queries, to_candidates)
        return total / rows

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        to_queries, to_candidates = ctx.saved_tensors
        return gradients[0] * to_queries, gradients[0] * to_candidates, None, None
