"""Law 2: two processes that gather are one process on the union of their rows.

1. Every loss, alone and with all others, has the same value and the same gradients.
2. Without gathering each process sees its own rows alone, and the gradients average.
3. A whole run of torchrun in two processes ends with the weights and the log of the run in one: transformers and static
   models, and also where all processes are killed on the way and started again.
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


def saved_weights(folder):
    return {path.parent.name: load_file(path) for path in (folder / "model").rglob("*.safetensors")}


def logged(folder):
    return [json.loads(line) for line in (folder / "train-log.jsonl").read_text("utf-8").splitlines()]


def check_same_run(found, expected):
    # Adam divides by the gradient's size, so a rounding error of a gradient near 0 shows in the weight.
    weights = saved_weights(expected)
    assert weights
    torch.testing.assert_close(saved_weights(found), weights, rtol=0, atol=2e-4)
    lines = logged(expected)
    assert [line["step"] for line in logged(found)] == [line["step"] for line in lines]
    for line, wanted in zip(logged(found), lines, strict=True):
        assert line == pytest.approx(wanted, rel=1e-3, abs=1e-5)


def test_a_run_in_two_processes_ends_as_in_one(tmp_path, tiny_transformer):
    content = recipe_content(tmp_path, tiny_transformer, dropout=False, mini_batch_size=4, weight_decay=0.1)
    run_worker("train", json.dumps(content), str(tmp_path / "two"), processes=2)
    train(parse_recipe(content), tmp_path / "one")
    check_same_run(tmp_path / "two", tmp_path / "one")


@pytest.mark.slow
def test_two_processes_that_are_killed_go_on_as_one(tmp_path, tiny_static):
    saving = {"max_steps": 8, "save_strategy": "steps", "save_steps": 3, "weight_decay": 0.1, "max_grad_norm": 1.0}
    content = recipe_content(tmp_path, tiny_static, **saving)
    killed = tmp_path / "killed"
    assert run_worker("kill", json.dumps(content), str(killed), "5", "1", processes=2, may_fail=True)
    assert not (killed / "model").exists()
    run_worker("train", json.dumps(content), str(killed), processes=2)
    manifest = json.loads((killed / "manifest.json").read_text("utf-8"))
    assert (manifest["resumed_from"], manifest["processes"]) == (3, 2)
    train(parse_recipe(content), tmp_path / "one")
    check_same_run(killed, tmp_path / "one")
