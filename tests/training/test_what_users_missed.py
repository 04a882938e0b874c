"""What users of other trainers found out too late.

1. Prompts of the model are part of its training texts: the logged loss is that of the vectors which the model gives.
2. Vectors that become one are told of while the run goes on, and not where they keep apart.
3. An experiment tracker gets every line of the run's own log, terms included.
"""

from __future__ import annotations

import json
import logging

import pytest
import torch
from transformers import TrainerCallback
from transformers.integrations import integration_utils

from isogloss import Retriever
from isogloss.datasets import read_rows
from isogloss.losses import infonce
from isogloss.recipe import parse_recipe
from isogloss.training import train
from tests.training.runs import recipe_content

INFONCE = [{"term": "infonce", "on": "rows", "temperature": 0.1, "mode": "in_batch_all"}]


def content(folder, base, objective=None, **settings):
    recipe = recipe_content(folder, base, objective=objective or INFONCE, **settings)
    del recipe["sources"]["parallel"]
    recipe["sources"]["rows"] |= {"batch": 36, "negatives": 0}
    return recipe


def logged(folder):
    return [json.loads(line) for line in (folder / "train-log.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("prompts", [None, {"query": "ask the river: ", "document": "the market says: "}])
def test_the_prompts_are_trained_with(tmp_path, tiny_transformer, prompts):
    base = Retriever.load(tiny_transformer, prompts=prompts)
    base.save(tmp_path / "base")
    recipe = content(tmp_path, tmp_path / "base", max_steps=1, dropout=False)
    rows = read_rows(recipe["sources"]["rows"]["path"])
    queries = torch.from_numpy(base.encode_query([row.query for row in rows]))
    passages = torch.from_numpy(base.encode_passage([row.passage for row in rows]))
    bare = Retriever.load(tiny_transformer, prompts={"query": "", "document": ""})
    without = torch.from_numpy(bare.encode_query([row.query for row in rows]))
    train(parse_recipe(recipe), tmp_path / "run")
    found = logged(tmp_path / "run")[0]["loss"]
    assert found == pytest.approx(float(infonce(queries, passages, temperature=0.1)), rel=2e-3)
    assert found != pytest.approx(float(infonce(without, passages, temperature=0.1)), rel=2e-3)


COLLAPSING = """
from dataclasses import dataclass
from isogloss.losses import term

@term("together", roles=("query", "passage"))
@dataclass(frozen=True)
class Together:
    def __call__(self, e):
        return 1 - (e.query @ e.passage.T).mean()
"""


def test_a_collapse_is_told_of(tmp_path, tiny_static, caplog):
    (tmp_path / "together.py").write_text(COLLAPSING, encoding="utf-8")
    recipe = content(tmp_path, tiny_static, [{"term": "together", "on": "rows"}], max_steps=30, learning_rate=0.3)
    recipe["plugins"] = [str(tmp_path / "together.py")]
    with caplog.at_level(logging.WARNING, logger="isogloss"):
        train(parse_recipe(recipe), tmp_path / "collapsing")
    lines = logged(tmp_path / "collapsing")
    (name,) = (key for key in lines[0] if key.startswith("spread/"))
    assert lines[-1][name] < 0.1 * lines[0][name]
    assert "nearly become one" in caplog.text


def test_no_collapse_is_told_of_where_there_is_none(tmp_path, tiny_static, caplog):
    with caplog.at_level(logging.WARNING, logger="isogloss"):
        train(parse_recipe(content(tmp_path, tiny_static, max_steps=3)), tmp_path / "run")
    assert "nearly become one" not in caplog.text


def test_a_tracker_gets_every_line(tmp_path, tiny_static, monkeypatch):
    seen = []

    class Tracker(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **kwargs):
            seen.append(dict(logs))

    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "tensorboard", Tracker)
    train(parse_recipe(content(tmp_path, tiny_static, max_steps=2, report_to="tensorboard")), tmp_path / "run")
    lines = logged(tmp_path / "run")
    assert [line["loss"] for line in seen if "loss" in line] == [line["loss"] for line in lines]
    assert "term/infonce(rows)" in seen[0]
