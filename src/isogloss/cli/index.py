"""`isogloss index`: a bank becomes an index, and an index is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import BaseModel, ConfigDict, Field

from isogloss.cli.output import Exit, JsonFlag, Reporter, SetOption, reported_errors
from isogloss.cli.settings import with_overrides
from isogloss.errors import UsageError

if TYPE_CHECKING:
    from isogloss.indexing.building import IndexReport
    from isogloss.indexing.manifest import IndexOptions


class IndexSettings(BaseModel):
    """What `--set` can change.

    Attributes:
        precision: How vectors are kept: float32, float16, or int8 codes beside float16; none is the engine's own.
        lexical: Whether the lexical index is made at once, and not by the first search that needs it.
        word_parts: Whether the parts of words are terms of the lexical index: other forms of a word are found, in three
            times the space.
        graph_degree: Neighbours of a passage in a graph; with 0 the embedded index has none and compares all codes.
        build_effort: Candidates looked at for each passage while a graph is built.
        part: Passages in one part of an embedded index; a killed build does at most one part again.
        threads: Threads that build a graph; 0 is one for each core.
    """

    model_config = ConfigDict(extra="forbid")
    precision: Literal["", "float32", "float16", "int8"] = ""
    lexical: bool = True
    word_parts: bool = True
    graph_degree: int = Field(default=0, ge=0)
    build_effort: int = Field(default=128, ge=8)
    part: int = Field(default=65_536, ge=1024)
    threads: int = Field(default=0, ge=0)


def index(
    out: Annotated[str, typer.Option("--out", "--url", metavar="INDEX", help="Folder, qdrant://… or postgresql://….")],
    bank: Annotated[Path | None, typer.Argument(metavar="BANK", help="Folder that `isogloss encode` made.")] = None,
    precision: Annotated[str | None, typer.Option("--precision", help="float32, float16, or int8.")] = None,
    add: Annotated[bool, typer.Option("--add", help="Add the bank's passages, none of which is there yet.")] = False,
    update: Annotated[bool, typer.Option("--update", help="Add the bank's passages, replacing equal ids.")] = False,
    delete: Annotated[
        Path | None, typer.Option("--delete", help="Remove the passages of this file: ids, one a line.")
    ] = None,
    snapshot: Annotated[
        Path | None, typer.Option("--snapshot", metavar="FOLDER", help="Copy the index as it is now into a new folder.")
    ] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Leave a change that was stopped as it is, so that others can begin.")
    ] = False,
    no_words: Annotated[
        list[str] | None,
        typer.Option(
            "--no-words",
            metavar="LANG",
            help="Leave a language out of the lexical index; may be repeated; none is none.",
        ),
    ] = None,
    overrides: SetOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Make an index of a bank, or change or copy one. In a folder, what was interrupted goes on where it stopped."""
    reporter = Reporter(as_json)
    # On a server others may write meanwhile, so that no note of a change is kept there.
    goes_on = "://" not in out or not (add or update or delete is not None)
    with reported_errors(as_json, goes_on=goes_on):
        from isogloss.indexing.manifest import IndexOptions

        chosen = [*(overrides or ()), *([f"precision={precision}"] if precision else ())]
        settings = with_overrides(IndexSettings(), chosen)
        options = IndexOptions(
            settings.graph_degree,
            settings.build_effort,
            part=settings.part,
            threads=settings.threads,
        )
        if snapshot is not None:
            if bank is not None or add or update or delete is not None or no_words or as_is:
                raise UsageError("--snapshot is given alone, with --out INDEX")
            from isogloss.indexing.building import copy_index

            _show(reporter, copy_index(out, snapshot), _Words())
            return
        if as_is:
            if bank is not None or add or update or delete is not None or no_words:
                raise UsageError("--as-is is given alone, with --out INDEX")
            from isogloss.indexing.building import take_as_is

            _show(reporter, take_as_is(out), _Words())
            return
        left_out = None if no_words is None else [language for language in no_words if language != "none"]
        report = _changed(bank, out, settings, options, add, update, delete, left_out, progress=not as_json)
        try:
            words = _words(out) if settings.lexical and "://" not in out else _Words()
        except KeyboardInterrupt:  # the same command would find nothing left to go on with
            reporter.note("\nStopped. The index is whole; its words are made by the first search that needs them.")
            raise typer.Exit(Exit.INTERRUPTED) from None
        _show(reporter, report, words)


@dataclass(frozen=True)
class _Words:
    """What came of the lexical index: whether it was made, why not, and what it could not cut."""

    made: bool = False
    refused: str = ""
    uncut: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def _changed(
    bank: Path | None,
    out: str,
    settings: IndexSettings,
    options: IndexOptions,
    add: bool,
    update: bool,
    delete: Path | None,
    no_words: list[str] | None,
    *,
    progress: bool,
) -> IndexReport:
    from isogloss.engines.bank import Bank
    from isogloss.files import read_lines
    from isogloss.indexing.building import build_index, change_index, delete_passages, leave_out_words

    if no_words is not None and (add or update or delete is not None):
        raise UsageError("--no-words goes with a BANK that is indexed anew, or alone with --out INDEX")
    if no_words is not None and bank is None:
        return leave_out_words(out, no_words)
    if add + update + (delete is not None) > 1 or (bank is None) != (delete is not None):
        raise UsageError("Give a BANK with none or one of --add and --update, or --delete FILE without a BANK")
    if delete is not None:
        ids = [line for _, line in read_lines(delete) if line]
        return delete_passages(out, ids, options=options)
    opened = Bank.open(bank or "")
    if add or update:
        return change_index(opened, out, "add" if add else "update", options=options, progress=progress)
    return build_index(
        opened,
        out,
        precision=settings.precision,
        options=options,
        no_words=no_words,
        word_parts=settings.word_parts,
        progress=progress,
    )


def _words(out: str) -> _Words:
    """Makes the lexical index, or says why there is none."""
    from isogloss.errors import DataError
    from isogloss.indexing.opening import open_index

    with open_index(out, model=None) as opened:
        try:
            return _Words(True, uncut=opened.prepare_lexical().uncut)
        except DataError as error:
            return _Words(refused=str(error))


def _show(reporter: Reporter, report: IndexReport, words: _Words) -> None:
    changes = [f"{report.written} passages written"] if report.written else []
    changes += [f"{report.removed} passages removed"] if report.removed else []
    unknown = report.passages - sum(report.languages.values())
    by_language = report.languages | ({"unknown": unknown} if unknown else {})
    counts = ", ".join(f"{language} {count}" for language, count in by_language.items())
    reporter.show(f"{report.url}: {', '.join(changes) or 'nothing to do'} in {report.seconds:.1f} s.")
    reporter.show(f"{report.passages} passages in {len(report.languages)} languages: {counts}")
    if words.refused:
        reporter.note(f"There is no lexical index; dense search works.\n{words.refused}")
    if report.no_words:
        reporter.note(f"Left out of the lexical index, and found by meaning alone: {', '.join(report.no_words)}.")
    for language, (uncut, long) in words.uncut.items():
        reporter.note(
            f"{language}: {uncut} of {long} long passages have no spaces between words; words do not find them."
        )
    reporter.result(
        {
            "index": report.url,
            "written": report.written,
            "removed": report.removed,
            "passages": report.passages,
            "seconds": round(report.seconds, 3),
            "languages": report.languages,
            "unknown_language": unknown,
            "lexical": words.made,
            "no_words": list(report.no_words),
            "uncut": {language: {"uncut": uncut, "long": long} for language, (uncut, long) in words.uncut.items()},
        }
    )
