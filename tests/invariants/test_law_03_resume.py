"""Law 3: killed and resumed equals unbroken.

1. A run that is killed by the system in the middle of a step, and started again, ends with the weights of the run that
   was not: bit for bit, dropout, optimiser, schedule and sampling included.
2. Its log has the same lines, also where a mean goes over a checkpoint.
3. A checkpoint that is corrupt, incomplete or of another run is refused; the one before is taken only if asked.
4. A checkpoint is there whole or not at all.
"""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from isogloss.errors import CheckpointError, FileError, UsageError
from isogloss.recipe import parse_recipe
from isogloss.training import checkpoints, train
from isogloss.training.run_folder import find_checkpoint
from tests.training.runs import recipe_content, run_worker


def model_files(folder):
    paths = sorted(path for path in (folder / "model").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def saved_run(folder, base, **train_settings):
    settings = {"max_steps": 8, "save_strategy": "steps", "save_steps": 3, "logging_steps": 2, **train_settings}
    return recipe_content(folder, base, **settings)


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("tiny_transformer", {"mini_batch_size": 4, "warmup_steps": 2, "weight_decay": 0.1, "max_grad_norm": 1.0}),
        ("tiny_static", {"optim": "sparse_adam", "sparse_embeddings": True}),
        ("tiny_static", {"optim": "adagrad", "lr_scheduler_type": "cosine"}),
        ("tiny_static", {"optim": "sgd", "learning_rate": 1.0}),
    ],
)
def test_killed_and_resumed_equals_unbroken(tmp_path, request, model, settings):
    content = saved_run(tmp_path, request.getfixturevalue(model), **settings)
    killed = tmp_path / "killed"
    code = run_worker("kill", json.dumps(content), str(killed), "5", str(torch.get_num_threads()))
    assert code == -9
    assert not (killed / "model").exists()
    assert [path.name for path in checkpoints.checkpoints(killed)] == ["checkpoint-3"]
    report = train(parse_recipe(content), killed)
    assert report.resumed_from == 3
    unbroken = train(parse_recipe(content), tmp_path / "unbroken")
    assert unbroken.resumed_from == 0
    assert model_files(killed) == model_files(tmp_path / "unbroken")
    logs = [(folder / "train-log.jsonl").read_text() for folder in (killed, tmp_path / "unbroken")]
    assert logs[0] == logs[1]
    assert [json.loads(line)["step"] for line in logs[0].splitlines()] == [2, 4, 6, 8]
    assert report.rows_seen == unbroken.rows_seen


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_static):
    folder = tmp_path_factory.mktemp("finished")
    content = saved_run(folder, tiny_static, save_total_limit=None)
    train(parse_recipe(content), folder / "out")
    return content, folder / "out"


def truncated(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-5])


def flipped(folder):
    path = folder / "optimizer.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


DAMAGE = {
    "truncated": (truncated, "model.safetensors  is not as it was written"),
    "flipped bit": (flipped, "optimizer.safetensors  is not as it was written"),
    "missing file": (lambda folder: (folder / "random.safetensors").unlink(), "random.safetensors  is missing"),
    "no listing": (lambda folder: (folder / "checkpoint.json").unlink(), "checkpoint.json cannot be read"),
    "broken listing": (lambda folder: (folder / "checkpoint.json").write_text("{"), "checkpoint.json cannot be read"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_refused_and_the_one_before_taken_on_demand(tmp_path, finished, damage):
    content, out = finished
    shutil.copytree(out, tmp_path / "out")
    harm, message = DAMAGE[damage]
    harm(tmp_path / "out" / "checkpoint-8")
    with pytest.raises(CheckpointError, match=message):
        train(parse_recipe(content), tmp_path / "out")
    report = train(parse_recipe(content), tmp_path / "out", resume="previous")
    assert report.resumed_from == 6
    assert model_files(tmp_path / "out") == model_files(out)


def test_nothing_intact_is_an_error_that_lists_all(tmp_path, finished):
    content, out = finished
    shutil.copytree(out, tmp_path / "out")
    for folder in checkpoints.checkpoints(tmp_path / "out"):
        truncated(folder)
    with pytest.raises(CheckpointError, match=r"(?s)no intact checkpoint.*checkpoint-8.*checkpoint-6.*checkpoint-3"):
        train(parse_recipe(content), tmp_path / "out", resume="previous")


def test_a_finished_run_is_recognised_and_computes_nothing_anew(finished):
    content, out = finished
    before = model_files(out)
    assert train(parse_recipe(content), out).resumed_from == 8
    assert model_files(out) == before


def test_another_run_is_refused(finished):
    content, out = finished
    other = {**content, "train": {**content["train"], "seed": 99}}
    with pytest.raises(CheckpointError, match="of another run"):
        train(parse_recipe(other), out)
    with pytest.raises(UsageError, match="not empty"):
        train(parse_recipe(content), out, resume="never")
    with pytest.raises(UsageError, match="allowed: auto"):
        find_checkpoint(out, "yes", "")


def test_a_checkpoint_that_cannot_be_written_leaves_nothing(tmp_path, tiny_static, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    content = saved_run(tmp_path, tiny_static)
    with pytest.raises(FileError, match="no space left"):
        train(parse_recipe(content), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["train-log.jsonl"]
