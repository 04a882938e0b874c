"""What a step makes of sources that differ.

1. Rows with and without negatives, of several sources, give the loss that one source of all of them gives.
2. A source without rows in a step counts 0 there, alone and beside another.
3. A tower whose weights are all frozen is encoded without dropout, keeps its bits, and the other one is trained.
4. Settings that no library knows, or that do not go together, are refused before anything is written.
5. The note on rounding counts the weights that an update of that size really leaves as they are.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from isogloss.errors import RecipeError
from isogloss.losses import InfoNCE, Triplet
from isogloss.models.retriever import Retriever
from isogloss.recipe import parse_recipe
from isogloss.training import train
from isogloss.training.encoders import TrainedEncoder
from isogloss.training.objective import BoundTerm, Objective
from isogloss.training.plan import _standing_still
from isogloss.training.sources import Drawn
from isogloss.training.step import Batch, CachedStep
from tests.training.runs import recipe_content
from tests.training.stand_ins import DoubleTower, made_up_batch

TERMS = [InfoNCE(mode=mode) for mode in ("in_batch", "in_batch_own", "in_batch_all")] + [Triplet(margin=0.6)]


def split(drawn, *, drop_negatives):
    """Three rows and the others; the first three without their negatives."""
    first = {role: column[:3] for role, column in drawn.columns.items()}
    second = {role: column[3:] for role, column in drawn.columns.items()}
    if drop_negatives:
        del first["negative_passages"]
    return Drawn(first, drawn.groups[:3]), Drawn(second, drawn.groups[3:])


def evaluated(texts, batch, term):
    tower = DoubleTower(dropout=0.0)
    encoder = TrainedEncoder(tower, texts)
    objective = Objective([BoundTerm("term", term, tuple(batch.drawn))])
    loss = CachedStep({"query": encoder, "passage": encoder}, objective)(batch, measure=True).loss
    return loss, {name: value.grad for name, value in tower.named_parameters()}


@pytest.mark.parametrize("term", TERMS, ids=str)
def test_rows_with_and_without_negatives_are_one_batch(term):
    texts, batch = made_up_batch()
    whole, roles = batch.drawn["rows"], batch.roles["rows"]
    whole.columns["negative_passages"][:3] = -1
    first, second = split(whole, drop_negatives=True)
    expected = evaluated(texts, Batch({"rows": whole}, {"rows": roles}), term)
    found = evaluated(texts, Batch({"a": first, "b": second}, {"a": roles, "b": roles}), term)
    assert expected[0] > 0
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("term", TERMS, ids=str)
def test_a_source_without_rows_counts_nothing(term):
    texts, batch = made_up_batch()
    rows, roles = batch.drawn["rows"], batch.roles["rows"]
    none = Drawn({role: column[:0] for role, column in rows.columns.items()}, rows.groups[:0])
    alone, gradients = evaluated(texts, Batch({"none": none}, {"none": roles}), term)
    assert float(alone) == 0
    assert set(gradients.values()) == {None}
    expected = evaluated(texts, Batch({"rows": rows}, {"rows": roles}), term)
    found = evaluated(texts, Batch({"none": none, "rows": rows}, {"none": roles, "rows": roles}), term)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("frozen", ["query", "passage"])
def test_a_tower_can_be_frozen_by_its_name(tmp_path, tiny_untied_transformer, frozen):
    content = recipe_content(tmp_path, tiny_untied_transformer, towers="separate", freeze=[f"^{frozen}"])
    report = train(parse_recipe(content), tmp_path / "out")
    before, after = Retriever.load(tiny_untied_transformer), Retriever.load(report.model)
    for role in ("query", "passage"):
        kept = after.tower(role).fingerprint == before.tower(role).fingerprint
        assert kept == (role == frozen)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr_scheduler_type": "linaer"}, "linaer"),
        ({"lr_scheduler_type": "warmup_stable_decay"}, "num_decay_steps"),
        ({"optim": "adamm"}, "adamm"),
        ({"freeze": ["("]}, "no regular expression"),
        ({"freeze": ["nowhere"]}, "matches no weight"),
        ({"optim": "sparse_adam"}, "needs sparse_embeddings"),
        ({"optim": "adamw_torch", "sparse_embeddings": True}, "needs an optim of"),
        ({"optim": "sgd", "sparse_embeddings": True, "max_grad_norm": 1.0}, "not clipped"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path, tiny_static, settings, message):
    with pytest.raises(RecipeError, match=message):
        train(parse_recipe(recipe_content(tmp_path, tiny_static, **settings)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_own_negatives_alone_need_negatives(tmp_path, tiny_static):
    content = recipe_content(tmp_path, tiny_static, objective=[{"term": "infonce", "on": "rows", "mode": "own_only"}])
    path = Path(content["sources"]["rows"]["path"])
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    path.write_text("".join(json.dumps({**row, "negative_passages": []}) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(RecipeError, match="needs 'negative_passages'"):
        train(parse_recipe(content), tmp_path / "out")


def test_the_rounding_note_counts_what_stands_still():
    weights = torch.tensor([0.0, 0.01, 0.2, 0.34, 0.49, 0.51, 0.9, -0.6, -0.4])
    # Half the spacing of floats is 1.5e-8 from 0.25 on and 3e-8 from 0.5 on.
    assert _standing_still(weights, 2e-8) == 3
    assert _standing_still(weights, 1e-7) == 0
    assert _standing_still(torch.from_numpy(np.float32([0.3, 0.2])), 1e-8) == 1
