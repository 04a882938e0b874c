"""Whitening evens the axes along which a static model's pieces vary, and changes nothing else.

1. The more strength, the more alike the axes along which directions vary; lengths and rows of zeros stay.
2. At strength 0 no similarity changes; the axes are in order, so that the first numbers of a vector hold the most.
3. Both towers are turned alike; shared towers stay shared; prompts and titles stay; frozen passages are refused.
4. A recipe that asks for it saves its trained model so, and a finished run takes another strength without a new step.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from isogloss import Retriever
from isogloss.errors import RecipeError, UsageError
from isogloss.models.whitening import whiten, whitened
from isogloss.recipe import parse_recipe
from isogloss.training import train
from tests.models.weights import with_weights
from tests.training.runs import recipe_content


def uneven(seed: int, rows: int = 4000, dimension: int = 6) -> np.ndarray:
    """Vectors that vary far more along some axes, none of which is a coordinate."""
    generator = np.random.default_rng(seed)
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(dimension, dimension)))[0]
    lengths = generator.uniform(0.5, 2, size=(rows, 1))
    return (lengths * generator.normal(size=(rows, dimension)) * np.geomspace(4, 1, dimension) @ turn).astype(
        np.float32
    )


def spread(table: np.ndarray) -> np.ndarray:
    """Eigenvalues of the directions' second moments, the largest first."""
    kept = table[np.linalg.norm(table, axis=1) > 0]
    directions = kept / np.linalg.norm(kept, axis=1, keepdims=True)
    return np.linalg.eigvalsh(directions.T @ directions / len(directions))[::-1]


def similarities(table: np.ndarray) -> np.ndarray:
    return table @ table.T


def test_the_axes_become_even_and_lengths_stay():
    table = uneven(1)
    table[7] = 0
    before = spread(table)
    ratios = [before[0] / before[-1]]
    for strength in (0.3, 0.7, 1.0):
        (found,) = whitened([table], strength=strength)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.linalg.norm(table, axis=1), rtol=1e-5)
        assert not found[7].any()
        ratios.append(spread(found)[0] / spread(found)[-1])
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] > 8 and ratios[-1] < 2  # not 1: directions are scaled to length 1 again


def test_strength_0_turns_the_axes_into_order_and_changes_no_similarity():
    table = uneven(1, rows=50)
    (found,) = whitened([table], strength=0.0)
    np.testing.assert_allclose(similarities(found), similarities(table), rtol=1e-4, atol=1e-4)
    directions = found / np.linalg.norm(found, axis=1, keepdims=True)
    along = (directions**2).mean(axis=0)
    np.testing.assert_allclose(along, spread(table), rtol=1e-4)
    assert (np.diff(along) < 0).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_axes_point_where_their_largest_number_is_above_0(sign):
    """Else one machine's model could be another's mirror image, and their vectors would not fit each other."""
    table = np.concatenate([sign * uneven(1, rows=50), np.eye(6, dtype=np.float32)])
    (found,) = whitened([table], strength=0.0)
    axes = found[-6:]
    np.testing.assert_allclose(axes.T @ axes, np.eye(6), atol=1e-5)
    assert (axes[np.abs(axes).argmax(axis=0), range(6)] > 0).all()


def test_an_axis_that_no_piece_uses_is_not_blown_up():
    table = uneven(1, rows=60)
    table[:, 0] = table[:, 1]  # one axis less
    (found,) = whitened([table], strength=1.0)
    assert np.abs(found[:, -1]).max() == 0
    assert spread(found)[-2] > 0.05


def test_a_turned_table_gives_the_same_result():
    """The coordinates that a training happens to end in do not matter."""
    table = uneven(1, rows=300)
    turn = np.linalg.qr(np.random.default_rng(9).normal(size=(6, 6)))[0].astype(np.float32)
    (found,), (turned,) = (whitened([one], strength=0.6) for one in (table, table @ turn))
    np.testing.assert_allclose(similarities(found), similarities(turned), rtol=1e-3, atol=1e-4)


def test_both_towers_are_turned_alike(tiny_static):
    base = Retriever.load(tiny_static)
    rows = len(base.query.engine.weights)
    shared = with_weights(base, uneven(2, rows))
    made = whiten(shared, strength=0.8)
    assert made.towers == "shared" and made.query.engine.table is made.passage.engine.table
    assert (made.query.prompt, made.passage.prompt, made.passage.title_template) == ("q: ", "p: ", "{title}: {text}")
    np.testing.assert_array_equal(made.query.engine.weights, whitened([uneven(2, rows)], strength=0.8)[0])

    apart = with_weights(base, uneven(2, rows)).untie()
    apart = replace(apart, towers="separate", passage=with_weights(base, uneven(3, rows)).passage)
    turned = whiten(apart, strength=0.0)
    assert turned.towers == "separate"
    crossed = [one.query.engine.weights @ one.passage.engine.weights.T for one in (turned, apart)]
    np.testing.assert_allclose(*crossed, rtol=1e-3, atol=1e-4)
    with pytest.raises(UsageError, match="frozen"):
        whiten(with_weights(base, uneven(2, rows)).untie(frozen_passage=True), strength=0.5)


def test_a_recipe_saves_the_whitened_model_and_a_finished_run_takes_another_strength(tmp_path, tiny_static):
    content = recipe_content(tmp_path, tiny_static, learning_rate=0.05, save_strategy="steps", save_steps=3)
    train(parse_recipe(content), tmp_path / "out")
    plain = Retriever.load(tmp_path / "out" / "model").query.engine.weights.astype(np.float32)
    log = (tmp_path / "out" / "train-log.jsonl").read_text()

    content["model"]["whitening"] = 0.7
    again = train(parse_recipe(content), tmp_path / "out")
    assert again.resumed_from == again.plan.steps and (tmp_path / "out" / "train-log.jsonl").read_text() == log
    found = Retriever.load(tmp_path / "out" / "model").query.engine.weights
    np.testing.assert_allclose(found, whitened([plain], strength=0.7)[0], rtol=1e-4, atol=1e-5)
    assert np.abs(similarities(found) - similarities(plain)).max() > 1e-3


def test_what_cannot_be_whitened_is_refused_before_training(tmp_path, tiny_transformer, tiny_static):
    content = recipe_content(tmp_path, tiny_transformer)
    content["model"]["whitening"] = 0.5
    with pytest.raises(UsageError, match="whitening is for static models"):
        train(parse_recipe(content), tmp_path / "out")
    content = recipe_content(tmp_path, tiny_static)
    content["model"] |= {"whitening": 0.5, "towers": "frozen_passage"}
    with pytest.raises(RecipeError, match="frozen_passage keeps"):
        parse_recipe(content)
    assert not (tmp_path / "out").exists()
