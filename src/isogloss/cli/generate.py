"""`isogloss generate`: queries for passages, written by a generator here or by an endpoint, and filtered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text as Line

from isogloss.cli.output import JsonFlag, Reporter, SetOption, reported_errors
from isogloss.cli.settings import with_overrides
from isogloss.errors import UsageError

if TYPE_CHECKING:
    from isogloss.generation import GenerateReport, GenerateSettings, QueryGenerator
    from isogloss.generation.tasks import Writer


def generate(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A file of training rows, or a corpus.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Rows with the queries that passed.")],
    generator: Annotated[
        str | None,
        typer.Option("--generator", metavar="MODEL", help="Generator that writes, and scores what is written."),
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="URL", help="OpenAI-compatible endpoint that writes.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Name of the model at the endpoint.")] = None,
    language: Annotated[
        list[str] | None,
        typer.Option("--language", help="Language of the queries; may be repeated. A corpus: its own by default."),
    ] = None,
    retriever: Annotated[
        str | None, typer.Option("--retriever", metavar="MODEL", help="Retriever of the round trip.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    overrides: SetOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write queries for passages. An interrupted run goes on where it stopped and asks for nothing twice."""
    reporter = Reporter(as_json)
    with reported_errors(as_json, goes_on=True):
        from isogloss.generation.generate import generate_queries

        settings, asked = _settings(endpoint, model, overrides or [])
        opened = _generator(generator)
        report = generate_queries(
            source,
            out,
            _writer(opened, asked, settings),
            languages=language or (),
            settings=settings,
            retriever=_retriever(retriever),
            teacher=opened,
            overwrite=overwrite,
            progress=not as_json,
        )
        _show(reporter, report)
        reporter.result(report.to_json())


def _settings(endpoint: str | None, model: str | None, overrides: list[str]) -> tuple[GenerateSettings, Any]:
    """Settings of the run, and of the endpoint where there is one; `--set` reaches both."""
    from isogloss.generation.endpoint import EndpointSettings
    from isogloss.generation.settings import GenerateSettings

    if endpoint is None:
        return with_overrides(GenerateSettings(), overrides), None
    if not model:
        raise UsageError("--endpoint needs --model", next_step="Name the model that the endpoint serves.")
    ours = [override for override in overrides if override.partition("=")[0].strip() in GenerateSettings.model_fields]
    others = [override for override in overrides if override not in ours]
    asked = with_overrides(EndpointSettings(url=endpoint, model=model), others)
    return with_overrides(GenerateSettings(), ours), asked


def _generator(name: str | None) -> QueryGenerator | None:
    if name is None:
        return None
    from isogloss.generation import QueryGenerator

    return QueryGenerator.load(name).on_best_device()


def _writer(generator: QueryGenerator | None, endpoint: Any, settings: GenerateSettings) -> Writer:
    if endpoint is not None:
        from isogloss.generation.endpoint import EndpointWriter

        return EndpointWriter(endpoint, seed=settings.seed)
    if generator is None:
        raise UsageError("nothing can write: give --generator or --endpoint", next_step="See isogloss generate --help.")
    from isogloss.generation.local import LocalWriter

    return LocalWriter(generator, settings)


def _retriever(name: str | None) -> Any:
    if name is None:
        return None
    from isogloss.models.retriever import Retriever

    return Retriever.load(name, on_overflow="ignore")


def _show(reporter: Reporter, report: GenerateReport) -> None:
    """Says what was written, dropped and kept, per language."""
    reasons = sorted({reason for dropped in report.tally.dropped.values() for reason in dropped})
    table = Table("language", "written", *reasons, "kept", title=f"Queries in {report.out}")
    for language, written in sorted(report.tally.written.items()):
        dropped = report.tally.dropped.get(language, {})
        counts = [f"{dropped.get(reason, 0):,}" for reason in reasons]
        table.add_row(language, f"{written:,}", *counts, f"{report.tally.kept.get(language, 0):,}")
    reporter.show(table)
    skipped = "".join(f" Left out: {reason} {count:,}." for reason, count in report.skipped.items())
    known = report.tasks - report.asked
    line = f"{report.passages:,} passages, {report.rows:,} rows; {known:,} of {report.tasks:,} tasks were done before."
    reporter.show(Line(line + skipped))
