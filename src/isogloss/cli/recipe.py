"""`isogloss recipe list | show | check`: the shipped recipes, and whether yours is sound."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from isogloss.cli.output import JsonFlag, Reporter, SetOption, example, reported_errors

recipe_app = typer.Typer(help="List, show and check recipes.", no_args_is_help=True)

RecipeArgument = Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a shipped recipe, or path of a YAML file.")]
