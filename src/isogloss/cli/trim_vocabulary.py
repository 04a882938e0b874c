"""`isogloss trim-vocabulary`: a smaller model for the languages of a corpus, if it gives the same vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isogloss.cli.output import DryRunFlag, Exit, JsonFlag, Reporter, reported_errors

if TYPE_CHECKING:
    from isogloss.models.trim_vocabulary import TrimReport
    from isogloss.records import Text


def trim_vocabulary(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder, hub name, or 'bundled'.")],
    corpus: Annotated[
        list[str], typer.Option("--corpus", metavar="PATH", help="Texts in the languages to keep; may be repeated.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder of the smaller model.")],
    language: Annotated[
        list[str] | None, typer.Option("--language", help="Only the texts in this language; may be repeated.")
    ] = None,
    check: Annotated[
        list[str] | None,
        typer.Option("--check", metavar="PATH", help="Other texts: count how many would be cut differently."),
    ] = None,
    only_used: Annotated[
        bool,
        typer.Option("--only-used", help="Keep the pieces of these very texts, not all in their characters."),
    ] = False,
    least_texts: Annotated[
        int,
        typer.Option("--least-texts", min=1, help="Pieces that fewer texts need may go; those texts then change."),
    ] = 1,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Keep the pieces in the characters of a corpus, if ids and vectors stay the same (else exit 3, and no folder)."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.errors import ParityError
        from isogloss.files import refuse_occupied
        from isogloss.models.trim_vocabulary import trim_vocabulary as trim

        refuse_occupied(out)
        texts, others = _texts(corpus, language), _texts(check or [], language)
        try:
            report = trim(
                model,
                texts,
                None if dry_run else out,
                check=others,
                keep="used" if only_used else "characters",
                least_texts=least_texts,
                progress=not as_json,
            )
        except ParityError as refused:
            reporter.note(str(refused))
            reporter.result({"trimmed": None, "reason": str(refused)})
            raise typer.Exit(Exit.GATE_MISSED) from None
        _show(reporter, report)
        reporter.show(f"Nothing was written to {out}: a dry run." if dry_run else f"Written to {out}.")
        reporter.result({"dry_run": dry_run, "trimmed": None if dry_run else str(out), **report.to_json()})


def _texts(paths: list[str], languages: list[str] | None) -> list[Text]:
    """The texts of all paths, in the languages that are asked for.

    Raises:
        DataError: If a language has no text.
    """
    from isogloss.datasets import open_corpus
    from isogloss.errors import DataError, Fault, raise_faults
    from isogloss.languages import normalize

    texts = [text for path in paths for text in open_corpus(path)]
    if not languages or not paths:
        return texts
    wanted = {normalize(language) for language in languages}
    there = {str(text.language) for text in texts}
    faults = [Fault(f"--language {one}", "has no text", ", ".join(sorted(there))) for one in sorted(wanted - there)]
    raise_faults(DataError, " ".join(paths), faults)
    return [text for text in texts if str(text.language) in wanted]


def _show(reporter: Reporter, report: TrimReport) -> None:
    from rich.table import Table

    table = Table("language", "texts", "outside", "checked", "of them outside", title="Texts by language")
    for row in report.languages:
        numbers = (row.texts, row.outside, row.checked, row.checked_outside)
        table.add_row(row.language, *map(str, numbers))
    reporter.show(table)
    for place in report.places:
        reporter.show(f"{place.name}: {place.pieces} of {place.pieces_before} pieces kept.")
    before, after = report.bytes_before / 1e6, report.bytes_after / 1e6
    reporter.show(f"{after:.1f} of {before:.1f} MB (weights and tokenizers).")
    reporter.show(f"{report.vectors} vectors compared, both roles; largest difference {report.largest_difference:.2g}.")
