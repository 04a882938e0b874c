"""Before the first step a run says what it costs, and trying it changes nothing.

1. Chunks, negatives after masks, time and memory are in the lines, once.
2. Weights are bit for bit those of a run that was not tried, with dropout on.
3. Chunks hold texts of about one length, and are encoded once where all of them fit together.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from isogloss.recipe import parse_recipe
from isogloss.training import run, train
from isogloss.training.step import CachedStep
from isogloss.training.texts import chunks_by_budget
from tests.training.runs import recipe_content
from tests.training.stand_ins import DoubleTower, every_objective, made_up_batch


def test_the_lines_come_before_the_first_step(tmp_path, tiny_transformer):
    said = []
    content = recipe_content(tmp_path, tiny_transformer, mini_batch_size=4)
    report = train(parse_recipe(content), tmp_path / "out", announce=said.append)
    text = "\n".join(said)
    assert "query and passage" not in text, "prompts differ, so there are two encoders"
    assert "query tower:" in text
    assert "passage tower:" in text
    assert "encoded twice" in text
    assert "infonce(rows): masks leave" in text
    assert report.trial.negatives["infonce(rows)"] <= report.plan.negatives["infonce(rows)"]
    assert ": 3 steps of" in text
    assert report.trial.peak_bytes > 1e8
    assert report.to_json()["trial"]["lines"] == said[-len(report.trial.lines()) :]


def test_trying_changes_nothing(tmp_path, tiny_transformer, monkeypatch):
    content = recipe_content(tmp_path, tiny_transformer)
    tried = train(parse_recipe(content), tmp_path / "tried")
    monkeypatch.setattr(run, "try_step", lambda *arguments, **options: tried.trial)
    plain = train(parse_recipe(content), tmp_path / "plain")
    first, second = (load_file(report.model / "model.safetensors") for report in (tried, plain))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert tried.losses == plain.losses


@pytest.mark.parametrize(("size", "twice"), [(None, False), (2, True)])
def test_a_layout_says_how_texts_are_chunked(size, twice):
    from isogloss.training.encoders import MiniBatch, TrainedEncoder

    texts, batch = made_up_batch()
    encoder = TrainedEncoder(DoubleTower(), texts, mini_batch=MiniBatch(size=size))
    step = CachedStep({"query": encoder, "passage": encoder}, every_objective()["infonce_in_batch"])
    (layout,) = step.layouts(batch)
    assert layout.towers == ("query", "passage")
    assert layout.twice == twice
    assert layout.tokens <= layout.padded <= 2 * layout.tokens
    assert (layout.chunks >= layout.texts / 2) == twice


def test_chunks_hold_texts_of_about_one_length():
    counts = np.random.default_rng(3).integers(4, 200, size=500)
    chunks = chunks_by_budget(counts, budget=2048, size=500, padded=True)
    assert sorted(np.concatenate(chunks).tolist()) == list(range(500))
    padded = [int(counts[chunk].max()) * len(chunk) for chunk in chunks]
    assert max(padded) <= 2048
    assert sum(padded) <= 1.1 * counts.sum()
    assert len(chunks) <= 2 * counts.sum() / 2048


@pytest.mark.parametrize(("base", "told"), [("tiny_transformer", True), ("tiny_static", False)])
def test_bfloat16_is_offered_where_it_helps(tmp_path, request, monkeypatch, base, told):
    monkeypatch.setattr("isogloss.training.trial.has_bfloat16", lambda device: True)
    content = recipe_content(tmp_path, request.getfixturevalue(base))
    report = train(parse_recipe(content), tmp_path / "out")
    assert any("train.bf16" in line for line in report.trial.lines()) == told
