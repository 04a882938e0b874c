"""`isogloss train`: a recipe becomes a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text as Line

from isogloss.cli.output import DryRunFlag, Exit, JsonFlag, Reporter, SetOption, reported_errors
from isogloss.cli.recipe import RecipeArgument, load_with_overrides
from isogloss.errors import UsageError

if TYPE_CHECKING:
    from isogloss.training import TrainReport
    from isogloss.training.measuring import Measured


def train(
    recipe: RecipeArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder of the run.")],
    resume: Annotated[
        str, typer.Option("--resume", help="auto, previous (skip damaged checkpoints), or never.")
    ] = "auto",
    overrides: SetOption = None,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Train by a recipe. The same command goes on where an interrupted run stopped, with exactly the same result.

    A recipe may name sets to measure the model on and the scores it expects; with one missed the exit code is 3.
    """
    reporter = Reporter(as_json)
    with reported_errors(as_json, goes_on=True):
        from isogloss.training import train as run

        report = run(
            load_with_overrides(recipe, overrides or ()),
            out,
            resume=resume_word(resume),
            dry_run=dry_run,
            announce=reporter.note,
            progress=not as_json,
        )
        if report.model is None:
            reporter.show("All is in order; nothing was started.")
        else:
            _show(reporter, report)
        reporter.result({**report.to_json(), "dry_run": dry_run})
        if report.measured is not None and report.measured.missed:
            reporter.note("Not as expected: " + "; ".join(report.measured.missed))
            raise typer.Exit(Exit.GATE_MISSED)


def resume_word(word: str) -> Literal["auto", "previous", "never"]:
    """The value of `--resume`.

    Raises:
        UsageError: If it is none.
    """
    if word not in ("auto", "previous", "never"):
        raise UsageError(f"--resume {word} (allowed: auto, previous, never)")
    return word  # type: ignore[return-value]


def _show(reporter: Reporter, report: TrainReport) -> None:
    """Says what a run did, per language."""
    table = Table("source", "language", "rows seen", title=f"Run {report.folder}")
    for source, languages in report.rows_seen.items():
        for language, rows in sorted(languages.items()):
            table.add_row(source, language, f"{rows:,}")
    reporter.show(table)
    losses = ", ".join(f"{term} {value:.4f}" for term, value in report.losses.items())
    resumed = f", resumed at step {report.resumed_from}" if report.resumed_from else ""
    reporter.show(Line(f"{report.plan.steps} steps in {report.seconds:.1f} s{resumed}. Last mean: {losses}."))
    reporter.show(Line(f"Largest change of a weight: {report.drift:.3g}. The model is {report.model}."))
    if report.measured is not None and report.measured.scores:
        _show_scores(reporter, report.measured)


def _show_scores(reporter: Reporter, measured: Measured) -> None:
    table = Table("score", "found", "expected", title="Measured")
    for name, value in measured.scores.items():
        if name.endswith("/macro") or name in measured.checked:
            checked = measured.checked.get(name)
            wanted = "" if checked is None else f"{checked.expected.value:g} ± {checked.expected.tolerance:g}"
            table.add_row(name, f"{value:.4f}", wanted)
    reporter.show(table)
