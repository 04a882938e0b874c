"""`isogloss recipe list | show | check`: the shipped recipes, and whether yours is sound."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from isogloss.cli.output import JsonFlag, Reporter, SetOption, reported_errors
from isogloss.errors import RecipeError, UsageError
from isogloss.files import file_errors
from isogloss.recipe import Recipe, load_recipe, recipe_path, shipped_recipes

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
        reporter.result({"recipes": [{"name": name, "description": text} for name, text in descriptions.items()]})


@recipe_app.command("show", epilog="Example: isogloss recipe show english-query-tuning > mine.yaml")
def show(recipe: RecipeArgument, as_json: JsonFlag = False) -> None:
    """Print a recipe as it is written, comments included."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        if as_json:
            reporter.result(load_recipe(recipe).model_dump(mode="json"))
        else:
            sys.stdout.write(_written(recipe))


@recipe_app.command("check", epilog="Example: isogloss recipe check mine.yaml --set train.max_steps=100")
def check(recipe: RecipeArgument, overrides: SetOption = None, as_json: JsonFlag = False) -> None:
    """Check a recipe and say all that is wrong with it at once; nothing is started."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        found = load_with_overrides(recipe, overrides or ())
        reporter.show(f"{recipe}: sound. {len(found.sources)} sources, {len(found.objective)} terms.")
        reporter.result({"recipe": recipe, "sound": True, "digest": found.digest()})


def load_with_overrides(name_or_path: str, overrides: Sequence[str]) -> Recipe:
    """A recipe, checked down to the options of its terms and sources.

    Raises:
        RecipeError: With every fault, where the recipe itself has some.
        UsageError: With every fault, where only the overrides have some.
    """
    from isogloss.training import load_training_recipe

    try:
        return load_training_recipe(name_or_path, overrides=overrides)
    except RecipeError as error:
        if not overrides or not _is_sound(name_or_path):
            raise
        raise UsageError(error.message, faults=error.faults, next_step=error.next_step) from error


def _is_sound(name_or_path: str) -> bool:
    from isogloss.training import load_training_recipe

    try:
        load_training_recipe(name_or_path)
    except RecipeError:
        return False
    return True


def _written(name_or_path: str) -> str:
    path = recipe_path(name_or_path)
    try:
        with file_errors(path, "read"):
            return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is no text in UTF-8: {error}", next_step="Give a recipe's YAML file.") from error
