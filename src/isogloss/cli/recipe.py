"""`isogloss recipe list | show | check`: the shipped recipes, and whether yours is sound."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.table import Table

from isogloss.cli.output import JsonFlag, Reporter, SetOption, reported_errors
from isogloss.recipe import load_recipe, recipe_path, shipped_recipes

recipe_app = typer.Typer(help="List, show and check recipes.", no_args_is_help=True)

RecipeArgument = Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a shipped recipe, or a YAML file.")]


@recipe_app.command("list", epilog="Example: isogloss recipe list")
def list_recipes(as_json: JsonFlag = False) -> None:
    """List the recipes that come with isogloss."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        descriptions = {name: load_recipe(path).description for name, path in shipped_recipes().items()}
        table = Table("recipe", "what it does")
        for name, description in descriptions.items():
            table.add_row(name, description)
        reporter.show(table)
        reporter.result([{"name": name, "description": text} for name, text in descriptions.items()])


@recipe_app.command("show", epilog="Example: isogloss recipe show english-query-tuning > mine.yaml")
def show(recipe: RecipeArgument, as_json: JsonFlag = False) -> None:
    """Print a recipe as it is written, comments included."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        if as_json:
            reporter.result(load_recipe(recipe).model_dump(mode="json"))
        else:
            sys.stdout.write(recipe_path(recipe).read_text(encoding="utf-8"))


@recipe_app.command("check", epilog="Example: isogloss recipe check mine.yaml --set train.max_steps=100")
def check(recipe: RecipeArgument, overrides: SetOption = None, as_json: JsonFlag = False) -> None:
    """Check a recipe and say all that is wrong with it at once; nothing is started."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.training.assembly import load_training_recipe

        found = load_training_recipe(recipe, overrides=overrides or ())
        reporter.show(f"{recipe}: sound. {len(found.sources)} sources, {len(found.objective)} terms.")
        reporter.result({"recipe": recipe, "sound": True, "digest": found.digest()})
