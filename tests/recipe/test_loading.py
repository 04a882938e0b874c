"""A recipe is checked as a whole before anything starts.

1. Every fault comes in one error, with its place, its value, what is allowed and the closest known name.
2. An override changes exactly what it names, list items and new fields included.
3. The digest follows what changes the weights and nothing else.
4. Every shipped recipe is sound, and the module needs no torch.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from isogloss.errors import Fault, RecipeError
from isogloss.recipe import load_recipe, parse_recipe, shipped_recipes


def content(**changes):
    return {
        "sources": {"rows": {"path": "rows.jsonl", "batch": 8}},
        "objective": [{"term": "infonce", "on": "rows", "temperature": 0.1}],
        **changes,
    }


def test_all_faults_come_at_once():
    broken = content(
        model={"base": "bundled", "tower": "shared"},
        train={"learning_rate": "fast", "max_step": 3, "bf16": "maybe"},
        objective=[{"term": "infonce", "on": "row"}, {"on": "rows"}],
    )
    with pytest.raises(RecipeError) as caught:
        parse_recipe(broken, where="mine.yaml", overrides=["train.seed"], checks=[lambda raw: [Fault("here", "ours")]])
    text = str(caught.value)
    for part in [
        "mine.yaml: 8 problems",
        "model.tower  is no field; did you mean 'towers'?",
        "train.learning_rate  'fast'",
        "train.max_step  is no field; did you mean 'max_steps'?",
        "train.bf16  'maybe': input should be 'auto', 'always' or 'never'",
        "objective[0].on  'row' is no source; did you mean 'rows'?",
        "objective[1].term  is missing",
        "--set train.seed  has no '='",
        "here  ours",
        "Nothing was started.",
    ]:
        assert part in text


def test_overrides_reach_sections_list_items_and_new_fields():
    recipe = parse_recipe(
        content(),
        overrides=["train.max_steps=7", "objective.0.temperature=2e-2", "sources.rows.languages=[de, no]"],
    )
    assert recipe.train.max_steps == 7
    assert float(recipe.objective[0].options["temperature"]) == 0.02
    assert recipe.sources["rows"].options == {"languages": ["de", "no"]}
    assert recipe.sources["rows"].batch == 8


@pytest.mark.parametrize("override", ["objective.3.weight=1", "objective.first=1", "=1", "sources.rows.batch.x=1"])
def test_an_override_that_leads_nowhere_is_refused(override):
    with pytest.raises(RecipeError, match="--set"):
        parse_recipe(content(), overrides=[override])


def test_banks_need_a_frozen_tower():
    with pytest.raises(RecipeError, match="needs 'bank'"):
        parse_recipe(content(model={"passages_from": "bank", "towers": "frozen_passage"}))
    with pytest.raises(RecipeError, match="frozen_passage"):
        parse_recipe(content(model={"passages_from": "bank", "bank": "b", "towers": "shared"}))


def test_the_digest_follows_what_changes_the_weights():
    digest = parse_recipe(content()).digest()
    assert parse_recipe(content(), overrides=["train.logging_steps=1", "train.save_steps=2"]).digest() == digest
    for change in ("train.seed=1", "objective.0.temperature=0.2", "sources.rows.batch=9", "model.towers=separate"):
        assert parse_recipe(content(), overrides=[change]).digest() != digest


def test_written_out_and_read_again_it_is_the_same_recipe(tmp_path):
    recipe = parse_recipe(content(teacher={"bank": "b"}))
    path = tmp_path / "again.yaml"
    path.write_text(recipe.to_yaml(), encoding="utf-8")
    assert load_recipe(path) == recipe


def test_shipped_recipes_are_sound():
    names = shipped_recipes()
    assert {"english-query-tuning", "infonce"} <= set(names)
    for name, path in names.items():
        recipe = load_recipe(name)
        assert recipe.description
        assert path.read_text(encoding="utf-8").startswith("# ")


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(RecipeError, match="did you mean 'infonce'"):
        load_recipe("infonc")
    bad = tmp_path / "bad.yaml"
    bad.write_text("model: {base: x\nsources: [", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"bad\.yaml:2"):
        load_recipe(bad)
    bad.write_text("just words", encoding="utf-8")
    with pytest.raises(RecipeError, match="no fields"):
        load_recipe(bad)


def test_the_module_needs_no_torch():
    code = "import sys, isogloss.recipe as r; r.load_recipe('infonce'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_sections_within_the_model_name_their_fields():
    content = {
        "model": {"base": "new", "new": {"parallel": ["a"], "languages": ["de"], "dimensions": 9}},
        "sources": {"rows": {"path": "x"}},
        "objective": [{"term": "infonce", "on": "rows"}],
    }
    with pytest.raises(RecipeError, match=r"model\.new\.dimensions.*did you mean 'dimension'"):
        parse_recipe(content)
    content["model"] = {"keep_of_start": {"lenght": 0.3}, "lora": {"rang": 4}}
    with pytest.raises(RecipeError, match=r"(?s)rang .*did you mean 'rank'.*lenght .*did you mean 'length'"):
        parse_recipe(content)
    content["model"] = {"base": "new"}
    with pytest.raises(RecipeError, match="base: new and the section 'new' belong together"):
        parse_recipe(content)
