"""A rounded model is saved where it was proved to be as good, and else the whole one.

1. Within the limits the folder has the rounded table, and the report names every language with what it changes.
2. Beyond them the folder has the whole table, and the line says which language was why.
3. Without a set to compare on it is rounded, and the line says that nobody looked.
4. A run leaves all of this in its manifest.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from isogloss.datasets import load
from isogloss.models.retriever import Retriever
from isogloss.recipe import parse_recipe
from isogloss.training import rounding, train
from isogloss.training.rounding import LIMITS, save_rounded
from tests.cli.worlds import write_beir
from tests.training.runs import recipe_content


@pytest.fixture
def eval_set(tmp_path):
    (tmp_path / "set").mkdir()
    write_beir(tmp_path / "set")
    return load(tmp_path / "set")


def table_of(place):
    return Retriever.load(place).query.engine.table


def test_within_the_limits_it_is_rounded(tiny_static, tmp_path, eval_set):
    model = Retriever.load(tiny_static)
    done = save_rounded(model, tmp_path / "model", "int8", [eval_set])
    assert done.saved == "int8"
    assert table_of(tmp_path / "model").codes.dtype == np.int8
    (report,) = done.to_json()["parity"]
    assert report["passed"]
    assert set(report["languages"]) == set(eval_set.query_languages) | set(eval_set.passage_languages)
    assert all(row["least_cosine"] < 1 for row in report["languages"].values())
    assert "changes no language of set by more than 0.0000" in str(done)


def test_beyond_them_it_is_saved_whole(tiny_static, tmp_path, eval_set, monkeypatch):
    monkeypatch.setattr(rounding, "LIMITS", replace(LIMITS, least_cosine=1.0))
    model = Retriever.load(tiny_static)
    done = save_rounded(model, tmp_path / "model", "int8", [eval_set])
    assert (done.asked, done.saved) == ("int8", "as_is")
    np.testing.assert_array_equal(table_of(tmp_path / "model")[:], model.query.engine.table[:])
    assert "not saved in int8" in str(done)
    assert all(language in str(done) for language in eval_set.query_languages)


def test_without_a_set_nobody_looked(tiny_static, tmp_path):
    done = save_rounded(Retriever.load(tiny_static), tmp_path / "model", "float16", [])
    assert table_of(tmp_path / "model").dtype == np.float16
    assert "was not looked at" in str(done)


def test_a_run_notes_it(tiny_static, tmp_path, eval_set):
    content = {**recipe_content(tmp_path, tiny_static), "evaluate": [{"data": str(tmp_path / "set")}]}
    content["model"] = {**content["model"], "precision": "int8"}
    said = []
    report = train(parse_recipe(content), tmp_path / "run", progress=False, announce=said.append)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["rounding"] == report.to_json()["rounding"]
    assert manifest["rounding"]["saved"] == "int8"
    assert str(report.rounding) in said
