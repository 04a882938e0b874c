"""`isogloss train`: a recipe becomes a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isogloss.cli.output import DryRunFlag, JsonFlag, Reporter, SetOption, reported_errors
from isogloss.cli.recipe import RecipeArgument


def train(
    recipe: RecipeArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder of the run.")],
    overrides: SetOption = None,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Train by a recipe. The same command goes on where an interrupted run stopped, with exactly the same result."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.training import train as run

        report = run(recipe, out, overrides=overrides or (), dry_run=dry_run, progress=not as_json)
        reporter.show(report.text())
        reporter.result(report.to_json())
