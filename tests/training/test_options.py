"""Options that every objective takes: low-rank adapters, and the dtype of the trained weights.

1. Adapters alone are trained; merged, the saved folder is a plain one whose change has at most their rank. Chunks that
   are replayed give the gradients of one graph; a killed run ends as an unbroken one does.
2. A step that float32 rounds away is taken in float64; where every step is rounded away the run is refused.
3. Options that do not fit the model, or each other, are refused before anything is written.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from isogloss.errors import MissingExtraError, RecipeError
from isogloss.losses import InfoNCE
from isogloss.models.retriever import Retriever
from isogloss.recipe import parse_recipe
from isogloss.training import train
from isogloss.training.encoders import MiniBatch, TrainedEncoder
from isogloss.training.objective import BoundTerm, Objective
from isogloss.training.settings import plain_towers, trainable_towers
from isogloss.training.step import CachedStep
from tests.conftest import TINY_TEXTS
from tests.training.runs import recipe_content, run_worker
from tests.training.stand_ins import made_up_batch

LORA = {"rank": 3, "alpha": 6, "dropout": 0.2, "targets": ["query", "value"]}


def content_with(folder, base, *, model=None, dimensions=None, **train_settings):
    content = recipe_content(folder, base, **train_settings)
    content["model"] |= model or {}
    return content | ({"dimensions": dimensions} if dimensions else {})


def test_adapters_are_trained_merged_and_resumed(tmp_path, tiny_transformer):
    settings = {"max_steps": 6, "save_strategy": "steps", "save_steps": 2, "mini_batch_size": 4}
    content = content_with(tmp_path, tiny_transformer, model={"lora": LORA}, **settings)
    unbroken = train(parse_recipe(content), tmp_path / "unbroken")
    assert unbroken.plan.trained == 2 * 2 * 2 * 3 * 32, "two layers, two targets, A and B"
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_transformer, unbroken.model))
    assert before.keys() == after.keys()
    changed = {name: after[name] - before[name] for name in before if not torch.equal(before[name], after[name])}
    assert {name.split("self.")[1] for name in changed} == {"query.weight", "value.weight"}
    assert {int(torch.linalg.matrix_rank(change, atol=1e-4)) for change in changed.values()} == {3}
    code = run_worker("kill", json.dumps(content), str(tmp_path / "killed"), "5", str(torch.get_num_threads()))
    assert code == -9
    resumed = train(parse_recipe(content), tmp_path / "killed")
    assert resumed.resumed_from == 4
    assert all(
        torch.equal(value, after[name]) for name, value in load_file(resumed.model / "model.safetensors").items()
    )


def test_adapters_merged_are_the_adapters(tiny_transformer, tmp_path):
    content = content_with(tmp_path, tiny_transformer, model={"lora": {**LORA, "targets": "all"}})
    towers = trainable_towers(Retriever.load(tiny_transformer), parse_recipe(content)).eval()
    features = towers.query.features(list(TINY_TEXTS))
    with torch.no_grad():
        whole = towers.query(features)
        for name, value in towers.named_parameters():
            if "lora_B" in name:
                value.normal_(generator=torch.Generator().manual_seed(len(name)))
        adapted = towers.query(features)
        merged = plain_towers(towers).query(features)
    assert not torch.allclose(whole, adapted, atol=1e-2)
    torch.testing.assert_close(merged, adapted, rtol=0, atol=1e-5)
    assert not [name for name, _ in towers.named_modules() if "lora" in name]


def test_cached_gradients_of_adapters_are_plain_ones(tiny_transformer, tmp_path):
    content = content_with(tmp_path, tiny_transformer, model={"lora": LORA}, master_dtype="float64")
    objective = Objective([BoundTerm("infonce", InfoNCE(temperature=0.3), ("rows",))], dimensions={32: 1.0, 8: 0.5})
    found = []
    for size in (1000, 3):
        towers = trainable_towers(Retriever.load(tiny_transformer), parse_recipe(content))
        # Dropout of chunks of other sizes differs, so here it is off; law 1 pins its replay.
        towers.eval()
        for name, value in towers.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(value, generator=torch.Generator().manual_seed(len(name)))
        texts, batch = made_up_batch()
        encoder = TrainedEncoder(towers.query, texts, mini_batch=MiniBatch(size=size))
        CachedStep({"query": encoder, "passage": encoder}, objective)(batch)
        found.append({name: value.grad for name, value in towers.named_parameters() if value.requires_grad})
    assert all("lora_" in name and float(value.abs().max()) > 1e-6 for name, value in found[0].items())
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-7)


def test_float64_takes_the_steps_that_float32_loses(tmp_path, tiny_transformer):
    notes = {}
    for dtype in ("float32", "float64"):
        content = content_with(tmp_path, tiny_transformer, learning_rate=2e-8, master_dtype=dtype, dropout=False)
        content["train"] |= {"lr_scheduler_type": "constant", "save_strategy": "steps", "save_steps": 3}
        report = train(parse_recipe(content), tmp_path / dtype)
        weights = load_file(tmp_path / dtype / "checkpoint-3" / "model.safetensors")
        gains = torch.cat([value for name, value in weights.items() if name.endswith("LayerNorm.weight")]).double()
        notes[dtype] = next(line for line in report.plan.lines() if "stand still" in line)
        assert bool((gains == 1).all()) == (dtype == "float32"), (
            "half the spacing of float32 at 1 is 6e-8, and 3e-8 below"
        )
        assert report.drift == pytest.approx(6e-8, rel=0.6)
        assert report.learning_rate_sum == pytest.approx(6e-8)
        log = [json.loads(line) for line in (tmp_path / dtype / "train-log.jsonl").read_text().splitlines()]
        assert [line["learning_rate_sum"] for line in log] == pytest.approx([2e-8, 4e-8, 6e-8])
        assert load_file(report.model / "model.safetensors")["embeddings.LayerNorm.weight"].dtype == torch.float32
    assert "stand still in float32, of those of norms 50.0 %" in notes["float32"], "gains of 1 do, shifts of 0 do not"
    assert "0.0 % of the weights stand still in float64, of those of norms 0.0 %" in notes["float64"]


@pytest.mark.parametrize(
    ("model", "change", "message"),
    [
        ("tiny_static", {"dimensions": [12, 4]}, "the largest is not that of the model"),
        ("tiny_static", {"dimensions": [24, 24]}, "names a number twice"),
        ("tiny_static", {"dimensions": {24: 1, 4: 0}}, "dimensions.4"),
        ("tiny_static", {"model": {"lora": {}}}, "none, for it is a static model"),
        ("tiny_transformer", {"model": {"lora": {"targets": ["qeury"]}}}, "it has: dense, key, query, value"),
        ("tiny_transformer", {"model": {"lora": {"rnak": 3}}}, "model.lora.rnak.*did you mean 'rank'"),
        ("tiny_transformer", {"model": {"lora": {}}, "freeze": ["both"]}, "no meaning beside model.lora"),
        ("tiny_transformer", {"master_dtype": "bfloat16", "learning_rate": 9e-7}, "needs a learning_rate of 1e-06"),
        ("tiny_static", {"learning_rate": 1e-12}, "moves no weight: float32 rounds every step back"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, request, model, change, message):
    with pytest.raises(RecipeError, match=f"(?s){message}"):
        train(parse_recipe(content_with(tmp_path, request.getfixturevalue(model), **change)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_half_precision_trains_where_its_steps_are_long(tmp_path, tiny_transformer):
    report = train(parse_recipe(content_with(tmp_path, tiny_transformer, master_dtype="bfloat16")), tmp_path / "out")
    assert report.drift > 1e-3
    assert np.isfinite(Retriever.load(report.model).encode_query(TINY_TEXTS)).all()


def test_without_peft_the_extra_is_named(tmp_path, tiny_transformer, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r"isogloss\[lora\]"):
        train(parse_recipe(content_with(tmp_path, tiny_transformer, model={"lora": {}})), tmp_path / "out")
