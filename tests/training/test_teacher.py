"""A teacher through `train`.

1. Its model and its bank teach the same, and so do both together where the bank holds a part of the texts.
2. A student taught long enough has the teacher's vectors.
3. A teacher with longer vectors is projected on demand, and one with shorter or longer ones is turned to where its
   student is: a turned copy of the student has nothing to teach. No turn changes a cosine.
4. A bank that lacks texts, or is of another model, is refused.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from isogloss.errors import DataError, RecipeError, StaleBankError
from isogloss.models.retriever import Retriever
from isogloss.recipe import parse_recipe
from isogloss.records import Text
from isogloss.training import train
from isogloss.training.stored_vectors import nearest_turn
from tests.conftest import save_sentence_transformer, static_modules
from tests.training.runs import recipe_content

MATCH = [{"term": "embedding_match", "on": "parallel", "student": ["parallel_source"]}]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return save_sentence_transformer(static_modules(seed=7), tmp_path_factory.mktemp("teacher") / "model")


def taught(folder, base, settings, **train_settings):
    content = recipe_content(folder, base, objective=MATCH, **train_settings)
    return {**content, "teacher": {key: str(value) for key, value in settings.items()}}


def english(content):
    lines = Path(content["sources"]["parallel"]["path"]).read_text("utf-8").splitlines()
    return sorted({json.loads(line)["en"] for line in lines})


def bank(model, texts, path):
    named = [Text(str(place), text, "en") for place, text in enumerate(texts)]
    Retriever.load(model).encode_bank(named, path, dtype="float32", progress=False)
    return path


def test_model_and_bank_teach_the_same(tmp_path, tiny_static, teacher):
    content = taught(tmp_path, tiny_static, {"model": teacher})
    whole = bank(teacher, english(content), tmp_path / "whole")
    part = bank(teacher, english(content)[:3], tmp_path / "part")
    teachers = {"model": {"model": teacher}, "bank": {"bank": whole}, "both": {"model": teacher, "bank": part}}
    losses = [
        train(parse_recipe(taught(tmp_path, tiny_static, settings)), tmp_path / name).losses["loss"]
        for name, settings in teachers.items()
    ]
    assert losses[0] > 0.1
    np.testing.assert_allclose(losses[1:], losses[0], atol=1e-6)


def test_the_student_becomes_the_teacher(tmp_path, tiny_static, teacher):
    content = taught(tmp_path, tiny_static, {"model": teacher}, max_steps=80, learning_rate=0.1)
    report = train(parse_recipe(content), tmp_path / "out", progress=False)
    texts = english(content)
    student, wanted = Retriever.load(report.model).encode_query(texts), Retriever.load(teacher).encode_query(texts)
    assert (student * wanted).sum(1).mean() > 0.9


def test_files_of_many_languages_are_taught_too(tmp_path, tiny_static, tiny_transformer, teacher):
    path = tmp_path / "many.jsonl"
    lines = [{"_id": str(n), "en": f"river {n}", "de": f"Fluss {n}"} for n in range(40)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    part = bank(teacher, [line["en"] for line in lines[:5]], tmp_path / "part")
    losses = []
    for place, settings in enumerate(({"model": teacher}, {"model": teacher, "bank": part})):
        content = taught(tmp_path, tiny_static, settings)
        content["sources"] = {"parallel": {"kind": "multiway", "path": str(path), "batch": 8}}
        losses.append(train(parse_recipe(content), tmp_path / str(place)).losses["loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    content["teacher"] = {"model": str(tiny_transformer), "projection": "pca"}
    assert 0.1 < train(parse_recipe(content), tmp_path / "pca").losses["loss"] < 2


@pytest.mark.parametrize(("size", "other_size"), [(24, 24), (16, 24), (24, 16)])
def test_the_nearest_turn(size, other_size):
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(200, size)).astype(np.float32)
    turn = np.linalg.qr(generator.normal(size=(max(size, other_size),) * 2))[0][:size, :other_size].astype(np.float32)
    found = nearest_turn(vectors, vectors @ turn)
    if size <= other_size:
        np.testing.assert_allclose(found, turn, atol=1e-5)
        np.testing.assert_allclose(found @ found.T, np.eye(size), atol=1e-5)
    else:
        np.testing.assert_allclose(found.T @ found, np.eye(other_size), atol=1e-5)


def test_a_teacher_is_turned_to_its_student(tmp_path, tiny_static):
    weights = Retriever.load(tiny_static).passage.engine.weights
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(24, 24)))[0]
    modules = static_modules()
    modules[0].embedding.weight.data = torch.from_numpy((weights @ turn).astype(np.float32))
    turned = save_sentence_transformer(modules, tmp_path / "turned")
    losses = {}
    for projection in ("none", "procrustes"):
        content = taught(tmp_path, tiny_static, {"model": turned, "projection": projection}, max_steps=1)
        losses[projection] = train(parse_recipe(content), tmp_path / projection).losses["loss"]
    assert losses["none"] > 0.5
    assert losses["procrustes"] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("pair", ["longer", "shorter"])
def test_a_teacher_of_another_length_is_turned(tmp_path, tiny_static, tiny_transformer, pair):
    student, longer = (tiny_static, tiny_transformer) if pair == "longer" else (tiny_transformer, tiny_static)
    content = taught(tmp_path, student, {"model": longer, "projection": "procrustes"})
    assert 0.01 < train(parse_recipe(content), tmp_path / "out").losses["loss"] < 1.2


def test_a_teacher_that_does_not_fit_is_refused(tmp_path, tiny_static, tiny_transformer, teacher):
    content = taught(tmp_path, tiny_static, {"model": tiny_transformer})
    with pytest.raises(RecipeError, match="32 dimensions, the student's 24"):
        train(parse_recipe(content), tmp_path / "out")
    part = bank(teacher, english(content)[:3], tmp_path / "part")
    with pytest.raises(DataError, match="6 problems"):
        train(parse_recipe(taught(tmp_path, tiny_static, {"bank": part})), tmp_path / "out")
    with pytest.raises(StaleBankError):
        train(parse_recipe(taught(tmp_path, tiny_static, {"bank": part, "model": tiny_static})), tmp_path / "out")
    assert not (tmp_path / "out" / "model").exists()
