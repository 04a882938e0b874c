"""Adding the gradients of tables in place gives the gradients that torch gives.

1. With tokens that repeat, over several chunks, and none for the padding.
2. A frozen table gets no gradient and no place in the optimiser; after `restore` everything is as before.
"""

from __future__ import annotations

import json

import torch
from safetensors.torch import load_file
from torch import nn

from isogloss.recipe import parse_recipe
from isogloss.training import train
from isogloss.training.table_gradients import add_in_place, restore
from tests.training.runs import recipe_content


def test_the_gradient_is_that_of_torch():
    ids = torch.tensor([[3, 0, 5, 3], [1, 3, 0, 0]])
    table = nn.Embedding(9, 4, padding_idx=0)
    found = []
    for change in (restore, add_in_place):
        table.zero_grad()
        change(table)
        for factor in (1.0, 2.0):
            (factor * table(ids) ** 3).sum().backward()
        found.append(table.weight.grad.clone())
    assert found[0].abs().sum() > 0
    torch.testing.assert_close(found[1], found[0])
    assert torch.equal(found[1][0], torch.zeros(4))


def test_what_is_frozen_or_restored_is_left_alone():
    frozen, trained = nn.Embedding(9, 4), nn.Embedding(9, 4)
    frozen.weight.requires_grad_(False)
    both = nn.ModuleList([frozen, trained])
    add_in_place(both)
    assert "forward" not in vars(frozen)
    assert "forward" in vars(trained)
    restore(both)
    assert "forward" not in vars(trained)


def test_frozen_tables_take_no_place_in_the_optimiser(tmp_path, tiny_transformer):
    names = {}
    for freeze in ("none", "embeddings"):
        content = recipe_content(tmp_path, tiny_transformer, freeze=freeze, save_strategy="steps", save_steps=3)
        train(parse_recipe(content), tmp_path / freeze)
        folder = tmp_path / freeze / "checkpoint-3"
        names[freeze] = sum(value.numel() for value in load_file(folder / "optimizer.safetensors").values())
        weights = load_file(folder / "model.safetensors")
    tables = sum(value.numel() for name, value in weights.items() if name.endswith("_embeddings.weight"))
    assert names["none"] - names["embeddings"] >= 2 * tables, json.dumps(names)
