"""`isogloss compare`: what changed between two evaluations, by language, and a gate for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isogloss.cli.evaluate import DataOption, PairsOption
from isogloss.cli.output import Exit, JsonFlag, Reporter, reported_errors


def compare(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="Folder that `isogloss evaluate` wrote.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Another such folder.")],
    data: DataOption,
    pairs: PairsOption = None,
    measures: Annotated[str | None, typer.Option("--measures", help="Measures, joined by commas.")] = None,
    fail_if_worse: Annotated[
        bool, typer.Option("--fail-if-worse", help="Exit with 3 if a language pair got worse.")
    ] = False,
    margin: Annotated[
        float | None, typer.Option("--margin", help="A loss above it counts as worse even if not significant.")
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", help="Level of significance after Holm's correction.")] = 0.05,
    as_json: JsonFlag = False,
) -> None:
    """Compare two evaluations query by query: differences, p values, and a regression gate (exit code 3)."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.datasets import load
        from isogloss.evaluation.compare import compare as compare_evaluations
        from isogloss.evaluation.comparison_report import comparison_grids

        comparison = compare_evaluations(
            before, after, load(data), pairs=pairs, measures=measures, alpha=alpha, margin=margin
        )
        for grid in comparison_grids(comparison):
            reporter.show(grid.rich())
        reporter.result(comparison.to_json())
        worse = comparison.worse()
        if worse:
            reporter.note("Worse: " + "; ".join(worse))
        if fail_if_worse and worse:
            raise typer.Exit(Exit.GATE_MISSED)
