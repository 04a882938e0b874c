"""`isogloss report`: what any system does to each language, from its TREC runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import BaseModel, ConfigDict, Field

from isogloss.cli.evaluate import DataOption, PairsOption
from isogloss.cli.output import JsonFlag, Reporter, SetOption, reported_errors
from isogloss.cli.settings import with_overrides

if TYPE_CHECKING:
    from isogloss.evaluation.language_report import Audit


class ReportSettings(BaseModel):
    """What `--set` can change.

    Attributes:
        measures: Measures, by the names of ir_measures or their aliases, joined by commas; the first one leads.
        alpha: Level of significance after Holm's correction.
        resamples: Samples of the bootstrap behind the intervals.
        seed: Seed of the bootstrap and of the tests.
        heatmap: Whether the picture is drawn, which needs the extra `report`.
    """

    model_config = ConfigDict(extra="forbid")
    measures: str = "nDCG@10,R@100,RR@10"
    alpha: float = Field(default=0.05, gt=0, lt=1)
    resamples: int = Field(default=1000, ge=1)
    seed: int = 13
    heatmap: bool = True


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUNS…", help="TREC runs of one system: files, or folders such as evaluate writes."),
    ],
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder of the report.")],
    baseline: Annotated[
        list[Path] | None, typer.Option("--baseline", metavar="RUN", help="Runs to compare with; may be repeated.")
    ] = None,
    pairs: PairsOption = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Model behind the runs: counts truncated texts, unknown tokens.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Name of the system, for tables.")] = "",
    baseline_name: Annotated[str, typer.Option("--baseline-name", help="Name of the baseline.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder if it is there.")] = False,
    overrides: SetOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Audit any system by its TREC runs: a page to open in a browser, a heatmap, JSON and Markdown."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.datasets import load
        from isogloss.evaluation.language_report import report as write_report
        from isogloss.evaluation.language_report.writing import REPORT
        from isogloss.files import refuse_occupied
        from isogloss.models.bundled import BUNDLED
        from isogloss.models.retriever import Retriever

        settings = with_overrides(ReportSettings(), overrides)
        inputs: list[str | Path] = [data, *runs, *(baseline or ()), *([model] if model and model != BUNDLED else [])]
        refuse_occupied(out, overwrite=overwrite, kind=REPORT, inputs=inputs)
        found = write_report(
            list(runs),
            load(data),
            out,
            baseline=baseline or None,
            pairs=pairs,
            retriever=Retriever.load(model) if model else None,
            name=name,
            baseline_name=baseline_name,
            progress=not as_json,
            overwrite=overwrite,
            **settings.model_dump(),
        )
        _show(reporter, found, out)
        reporter.result({"out": str(out), **found.to_json()})


def _show(reporter: Reporter, found: Audit, out: Path) -> None:
    """Says how each language fares under the leading measure, and where the report is."""
    from isogloss.evaluation.report import evaluation_grids

    for grid in evaluation_grids(found.evaluation)[:2]:
        reporter.show(grid.rich())
    for note in found.notes:
        reporter.note(note)
    reporter.show(f"Open {out / 'report.html'} in a browser; report.json and report.md are beside it.")
