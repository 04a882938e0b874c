"""A recipe's evaluations are carried out, and what it expects of them is checked.

1. The scores of a run are those of `evaluate` on its model, by the names that `expect` uses; its folder has the runs.
2. A score within the tolerance passes, one beyond it is missed, above as well as below; then the exit code is 3.
3. Sets, pairs, measures and expectations that mean nothing are refused before anything is trained, all at once.
"""

from __future__ import annotations

import json

import pytest

from isogloss.datasets import load
from isogloss.errors import RecipeError
from isogloss.evaluation.evaluate import evaluate
from isogloss.models.retriever import Retriever
from isogloss.recipe import parse_recipe
from isogloss.training import train
from tests.cli.worlds import answer, run, write_beir
from tests.training.runs import recipe_content


@pytest.fixture
def content(tmp_path, tiny_static):
    (tmp_path / "set").mkdir()
    write_beir(tmp_path / "set")
    asked = {"data": str(tmp_path / "set"), "pairs": ["same", "to-en"], "measures": ["nDCG@10", "RR@10"]}
    return {**recipe_content(tmp_path, tiny_static), "evaluate": [asked]}


def test_the_scores_are_those_of_evaluate(content, tmp_path):
    report = train(parse_recipe(content), tmp_path / "run", progress=False)
    found = evaluate(Retriever.load(report.model), load(tmp_path / "set"), pairs="same,to-en", measures="nDCG@10,RR@10")
    assert report.measured.scores == found.flat() and report.measured.missed == []
    assert report.to_json()["scores"]["set/to-en/RR@10/macro"] == found.summary("to-en", "RR@10").macro
    assert len(list((tmp_path / "run" / "evaluation" / "set").rglob("*.trec*"))) > 0


def test_expectations(content, tmp_path):
    scores = train(parse_recipe(content), tmp_path / "first", progress=False).measured.scores
    names = ("set/same/nDCG@10/macro", "set/de-en/nDCG@10", "set/same/RR@10/worst", "set/to-en/RR@10/micro")
    added = dict(zip(names, (0.0, 0.004, 0.2, -0.2), strict=True))
    content["expect"] = {name: {"value": scores[name] + more, "tolerance": 0.005} for name, more in added.items()}
    measured = train(parse_recipe(content), tmp_path / "second", progress=False).measured
    assert [line.split(":")[0] for line in measured.missed] == list(names[2:])
    assert "expected" in measured.missed[0]


@pytest.mark.parametrize(("value", "code"), [("2", 3), ("0.5", 0)])
def test_the_exit_code(content, tmp_path, value, code):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(content))
    expected = f'{{"set/same/RR@10/macro": {{value: {value}, tolerance: 0.5}}}}'
    result = run("train", path, "--out", tmp_path / "run", "--set", f"expect={expected}", "--json")
    assert result.exit_code == code
    assert len(answer(result)["missed"]) == (code == 3)


def test_what_means_nothing_is_refused_at_once(content, tmp_path):
    content["evaluate"] += [
        {"data": str(tmp_path / "nowhere")},
        {"data": str(tmp_path / "set"), "pairs": ["de-xx"], "measures": ["nDCG@10"]},
    ]
    with pytest.raises(RecipeError) as caught:
        train(parse_recipe(content), tmp_path / "run", progress=False)
    assert [fault.where for fault in caught.value.faults] == ["evaluate[1]", "evaluate[2].data", "evaluate[2]"]
    content["evaluate"] = content["evaluate"][:1]
    content["expect"] = {"set/same/nDCG@100/macro": {"value": 1}, "set/en-de/RR@10": {"value": 1}}
    with pytest.raises(RecipeError, match="did you mean 'set/same/nDCG@10/macro'") as caught:
        train(parse_recipe(content), tmp_path / "run", progress=False, dry_run=True)
    assert len(caught.value.faults) == 2
    content["evaluate"] = []
    with pytest.raises(RecipeError, match="names no set"):
        train(parse_recipe(content), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
