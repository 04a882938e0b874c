"""Of the checkpoints that a run kept, the one with the best score becomes the model, whole.

1. The scores are those of `evaluate` on a run that ended at that step; the first of the highest is taken.
2. The same command, given again, chooses the same; asking for a choice does not make it another run.
3. A score that no evaluation gives, and a choice among no checkpoints, are refused before anything is trained.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from isogloss.datasets import load
from isogloss.errors import RecipeError
from isogloss.evaluation.evaluate import evaluate
from isogloss.models.retriever import Retriever
from isogloss.recipe import parse_recipe
from isogloss.training import train
from isogloss.training.measuring import Measuring
from tests.cli.worlds import write_beir
from tests.training.runs import recipe_content

METRIC = "set/to-en/RR@10/macro"
STEPS = 4


@pytest.fixture
def content(tmp_path, tiny_static):
    (tmp_path / "set").mkdir()
    write_beir(tmp_path / "set")
    found = recipe_content(tmp_path, tiny_static)
    found["evaluate"] = [{"data": str(tmp_path / "set"), "pairs": ["to-en"], "measures": ["RR@10"]}]
    found["train"] |= {
        "max_steps": STEPS,
        "save_strategy": "steps",
        "save_steps": 1,
        "save_total_limit": None,
        "learning_rate": 0.3,
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "metric_for_best_model": METRIC,
    }
    return found


def until(content, steps):
    settings = content["train"] | {"max_steps": steps, "metric_for_best_model": None}
    return parse_recipe({**content, "train": settings})


def vectors(model):
    return Retriever.load(model).encode_query(["ship", "Schiff", "a river"])


def test_the_scores_are_those_of_shorter_runs(content, tmp_path):
    best = train(parse_recipe(content), tmp_path / "run", progress=False).best
    for step in range(1, STEPS + 1):
        shorter = train(until(content, step), tmp_path / f"to-{step}", progress=False)
        found = evaluate(Retriever.load(shorter.model), load(tmp_path / "set"), pairs="to-en", measures="RR@10")
        assert best.scores[step] == found.summary("to-en", "RR@10").macro
    assert best.step == min(best.scores, key=lambda step: (-best.scores[step], step))
    assert len(set(best.scores.values())) > 1  # else the comparison above says little


@pytest.mark.parametrize(
    ("scores", "step"), [((0.1, 0.5, 0.5, 0.3), 2), ((0.1, 0.2, 0.3, 0.4), 4), ((None, 0.2, None, 0.1), 2)]
)
def test_the_model_is_the_checkpoint_with_the_best_score(content, tmp_path, monkeypatch, scores, step):
    given = iter((scores[-1], *scores[:-1]))  # the last step is measured first
    monkeypatch.setattr(Measuring, "decide", lambda self, retriever: next(given))
    report = train(parse_recipe(content), tmp_path / "run", progress=False)
    assert report.best.step == step
    shorter = train(until(content, step), tmp_path / "shorter", progress=False)
    np.testing.assert_array_equal(vectors(report.model), vectors(shorter.model))
    assert report.drift == pytest.approx(shorter.drift)
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["best"] == report.best.to_json()


def test_given_again_it_chooses_the_same(content, tmp_path):
    first = train(parse_recipe(content), tmp_path / "run", progress=False)
    kept = vectors(first.model)
    again = train(parse_recipe(content), tmp_path / "run", progress=False)
    assert again.best == first.best and np.array_equal(vectors(again.model), kept)
    plain = train(until(content, STEPS), tmp_path / "run", progress=False)
    assert plain.resumed_from == STEPS and plain.best is None


def test_what_cannot_choose_is_refused(content, tmp_path):
    content["train"]["metric_for_best_model"] = "set/to-en/RR@100/macro"
    with pytest.raises(RecipeError, match=r"did you mean 'set/to-en/RR@10/macro'"):
        train(parse_recipe(content), tmp_path / "run", progress=False)
    no_checkpoints = {**content, "train": content["train"] | {"save_strategy": "no"}}
    with pytest.raises(RecipeError, match="writes none"):
        parse_recipe(no_checkpoints)
    content["evaluate"] = []
    with pytest.raises(RecipeError, match="metric_for_best_model"):
        train(parse_recipe(content), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
