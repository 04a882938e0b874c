"""Law 2: two processes that gather are one process on the union of their rows.

1. Every loss, alone and with all others, has the same value and the same gradients.
2. Without gathering each process sees its own rows alone, and the gradients average.
3. A whole run in two processes ends with the weights of the run in one.
"""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from isogloss.recipe import parse_recipe
from isogloss.training import train
from isogloss.training.encoders import TrainedEncoder
from isogloss.training.step import CachedStep
from tests.training.runs import recipe_content, run_worker
from tests.training.stand_ins import DoubleTower, every_objective, made_up_batch, teacher


def one_process(objective, part=None):
    texts, batch = made_up_batch(8)
    tower = DoubleTower(dropout=0.0)
    encoder = TrainedEncoder(tower, texts)
    step = CachedStep({"query": encoder, "passage": encoder}, objective, teacher=teacher(texts))
    loss = step(batch if part is None else batch.part(part, 2)).loss
    return loss, {name: value.grad for name, value in tower.named_parameters()}


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    run_worker("step", str(folder), processes=2)
    return [load_file(folder / f"rank{rank}.safetensors") for rank in range(2)]


def test_two_processes_that_gather_are_one(ranks):
    for name, objective in every_objective().items():
        loss, gradients = one_process(objective)
        for found in ranks:
            torch.testing.assert_close(found[f"True.{name}.loss"], loss, rtol=0, atol=1e-12)
            for parameter, gradient in gradients.items():
                torch.testing.assert_close(found[f"True.{name}.{parameter}"], gradient, rtol=0, atol=1e-12)


def test_without_gathering_each_keeps_to_its_rows(ranks):
    for name, objective in every_objective().items():
        parts = [one_process(objective, part) for part in range(2)]
        for found, (loss, _) in zip(ranks, parts, strict=True):
            torch.testing.assert_close(found[f"False.{name}.loss"], loss, rtol=0, atol=1e-12)
        for parameter in parts[0][1]:
            mean = (parts[0][1][parameter] + parts[1][1][parameter]) / 2
            torch.testing.assert_close(ranks[0][f"False.{name}.{parameter}"], mean, rtol=0, atol=1e-12)


def test_a_run_in_two_processes_ends_as_in_one(tmp_path, tiny_transformer):
    content = recipe_content(tmp_path, tiny_transformer, dropout=False, mini_batch_size=4)
    run_worker("train", json.dumps(content), str(tmp_path / "two"), processes=2)
    train(parse_recipe(content), tmp_path / "one")
    weights = {
        name: [load_file(path) for path in sorted((tmp_path / name / "model").rglob("*.safetensors"))]
        for name in ("one", "two")
    }
    assert weights["one"]
    # Adam divides by the gradient's size, so a rounding error of a gradient near 0 shows in the weight.
    torch.testing.assert_close(weights["two"], weights["one"], rtol=0, atol=2e-4)
