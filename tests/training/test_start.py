"""A model made from texts alone.

1. It is made once: a second run finds it, with the same bits, and another recipe is refused in the same folder. A run
   that was stopped when it had the vocabulary goes on with that, to the same bits.
2. Its vocabulary knows the texts of every wanted language, and of no other.
3. What is trained from it is saved as float16 where the recipe says so.
4. Texts of evaluation sets have no part in it.
5. With translations and a teacher, a word begins near its translation, and near what the teacher takes for alike.
6. A recipe whose evaluation cannot be done is refused before the model is made, which may take minutes.
"""

import json

import numpy as np
import pytest

from isogloss.errors import RecipeError, UsageError
from isogloss.models.retriever import Retriever
from isogloss.recipe import NewModelSettings
from isogloss.training import start as start_module
from isogloss.training import train
from isogloss.training.sources.apart import Apart
from isogloss.training.start import start_model
from tests.conftest import TINY_TEXTS


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "parallel.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for line in range(40):
            english, german = f"{TINY_TEXTS[line % 2]} {line}", f"{TINY_TEXTS[2]} {line}"
            file.write(json.dumps({"_id": str(line), "en": english, "de": german, "ru": TINY_TEXTS[4]}) + "\n")
    return path


def settings(texts, **changes):
    return NewModelSettings(
        **{
            "parallel": [str(texts)],
            "languages": ["en", "de"],
            "dimension": 8,
            "whole_words": 5,
            "pieces": 120,
            **changes,
        }
    )


def test_it_is_made_once(texts, tmp_path):
    said = []
    first = start_model(settings(texts), tmp_path / "run", said.append)
    assert len(said) == 2
    second = start_model(settings(texts), tmp_path / "run", said.append)
    assert len(said) == 2
    assert first.passage.fingerprint == second.passage.fingerprint
    with pytest.raises(UsageError, match="another recipe"):
        start_model(settings(texts, dimension=9), tmp_path / "run", said.append)


def test_a_stopped_start_goes_on_with_its_vocabulary(texts, tmp_path, monkeypatch):
    whole = start_model(settings(texts), tmp_path / "whole", lambda line: None)
    with monkeypatch.context() as patched:
        patched.setattr(start_module, "static_start", stopped)
        with pytest.raises(KeyboardInterrupt):
            start_model(settings(texts), tmp_path / "run", lambda line: None)
    assert not (tmp_path / "run" / "start").exists()
    with pytest.raises(UsageError, match="another recipe"):
        start_model(settings(texts, dimension=9), tmp_path / "run", lambda line: None)
    said = []
    resumed = start_model(settings(texts), tmp_path / "run", said.append)
    assert not said
    assert resumed.passage.fingerprint == whole.passage.fingerprint


def stopped(*arguments):
    raise KeyboardInterrupt


def test_it_knows_the_wanted_languages(texts, tmp_path):
    retriever = start_model(settings(texts), tmp_path / "run", lambda line: None)
    cut = retriever.query.engine.tokenizer.encode
    unknown = 0
    assert unknown not in cut("Schiffe in der Nacht").ids
    assert unknown in cut("корабли").ids


def test_a_recipe_trains_it_and_halves_it(texts, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    new = settings(texts).model_dump(mode="json")
    recipe.write_text(
        json.dumps(
            {
                "model": {"base": "new", "precision": "float16", "new": new},
                "sources": {"pairs": {"kind": "multiway", "path": str(texts), "languages": ["en", "de"], "batch": 8}},
                "objective": [{"term": "semantic_contrastive", "on": "pairs"}],
                "train": {"max_steps": 3, "learning_rate": 0.01, "optim": "adamw_torch_fused", "save_strategy": "no"},
            }
        )
    )
    report = train(str(recipe), tmp_path / "run", progress=False)
    trained = Retriever.load(report.model)
    assert trained.query.engine.weights.dtype == np.float16
    assert report.drift > 0
    again = train(str(recipe), tmp_path / "run", progress=False)
    assert Retriever.load(again.model).query.fingerprint == trained.query.fingerprint


def test_a_dry_run_leaves_nothing_and_plans_the_same(texts, tmp_path):
    content = {
        "model": {"base": "new", "new": settings(texts).model_dump(mode="json")},
        "sources": {"pairs": {"kind": "multiway", "path": str(texts), "languages": ["en", "de"], "batch": 8}},
        "objective": [{"term": "semantic_contrastive", "on": "pairs"}],
        "train": {"max_steps": 2, "save_strategy": "no"},
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(content))
    look = train(str(tmp_path / "recipe.yaml"), tmp_path / "run", dry_run=True, progress=False)
    assert not (tmp_path / "run").exists()
    done = train(str(tmp_path / "recipe.yaml"), tmp_path / "run", progress=False)
    assert look.plan.lines() == done.plan.lines()
    before = sorted(tmp_path.rglob("*"))
    train(str(tmp_path / "recipe.yaml"), tmp_path / "run", dry_run=True, progress=False)
    assert sorted(tmp_path.rglob("*")) == before
    content["model"]["new"]["dimension"] = 9
    (tmp_path / "recipe.yaml").write_text(json.dumps(content))
    with pytest.raises(UsageError, match="another recipe"):
        train(str(tmp_path / "recipe.yaml"), tmp_path / "run", dry_run=True, progress=False)


def test_a_wrong_evaluation_is_refused_first(texts, tmp_path):
    content = {
        "model": {"base": "new", "new": settings(texts).model_dump(mode="json")},
        "sources": {"pairs": {"kind": "multiway", "path": str(texts), "languages": ["en", "de"], "batch": 8}},
        "objective": [{"term": "semantic_contrastive", "on": "pairs"}],
        "train": {"max_steps": 3},
        "evaluate": [{"data": str(tmp_path / "nowhere")}],
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(content))
    with pytest.raises(RecipeError, match="evaluation"):
        train(str(tmp_path / "recipe.yaml"), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_evaluation_texts_have_no_part_in_it(texts, tmp_path):
    held = tmp_path / "queries.jsonl"
    held.write_text(json.dumps({"_id": "1", "text": "Quixotic zephyrs blow"}), encoding="utf-8")
    with texts.open("a", encoding="utf-8") as file:
        for line in range(9):
            file.write(json.dumps({"_id": f"x{line}", "en": "quixotic zephyrs blow!", "de": TINY_TEXTS[2]}) + "\n")
    rows = tmp_path / "rows.jsonl"
    with rows.open("w", encoding="utf-8") as file:
        for line in range(9):
            row = {"query": "quixotic zephyrs blow?", "positive": f"They gust, {line}.", "lang": "en"}
            file.write(json.dumps(row) + "\n")
    wide = settings(texts, whole_words=200, rows=[str(rows)], least_count=1)
    without = start_model(wide, tmp_path / "without", lambda line: None, Apart([str(held)]))
    with_all = start_model(wide, tmp_path / "with", lambda line: None)
    assert "▁zephyrs" in with_all.query.engine.tokenizer.get_vocab()
    assert "▁zephyrs" not in without.query.engine.tokenizer.get_vocab()


def test_translations_and_a_teacher_decide_where_words_begin(tmp_path, tiny_static):
    words = [("lamp", "lampe"), ("ship", "schiff"), ("harbour", "hafen"), ("keeper", "wärter")]
    path = tmp_path / "words.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for line in range(48):
            (one, eins), (two, zwei) = words[line % 4], words[(line // 4 + line) % 4]
            file.write(
                json.dumps({"_id": str(line), "en": f"{one} {two} {line}", "de": f"{zwei} {eins} {line}"}) + "\n"
            )
    said = []
    made = settings(
        path, whole_words=90, pieces=100, dimension=64, start="translations", teacher=str(tiny_static), least_count=1
    )
    retriever = start_model(made, tmp_path / "run", said.append)
    assert any("English words" in line for line in said)
    english = retriever.encode_query([english for english, _ in words])
    german = retriever.encode_query([german for _, german in words])
    assert np.diag(english @ german.T).min() > 0.6
    plain = start_model(settings(path, whole_words=90, pieces=100, dimension=64), tmp_path / "plain", said.append)
    assert np.abs(plain.encode_query(["lamp"]) @ plain.encode_query(["lampe"]).T).max() < 0.5
