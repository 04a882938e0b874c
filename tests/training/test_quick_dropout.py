"""Quick dropout is dropout.

1. The share of numbers that are 0 is the one that was asked for, the others are scaled so that the mean stays, and the
   gradient goes where the numbers went.
2. One seed gives one result; numbers next to each other are dropped independently.
3. Attention is torch's own, up to rounding, for every kind of mask.
4. What it does not cover is torch's: evaluation, no dropout, causal masks.
5. Layers that are computed once more drop the same numbers again.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from isogloss.training.quick_dropout import QuickDropout, contexts_of_checkpointed_layers, dropout_context


def dropped(share: float, shape: tuple[int, ...] = (301, 407), seed: int = 7) -> Tensor:
    torch.manual_seed(seed)
    with QuickDropout():
        return F.dropout(torch.ones(shape), share, True)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_drops_the_share_and_keeps_the_mean(share: float) -> None:
    found = dropped(share)
    error = 5 * (share * (1 - share) / found.numel()) ** 0.5
    assert float((found == 0).float().mean()) == pytest.approx(share, abs=error)
    assert found[found != 0].unique().numel() == 1
    assert float(found.max()) == pytest.approx(1 / (1 - share), rel=1e-3)


def test_neighbours_are_independent() -> None:
    zero = (dropped(0.5, (1 << 16,)) == 0).float()
    for distance in range(1, 9):
        both = float((zero[distance:] * zero[:-distance]).mean())
        assert both == pytest.approx(0.25, abs=0.01), distance


def test_a_seed_decides() -> None:
    assert torch.equal(dropped(0.1), dropped(0.1))
    assert not torch.equal(dropped(0.1), dropped(0.1, seed=8))


def test_the_gradient_goes_where_the_numbers_went() -> None:
    values = torch.randn(40, 30, dtype=torch.float64, requires_grad=True)
    with QuickDropout():
        found = F.dropout(values, 0.3, True)
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    assert values.grad is not None
    assert torch.allclose(values.grad, weights * found.detach() / values.detach())


@pytest.mark.parametrize("mask", ["none", "boolean", "added"])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_attention_is_that_of_torch(mask: str, scale: float | None) -> None:
    torch.manual_seed(3)
    parts = [torch.randn(2, 3, 5, 8, requires_grad=True) for _ in range(3)]
    kept = torch.ones(2, 1, 5, 5, dtype=torch.bool)
    kept[1, :, :, 3:] = False
    given = {"none": None, "boolean": kept, "added": torch.zeros(2, 1, 5, 5).masked_fill(~kept, -1e9)}[mask]
    plain = F.scaled_dot_product_attention(*parts, given, 0.0, scale=scale)
    with QuickDropout():  # a share that rounds to 0
        quick = F.scaled_dot_product_attention(*parts, given, 1e-6, scale=scale)
    assert torch.allclose(quick, plain, atol=1e-6)
    wanted = torch.autograd.grad(plain.square().sum(), parts)
    for found, gradient in zip(torch.autograd.grad(quick.square().sum(), parts), wanted, strict=True):
        assert torch.allclose(found, gradient, atol=1e-5)


def test_attention_drops() -> None:
    torch.manual_seed(3)
    query, key = torch.randn(1, 1, 50, 8), torch.randn(1, 1, 50, 8)
    with QuickDropout():  # the values are the unit vectors, so the result is what is left of the weights
        weights = F.scaled_dot_product_attention(query, key, torch.eye(50)[None, None], None, 0.4)
    assert float((weights == 0).float().mean()) == pytest.approx(0.4, abs=0.05)


def test_leaves_the_rest_to_torch() -> None:
    values = torch.randn(4, 6)
    parts = [torch.randn(1, 2, 4, 6) for _ in range(3)]
    torch.manual_seed(1)
    causal = F.scaled_dot_product_attention(*parts, None, 0.5, True)
    with QuickDropout():
        assert torch.equal(F.dropout(values, 0.5, False), values)
        assert torch.equal(F.dropout(values, 0.0, True), values)
        torch.manual_seed(1)
        assert torch.equal(F.scaled_dot_product_attention(*parts, None, 0.5, True), causal)


def test_is_on_in_training_alone() -> None:
    tower = nn.Dropout(0.5)
    assert isinstance(dropout_context(tower.train()), QuickDropout)
    assert not isinstance(dropout_context(tower.eval()), QuickDropout)


def test_a_layer_that_is_computed_again_draws_alike() -> None:
    values = torch.ones(50, 60, requires_grad=True)
    torch.manual_seed(5)
    with QuickDropout():
        found = checkpoint(
            lambda x: F.dropout(x, 0.4, True) * x,
            values,
            use_reentrant=False,
            context_fn=contexts_of_checkpointed_layers,
        )
    found.sum().backward()
    assert torch.allclose(values.grad, 2 * found.detach())
