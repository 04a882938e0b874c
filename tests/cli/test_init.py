"""`isogloss init` writes a recipe that `isogloss train` starts, with what it will cost.

1. The written file trains at once; the estimate names the steps of its plan.
2. Answers in a terminal do what flags do.
3. Faulty data are an error before anything is written; an existing file stays.
"""

from __future__ import annotations

from typer.testing import CliRunner

from isogloss.cli.main import app
from isogloss.recipe import load_recipe
from tests.cli.worlds import answer, run


def test_the_recipe_starts_and_its_cost_is_measured(world):
    flags = ("--rows", "rows.jsonl", "--base", world.model, "--keep-index", "bank")
    found = answer(run("init", *flags, "--no-estimate", "--json"))
    assert (found["recipe"], found["estimate"]) == ("english-query-tuning", [])
    refused = run("init", *flags)
    assert refused.exit_code != 0 and "recipe.yaml" in refused.stderr
    small = ("--set", "sources.rows.batch=4", "--set", "train.max_steps=2", "--set", "model.passages_from=tower")
    assert run("train", "recipe.yaml", "--out", "run", *small).exit_code == 0
    assert (world / "run" / "model" / "modules.json").is_file()


def test_the_estimate_is_of_the_plan(world):
    found = answer(run("init", "--labels", "many", "--rows", "many.jsonl", "--base", world.model, "--json"))
    assert "error" in found
    (world / "many.jsonl").write_text((world / "rows.jsonl").read_text(encoding="utf-8") * 100, encoding="utf-8")
    found = answer(run("init", "--labels", "many", "--rows", "many.jsonl", "--base", world.model, "--json"))
    assert "for 3 steps" in found["estimate"][0] and "peak memory" in found["estimate"][1]
    assert f"# Estimate: {found['estimate'][0]}." in (world / "recipe.yaml").read_text(encoding="utf-8")


def test_answers_do_what_flags_do(world):
    answers = ["english", "rows.jsonl", "", "", "", "bank", "n"]
    asked = CliRunner().invoke(app, ["init", "--ask", "--no-estimate", "--out", "a.yaml"], input="\n".join(answers))
    assert asked.exit_code == 0, asked.output
    run("init", "--rows", "rows.jsonl", "--keep-index", "bank", "--no-estimate", "--out", "b.yaml")
    assert load_recipe("a.yaml").digest() == load_recipe("b.yaml").digest()


def test_faulty_data_are_told_before_anything_is_written(world):
    (world / "bad.jsonl").write_text('{"query": 3}\n', encoding="utf-8")
    refused = run("init", "--rows", "bad.jsonl", "--base", world.model)
    assert refused.exit_code == 1 and "bad.jsonl:1" in refused.stderr
    assert not (world / "recipe.yaml").exists()
    assert run("init", "--labels", "some").exit_code == 2
