"""Law 4: a frozen passage tower is a promise to whoever owns the index.

1. No parameter of it changes, bit for bit, whatever the objective.
2. Its bank stays valid: the saved model accepts it, and a stored text encodes to the stored vector.
3. The query tower does change; else 1 and 2 say nothing.
4. Training that reads the bank is training that computes the passages; a bank of another tower, or one that lacks a
   passage, is refused.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from isogloss.engines.bank import Bank
from isogloss.errors import DataError, StaleBankError
from isogloss.models.retriever import Retriever
from isogloss.recipe import parse_recipe
from isogloss.records import Text
from isogloss.training import train
from isogloss.training.checkpoints import WEIGHTS
from tests.training.runs import recipe_content

OBJECTIVES = {
    "infonce": [{"term": "infonce", "on": "rows", "temperature": 0.1}],
    "triplet": [{"term": "triplet", "on": "rows", "margin": 0.9}],
    "both streams": [
        {"term": "infonce", "on": "rows", "mode": "in_batch_own"},
        {"term": "semantic_contrastive", "on": "parallel", "denominator": "all"},
    ],
}


def row_texts(content):
    lines = [json.loads(line) for line in Path(content["sources"]["rows"]["path"]).read_text("utf-8").splitlines()]
    texts = {text for line in lines for text in (line["positive"], *line["negative_passages"])}
    return [Text(f"p{place}", text, "en") for place, text in enumerate(sorted(texts))]


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("model", ["tiny_static", "tiny_transformer"])
def test_training_leaves_the_passage_tower_alone(tmp_path, request, model, objective):
    base = request.getfixturevalue(model)
    content = recipe_content(tmp_path, base, towers="frozen_passage", objective=OBJECTIVES[objective])
    before = Retriever.load(base)
    texts = row_texts(content)
    before.encode_bank(texts, tmp_path / "bank", dtype="float32", progress=False)
    report = train(parse_recipe(content), tmp_path / "out")
    after = Retriever.load(report.model)
    assert after.towers == "frozen_passage"
    assert after.passage.fingerprint == before.passage.fingerprint
    bank = Bank.open(tmp_path / "bank")
    bank.require(after.passage.fingerprint)
    assert np.array_equal(after.encode_passage(texts), bank.get([text.id for text in texts]))
    assert after.query.fingerprint != before.query.fingerprint
    assert not np.allclose(after.encode_query(["Where is the river?"]), before.encode_query(["Where is the river?"]))
    assert report.drift > 1e-3


@pytest.mark.parametrize("model", ["tiny_static", "tiny_transformer"])
def test_what_training_changes_holds_no_weight_of_the_passage_tower(tmp_path, request, model):
    """The saved tower is the one that was loaded, whatever the run did to its own copy: so look into the run itself."""
    base = request.getfixturevalue(model)
    content = recipe_content(tmp_path, base, towers="frozen_passage", save_strategy="steps", save_steps=3)
    train(parse_recipe(content), tmp_path / "out")
    stored = load_file(tmp_path / "out" / "checkpoint-3" / WEIGHTS)
    names = {name for name in stored if not name.startswith("buffer:")}
    assert names
    assert all(name.startswith("query.") for name in names), names


def test_training_from_the_bank_is_training_with_the_tower(tmp_path, tiny_static):
    content = recipe_content(tmp_path, tiny_static, towers="frozen_passage", objective=OBJECTIVES["infonce"])
    Retriever.load(tiny_static).encode_bank(row_texts(content), tmp_path / "bank", dtype="float32", progress=False)
    from_bank = ["model.passages_from=bank", f"model.bank={tmp_path / 'bank'}"]
    train(parse_recipe(content), tmp_path / "tower")
    train(parse_recipe(content, overrides=from_bank), tmp_path / "bank-fed")
    weights = [
        {path.parent.name: load_file(path) for path in (tmp_path / name / "model").rglob("*.safetensors")}
        for name in ("tower", "bank-fed")
    ]
    for part, tensors in weights[0].items():
        for name, tensor in tensors.items():
            # The bank's vectors come from NumPy, the tower's from torch: they add up in another order.
            assert np.allclose(tensor, weights[1][part][name], atol=1e-4)


def test_a_bank_that_does_not_fit_is_refused(tmp_path, tiny_static, tiny_untied):
    content = recipe_content(tmp_path, tiny_static, towers="frozen_passage", objective=OBJECTIVES["infonce"])
    texts = row_texts(content)
    from_bank = ["model.passages_from=bank", f"model.bank={tmp_path / 'bank'}"]
    Retriever.load(tiny_untied).encode_bank(texts, tmp_path / "bank", progress=False)
    with pytest.raises(StaleBankError):
        train(parse_recipe(content, overrides=from_bank), tmp_path / "out")
    Retriever.load(tiny_static).encode_bank(texts[:-2], tmp_path / "short", progress=False)
    from_bank[1] = f"model.bank={tmp_path / 'short'}"
    with pytest.raises(DataError, match="2 problems"):
        train(parse_recipe(content, overrides=from_bank), tmp_path / "out")
    assert not (tmp_path / "out" / "model").exists()
