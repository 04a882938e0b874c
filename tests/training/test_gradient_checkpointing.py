"""Gradient checkpointing saves memory and changes nothing.

1. It is on: the inner layers are computed once more.
2. A run with it ends with the weights of a run without it, dropout included, whichever towers are trained.
3. So does a run of two processes: gradients are summed by the step, outside the hooks at which such runs fail elsewhere.
4. Where it would have no effect it is refused.
"""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from isogloss.errors import RecipeError
from isogloss.recipe import parse_recipe
from isogloss.training import train
from tests.training.runs import recipe_content, run_worker


def weights(folder):
    return {str(path.relative_to(folder)): load_file(path) for path in (folder / "model").rglob("*.safetensors")}


def content(folder, base, *, checkpointing, **train_settings):
    settings = {"max_steps": 2, "mini_batch_size": 4, "gradient_checkpointing": checkpointing}
    return recipe_content(folder, base, **{**settings, **train_settings})


@pytest.fixture
def recomputed(monkeypatch):
    """How often a layer was computed so that it can be computed once more."""
    from transformers import modeling_utils

    calls = []
    original = modeling_utils.checkpoint
    monkeypatch.setattr(modeling_utils, "checkpoint", lambda *a, **k: calls.append(1) or original(*a, **k))
    return calls


@pytest.mark.parametrize("towers", ["shared", "separate", "frozen_passage"])
def test_the_weights_are_those_without_it(tmp_path, tiny_transformer, towers, recomputed):
    objective = [{"term": "infonce", "on": "rows", "temperature": 0.1}]
    ends = []
    for checkpointing in (False, True):
        recipe = content(tmp_path, tiny_transformer, checkpointing=checkpointing, towers=towers, objective=objective)
        del recipe["sources"]["parallel"]
        train(parse_recipe(recipe), tmp_path / str(checkpointing))
        ends.append(weights(tmp_path / str(checkpointing)))
        assert bool(recomputed) == checkpointing
    torch.testing.assert_close(ends[1], ends[0], rtol=0, atol=1e-6)


def test_two_processes_with_it_end_as_one_without(tmp_path, tiny_transformer):
    base = shutil.copytree(tiny_transformer, tmp_path / "base")
    config = json.loads((base / "config.json").read_text("utf-8"))
    config |= {
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }  # two processes draw dropout of their own
    (base / "config.json").write_text(json.dumps(config), encoding="utf-8")
    run_worker("train", json.dumps(content(tmp_path, base, checkpointing=True)), str(tmp_path / "two"), processes=2)
    train(parse_recipe(content(tmp_path, base, checkpointing=False)), tmp_path / "one")
    # Adam divides by the gradient's size, so a rounding error of a gradient near 0 shows in the weight.
    torch.testing.assert_close(weights(tmp_path / "two"), weights(tmp_path / "one"), rtol=0, atol=2e-4)


def test_without_dropout_it_would_do_nothing_and_is_refused(tmp_path, tiny_transformer):
    with pytest.raises(RecipeError, match="gradient_checkpointing: true needs dropout: true"):
        parse_recipe(content(tmp_path, tiny_transformer, checkpointing=True, dropout=False))
