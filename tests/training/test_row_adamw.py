"""AdamW by rows takes the steps of torch's AdamW, in the memory of the rows that were met.

1. Weights agree after many steps in which other rows come and go, with weight decay and a changing rate, for float32
   and bfloat16; parameters with whole gradients beside them too.
2. The state holds the rows that have had a gradient and no others, and a loaded state goes on with the same bits.
3. A run of a recipe trains as one with whole gradients does, and keeps only the rows of its tokens.
"""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from isogloss.recipe import parse_recipe
from isogloss.training import row_adamw, settings, train
from isogloss.training.row_adamw import RowAdamW
from isogloss.training.table_gradients import add_in_place
from tests.training.runs import recipe_content

ROWS, DIMENSION = 40, 6


class Model(nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.table = nn.Embedding(ROWS, DIMENSION, dtype=dtype)
        self.layer = nn.Linear(DIMENSION, 3, dtype=dtype)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.layer(self.table(ids)).square().sum()


def optimiser(kind: type, model: nn.Module, fused: bool | None = True) -> torch.optim.Optimizer:
    return kind(model.parameters(), lr=1e-2, weight_decay=0.1, fused=fused)


def take_steps(model: nn.Module, chosen: torch.optim.Optimizer, first: int, last: int) -> None:
    """Steps of two chunks each, over ids that change: some rows come once, some again, some never."""
    for step in range(first, last):
        generator = np.random.default_rng(step)
        chosen.param_groups[0]["lr"] = 1e-2 / (step + 1)
        model.zero_grad()
        for _ in range(2):
            low = int(generator.integers(0, 25))
            model(torch.from_numpy(generator.integers(low, low + 10, (3, 4)))).backward()
        chosen.step()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("rows_at_once", "fused"), [(3, True), (1000, True), (7, None)])
def test_steps_are_those_of_torch(monkeypatch, dtype, rows_at_once, fused):
    monkeypatch.setattr(row_adamw, "ROWS_AT_ONCE", rows_at_once)
    whole, by_row = Model(dtype), Model(dtype)
    add_in_place(whole)
    add_in_place(by_row, by_row=True)
    take_steps(whole, optimiser(torch.optim.AdamW, whole, fused), 0, 30)
    take_steps(by_row, optimiser(RowAdamW, by_row, fused), 0, 30)
    assert not torch.equal(whole.table.weight, Model(dtype).table.weight)
    close = {"rtol": 0.02, "atol": 5e-3} if dtype is torch.bfloat16 else {}  # whose sums depend on their order
    for one, other in zip(whole.parameters(), by_row.parameters(), strict=True):
        torch.testing.assert_close(other, one, **close)


def test_the_state_holds_the_rows_that_were_met():
    model = Model(torch.float32)
    add_in_place(model, by_row=True)
    chosen = optimiser(RowAdamW, model)
    for ids in ([4, 9, 4], [1, 9]):
        model.zero_grad()
        model(torch.tensor(ids)).backward()
        assert model.table.weight.grad.is_sparse
        chosen.step()
    state = chosen.state[model.table.weight]
    assert state["rows"].tolist() == [4, 9, 1]
    assert state["exp_avg"].shape == state["exp_avg_sq"].shape == (3, DIMENSION)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_loaded_state_goes_on_with_the_same_bits(monkeypatch, dtype):
    model = Model(dtype)
    add_in_place(model, by_row=True)
    chosen = optimiser(RowAdamW, model)
    take_steps(model, chosen, 0, 5)
    saved = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimiser": chosen.state_dict()}, saved)
    take_steps(model, chosen, 5, 9)
    saved.seek(0)
    content = torch.load(saved, weights_only=True)
    again = Model(dtype)
    add_in_place(again, by_row=True)
    again.load_state_dict(content["model"])
    other = optimiser(RowAdamW, again)
    other.load_state_dict(copy.deepcopy(content["optimiser"]))
    assert other.state[again.table.weight]["rows"].dtype == torch.int64
    take_steps(again, other, 5, 9)
    for one, two in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_table_that_others_share_keeps_whole_gradients():
    model = Model(torch.float32)
    model.other = nn.Linear(DIMENSION, ROWS, bias=False)
    model.other.weight = model.table.weight
    add_in_place(model, by_row=True)
    model(torch.tensor([1, 2])).backward()
    assert not model.table.weight.grad.is_sparse


def test_a_run_keeps_only_the_rows_of_its_tokens(tmp_path, tiny_transformer, monkeypatch):
    weights, tables = {}, {}
    for by_row in (True, False):
        monkeypatch.setattr(settings, "keeps_rows", lambda chosen, by_row=by_row: by_row)
        content = recipe_content(tmp_path, tiny_transformer, save_strategy="steps", save_steps=3)
        report = train(parse_recipe(content), tmp_path / str(by_row))
        folder = tmp_path / str(by_row) / "checkpoint-3"
        weights[by_row] = load_file(folder / "model.safetensors")
        tables[by_row] = load_file(folder / "optimizer.safetensors")
        assert report.drift > 0
    for name, whole in weights[False].items():
        if "key.bias" in name:
            continue  # its gradient is rounding alone, which Adam makes steps of
        torch.testing.assert_close(weights[True][name], whole, rtol=1e-4, atol=1e-6)
    by_row, whole = (sum(value.numel() for value in tables[kind].values()) for kind in (True, False))
    assert by_row < 0.9 * whole
    assert any(name.endswith(".rows") for name in tables[True])
