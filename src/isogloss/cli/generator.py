"""`isogloss generator train | score`: a query generator is trained, and scores candidates as a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text as Line

from isogloss.cli.output import DryRunFlag, JsonFlag, Reporter, SetOption, reported_errors
from isogloss.cli.settings import with_overrides
from isogloss.cli.train import resume_word

if TYPE_CHECKING:
    from isogloss.generation import GeneratorReport, ScoreReport

generator_app = typer.Typer(help="Train a query generator, and score candidates with it.", no_args_is_help=True)

GeneratorOption = Annotated[
    str, typer.Option("--generator", metavar="MODEL", help="Folder or hub name of the generator.")
]


@generator_app.command("train", epilog="Example: isogloss generator train query-generator --out generator")
def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A shipped generator recipe, or a YAML file.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder of the run.")],
    resume: Annotated[
        str, typer.Option("--resume", help="auto, previous (skip damaged checkpoints), or never.")
    ] = "auto",
    overrides: SetOption = None,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Train a generator. The same command goes on where an interrupted run stopped, with exactly the same result."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.generation import train_generator

        report = train_generator(
            recipe,
            out,
            resume=resume_word(resume),
            overrides=overrides or (),
            dry_run=dry_run,
            announce=reporter.note,
            progress=not as_json,
        )
        if report.model is None:
            reporter.show("All is in order; nothing was started.")
        else:
            _show_training(reporter, report)
        reporter.result({**report.to_json(), "dry_run": dry_run})


def _show_training(reporter: Reporter, report: GeneratorReport) -> None:
    table = Table("language", "rows", "rows seen", title=f"Generator {report.folder}")
    for language, rows in report.rows.items():
        table.add_row(language, f"{rows:,}", f"{report.rows_seen.get(language, 0):,}")
    reporter.show(table)
    losses = ", ".join(f"{term} {value:.4f}" for term, value in report.losses.items())
    resumed = f", resumed at step {report.resumed_from}" if report.resumed_from else ""
    reporter.show(Line(f"{report.steps} steps in {report.seconds:.1f} s{resumed}. Last mean: {losses}."))
    if report.best_loss is not None:
        kept = f"Kept: step {report.best_step}, loss {report.best_loss:.4f} over {report.held_out} held-out rows."
        reporter.show(Line(kept))
    reporter.show(Line(f"The generator is {report.model}."))


@generator_app.command("score", epilog="Example: isogloss generator score mined.jsonl --generator g/model --out s")
def score(
    rows: Annotated[Path, typer.Argument(metavar="ROWS", help="Rows with negative passages (isogloss mine).")],
    generator: GeneratorOption,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The rows with teacher_scores.")],
    cache: Annotated[
        Path | None, typer.Option("--cache", help="File that keeps scores; OUT.scores.sqlite by default.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    overrides: SetOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Fill teacher_scores: the log-likelihood of each query given its passage, then given each negative passage."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.generation import ScoreSettings, score_rows

        report = score_rows(
            rows,
            out,
            generator=generator,
            cache=cache,
            settings=with_overrides(ScoreSettings(), overrides),
            overwrite=overwrite,
            progress=not as_json,
        )
        _show_scores(reporter, report)
        reporter.result(report.to_json())


def _show_scores(reporter: Reporter, report: ScoreReport) -> None:
    table = Table("language", "rows with negatives", "passage scores first", title=f"Scores in {report.out}")
    for language, count in report.rows.items():
        first = report.first.get(language, 0)
        table.add_row(language, f"{count:,}", f"{first:,} ({first / count:.0%})")
    reporter.show(table)
    reporter.show(Line(f"{report.pairs:,} scores, {report.computed:,} computed now, the rest were kept before."))
