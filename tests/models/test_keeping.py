"""A model that keeps a part of its start lies between the two, piece by piece.

1. Nothing kept gives the trained model; a piece's direction and length are those of the definition; zeros stay.
2. Shared towers stay shared, a frozen passage tower stays as it is, prompts and titles too.
3. A recipe that asks for it saves that mixture of its own start; a model that is not static is refused before training.
"""

from __future__ import annotations

import numpy as np
import pytest

from isogloss import Retriever
from isogloss.errors import UsageError
from isogloss.models.keeping import keep_of_start, mixed
from isogloss.recipe import parse_recipe
from isogloss.training import train
from tests.models.weights import with_weights
from tests.training.runs import recipe_content


def vectors(seed: int, rows: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, 5)).astype(np.float32)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_direction_and_length_are_those_of_the_definition():
    trained, start = vectors(1), 3 * vectors(2)
    found = mixed(trained, start, direction=0.5, length=0.25)
    for row in range(len(found)):
        t, s = (np.linalg.norm(one[row]) for one in (trained, start))
        assert np.linalg.norm(found[row]) == pytest.approx(t**0.75 * s**0.25, rel=1e-5)
        assert cosine(found[row], trained[row] / t + 0.5 * start[row] / s) == pytest.approx(1, abs=1e-6)
        assert cosine(found[row], start[row]) > cosine(trained[row], start[row])
    np.testing.assert_allclose(mixed(trained, start, direction=0, length=0), trained, rtol=1e-6)
    longer = mixed(trained, start, direction=0.5, length=0.25, power=1.5)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(longer, found * lengths**0.5, rtol=1e-5)


def test_where_one_is_zero_or_they_cancel_the_trained_one_stays():
    trained, start = vectors(1), vectors(2)
    start[0], trained[1] = 0, 0
    start[2] = -trained[2]
    found = mixed(trained, start, direction=1.0, length=0.5)
    np.testing.assert_array_equal(found[:3], trained[:3])
    assert np.abs(found[3:] - trained[3:]).min() > 0


def test_towers_prompts_and_titles_stay(tiny_static):
    base = Retriever.load(tiny_static)
    rows = len(base.query.engine.weights)
    generator = np.random.default_rng(0)
    start, trained = (with_weights(base, generator.normal(size=(rows, 8)).astype(np.float32)) for _ in range(2))
    kept = keep_of_start(trained, start, direction=0.3, length=0.3)
    assert kept.towers == "shared" and kept.query.engine.table is kept.passage.engine.table
    assert (kept.query.prompt, kept.passage.prompt, kept.passage.title_template) == ("q: ", "p: ", "{title}: {text}")
    frozen = keep_of_start(trained.untie(), start.untie(), direction=0.3, length=0.3)
    assert frozen.passage.fingerprint == trained.passage.fingerprint
    np.testing.assert_array_equal(frozen.query.engine.weights, kept.query.engine.weights)
    other = with_weights(base, generator.normal(size=(rows, 9)).astype(np.float32))
    with pytest.raises(UsageError, match="tables of"):
        keep_of_start(trained, other, direction=0.3, length=0.3)


def test_a_recipe_saves_the_mixture_of_its_own_start(tmp_path, tiny_static):
    content = recipe_content(tmp_path, tiny_static, learning_rate=0.05)
    plain = train(parse_recipe(content), tmp_path / "plain")
    content["model"]["keep_of_start"] = {"direction": 0.4, "length": 0.2, "power": 1.3}
    kept = train(parse_recipe(content), tmp_path / "kept")
    start, trained, found = (
        Retriever.load(path).query.engine.weights.astype(np.float32) for path in (tiny_static, plain.model, kept.model)
    )
    assert np.abs(trained - start).max() > 1e-2
    np.testing.assert_allclose(found, mixed(trained, start, direction=0.4, length=0.2, power=1.3), rtol=1e-5, atol=1e-6)


def test_another_than_a_static_model_is_refused_before_training(tmp_path, tiny_transformer):
    content = recipe_content(tmp_path, tiny_transformer)
    content["model"]["keep_of_start"] = {"direction": 0.4}
    with pytest.raises(UsageError, match="static models"):
        train(parse_recipe(content), tmp_path / "out")
    assert not (tmp_path / "out").exists()
