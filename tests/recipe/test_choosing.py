"""What a user has decides the method, and the recipe is the shipped one over the user's files.

1. Each of the five methods is chosen for what it is made for; an index that must stay outranks everything.
2. The recipe equals the shipped one with the same overrides, down to its digest, and keeps its comments.
3. What is missing is told at once; what is not used is said.
4. Editing YAML changes one value and no other character, in blocks and in flows.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from isogloss.errors import RecipeError, UsageError
from isogloss.files.yaml_text import read_yaml
from isogloss.recipe import load_recipe, parse_recipe
from isogloss.recipe.choosing import Possessions, choose
from isogloss.recipe.editing import with_value, without

BASE = ("model.base=bundled",)
CASES = {
    "english-query-tuning": ({"rows": ("rows",)}, ("sources.rows.path=rows", "train.learning_rate=1e-4")),
    "clear": ({"translated_queries": ("tq",)}, ("sources.rows.path=tq", "train.learning_rate=1e-3")),
    "language-agnostic": (
        {"rows": ("rows",), "parallel": ("a", "b"), "plain": ("p",)},
        (
            "sources.labels.path=rows",
            "sources.pairs.path=[a, b]",
            "sources.plain.path=p",
            "train.learning_rate=1e-3",
        ),
    ),
    "retrofit": ({"labels": "many", "rows": ("rows",)}, ("sources.rows.path=rows",)),
    "query-generator-student": (
        {"generated": ("g",)},
        ("sources.rows.path=g", "train.learning_rate=1e-3"),
    ),
}


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("rows", "tq", "a", "b", "p", "g", "bank"):
        (tmp_path / name).touch()


@pytest.mark.parametrize("method", CASES)
def test_the_recipe_is_the_shipped_one_over_the_users_files(method: str) -> None:
    has, overrides = CASES[method]
    choice = choose(Possessions(**has))
    assert choice.recipe == method
    assert parse_recipe(read_yaml(choice.text)).digest() == load_recipe(method, overrides=BASE + overrides).digest()
    assert "# ours" in choice.text or method == "english-query-tuning"


def test_an_index_that_must_stay_outranks_everything() -> None:
    choice = choose(
        Possessions(rows=("rows",), parallel=("a",), translated_queries=("tq",), keep_index="bank", gpu=True)
    )
    recipe = parse_recipe(read_yaml(choice.text))
    assert (recipe.model.towers, recipe.model.passages_from, recipe.model.bank) == ("frozen_passage", "bank", "bank")
    assert recipe.model.base == "bundled"
    assert [note.split()[0] for note in choice.notes] == ["--parallel", "--translated-queries"]


def test_without_plain_text_or_labels_their_terms_go() -> None:
    recipe = parse_recipe(read_yaml(choose(Possessions(rows=("rows",), parallel=("a",))).text))
    assert (list(recipe.sources), [one.term for one in recipe.objective]) == (
        ["labels", "pairs"],
        ["infonce", "semantic_contrastive"],
    )
    recipe = parse_recipe(read_yaml(choose(Possessions(labels="none", parallel=("a",), plain=("p",))).text))
    assert (list(recipe.sources), [one.term for one in recipe.objective]) == (
        ["pairs", "plain"],
        ["semantic_contrastive", "language_contrastive"],
    )
    recipe = parse_recipe(read_yaml(choose(Possessions(labels="many", rows=("rows",), parallel=("a",))).text))
    assert "languages" not in recipe.sources["labels"].options


def test_a_transformer_gets_its_own_rate_and_mini_batch() -> None:
    recipe = parse_recipe(read_yaml(choose(Possessions(labels="many", rows=("rows",), gpu=True)).text))
    assert recipe.model.base != "bundled"
    assert (recipe.train.learning_rate, recipe.train.mini_batch_size) == (2e-5, 128)


def test_all_that_is_missing_is_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        choose(Possessions(rows=("absent",), plain=("gone",)))
    assert [fault.where for fault in caught.value.faults] == ["--plain", "--rows", "--plain"]
    with pytest.raises(UsageError, match="nothing to learn from"):
        choose(Possessions(labels="none"))
    with pytest.raises(UsageError, match="--rows  is missing"):
        choose(Possessions(parallel=("a",)))


def test_editing_touches_one_value_alone() -> None:
    text = "# head\na: {b: 1, c: [x]}  # why\nd:\n  e: 2 # ours\n# of f\n  f:\n    g: 3\n  h: 4\n"
    assert with_value(text, ("a", "b"), "no") == text.replace("b: 1", 'b: "no"')
    assert with_value(text, ("a", "z"), [1]) == text.replace("[x]}", "[x], z: [1]}")
    assert with_value(text, ("d", "z"), 5.0) == text.replace("  e: 2", "  z: 5.0\n  e: 2")
    assert without(text, ("d", "f")) == "# head\na: {b: 1, c: [x]}  # why\nd:\n  e: 2 # ours\n  h: 4\n"
    assert without(text, ("d", "h")) == text.replace("  h: 4\n", "")
    with pytest.raises(RecipeError, match="'z' leads nowhere"):
        with_value(text, ("z", "b"), 1)
