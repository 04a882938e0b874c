"""`isogloss mine`: rows get negatives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from isogloss.cli.options import ModelOption
from isogloss.cli.output import DryRunFlag, JsonFlag, Reporter, SetOption, reported_errors
from isogloss.cli.settings import with_overrides
from isogloss.errors import Fault, UsageError, raise_faults

if TYPE_CHECKING:
    from isogloss.training.mining import MiningReport, MiningSettings
    from isogloss.training.mining.report import Tally

_RANKS = re.compile(r"(\d+)-(\d+)$")


def mine(
    rows: Annotated[list[str], typer.Argument(metavar="ROWS…", help="Files of training rows, or patterns.")],
    out: Annotated[Path, typer.Option("--out", metavar="ROWS.jsonl", help="File of the rows with their negatives.")],
    bank: Annotated[Path | None, typer.Option("--bank", help="Bank of passages, made by the same model.")] = None,
    corpus: Annotated[
        str | None, typer.Option("--corpus", help="BEIR folder or corpus file to encode instead.")
    ] = None,
    model: ModelOption = "bundled",
    purpose: Annotated[str, typer.Option("--for", help="retrieval, or clear: negative queries too.")] = "retrieval",
    parallel: Annotated[
        list[str] | None, typer.Option("--parallel", help="Files of translated questions, for clear; may be repeated.")
    ] = None,
    negatives: Annotated[int | None, typer.Option("-n", "--negatives", help="Negative passages of a row.")] = None,
    ranks: Annotated[str | None, typer.Option("--ranks", metavar="FIRST-LAST", help="Window, from rank 1.")] = None,
    languages: Annotated[
        list[str] | None,
        typer.Option("--from", help="same, query, other, any, or a tag, each with =WEIGHT if wanted; may be repeated."),
    ] = None,
    fraction: Annotated[
        float | None, typer.Option("--fraction", help="Most of the positive's score a negative may have, as 0.95.")
    ] = None,
    margin: Annotated[float | None, typer.Option("--margin", help="Least distance below the positive's score.")] = None,
    teacher: Annotated[
        str | None, typer.Option("--teacher", help="Cross-encoder that scores passage and negatives.")
    ] = None,
    overrides: SetOption = None,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Mine negatives for training rows. Without --bank and --corpus the rows' own passages are searched.

    What is known to answer a question is never its negative. An interrupted mining goes on where it stopped.
    """
    reporter = Reporter(as_json)
    with reported_errors(as_json, goes_on=True):
        from isogloss.training.mining import MiningTask
        from isogloss.training.mining import mine as run

        named = _named(negatives=negatives, ranks=ranks, languages=languages, fraction=fraction, margin=margin)
        task = MiningTask(
            tuple(rows),
            out,
            model,
            bank,
            corpus,
            "clear" if _for_clear(purpose) else "retrieval",
            tuple(parallel or ()),
            teacher,
            with_overrides(_settings(_for_clear(purpose), named), overrides),
        )
        report = run(task, dry_run=dry_run, announce=reporter.note, progress=not as_json)
        _show(reporter, report)
        reporter.result({**report.to_json(), "dry_run": dry_run})


def _for_clear(purpose: str) -> bool:
    if purpose not in ("retrieval", "clear"):
        raise UsageError(f"--for {purpose} (allowed: retrieval, clear)")
    return purpose == "clear"


def _named(**options: Any) -> dict[str, Any]:
    """The values of the options that were given, read; all faults at once."""
    faults: list[Fault] = []
    values = {name: value for name, value in options.items() if value is not None}
    if "ranks" in values:
        match = _RANKS.match(values["ranks"])
        if match is None:
            faults.append(Fault(f"--ranks {values['ranks']}", "is no window", "FIRST-LAST, such as 30-100"))
        else:
            values["ranks"] = (int(match[1]), int(match[2]))
    if "languages" in values:
        values["languages"] = dict(_weighted(text, faults) for text in values["languages"])
    raise_faults(UsageError, "mine", faults, "Nothing was started.")
    return values


def _weighted(text: str, faults: list[Fault]) -> tuple[str, float]:
    name, equals, weight = text.partition("=")
    try:
        return name, float(weight) if equals else 1.0
    except ValueError:
        faults.append(Fault(f"--from {text}", f"'{weight}' is no number", "NAME or NAME=WEIGHT"))
        return name, 1.0


def _settings(clear: bool, named: dict[str, Any]) -> MiningSettings:
    from pydantic import ValidationError

    from isogloss.training.mining import MiningSettings

    defaults = MiningSettings.for_clear() if clear else MiningSettings()
    try:
        return MiningSettings.model_validate({**dict(defaults), **named})
    except ValidationError as error:
        faults = [
            Fault(f"--{'from' if problem['loc'][0] == 'languages' else problem['loc'][0]}", _said(problem))
            for problem in error.errors()
        ]
        raise_faults(UsageError, "mine", faults, "Nothing was started.")
        raise


def _said(problem: Any) -> str:
    return f"{problem['input']!r}: {problem['msg'].removeprefix('Value error, ')}"


def _show(reporter: Reporter, report: MiningReport) -> None:
    if report.path is None:
        reporter.show("All is in order; nothing was written.")
        return
    for kind, languages in report.tallies.items():
        reporter.show(_table(kind, languages))
    unpaired = f" {report.unpaired} questions have no translation and were left out." if report.unpaired else ""
    reporter.show(f"{report.written} rows in {report.seconds:.1f} s: {report.path}.{unpaired}")


def _table(kind: str, languages: dict[str, Tally]) -> Table:
    rules = sorted({rule for tally in languages.values() for rule in tally.excluded})
    table = Table("language", "rows", "negatives", "rows with too few", *rules, title=f"Negative {kind}")
    for language, tally in sorted(languages.items()):
        counts = (tally.rows, tally.negatives, tally.short, *(tally.excluded[rule] for rule in rules))
        table.add_row(language, *(f"{count:,}" for count in counts))
    return table
