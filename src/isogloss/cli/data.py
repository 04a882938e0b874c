"""`isogloss data list | show | get | check`: known evaluation sets, and what a path holds or what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from isogloss.cli.output import JsonFlag, Reporter, reported_errors

data_app = typer.Typer(help="List, fetch and check evaluation sets.", no_args_is_help=True)

LanguagesOption = Annotated[
    str | None, typer.Option("--languages", metavar="TAGS", help="Only these languages, joined by commas.")
]


@data_app.command("list", epilog="Example: isogloss data list")
def list_sets(as_json: JsonFlag = False) -> None:
    """List the evaluation sets that have names here, with licence, languages and source."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.datasets import KNOWN_SETS
        from isogloss.datasets.registry import described

        table = Table("name", "licence", "languages", "size", "from")
        for known in KNOWN_SETS.values():
            languages = str(len(known.languages)) if len(known.languages) > 12 else " ".join(known.languages)
            origin = "hub" if known.hub else "comes along" if known.source.startswith("comes") else known.source
            table.add_row(known.name, known.licence, languages or "many", known.size, origin)
        reporter.show(table)
        reporter.result({"sets": [described(known) for known in KNOWN_SETS.values()]})


@data_app.command("show", epilog="Example: isogloss data show isogloss-demo")
def show(
    name: Annotated[str, typer.Argument(metavar="SET", help="A name of `isogloss data list`, or a path.")],
    split: Annotated[str | None, typer.Option("--split", help="Which judgements.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say what a set holds: queries and passages by language, judgements, licence, and an example."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.datasets import load
        from isogloss.datasets.checking import summary

        found = summary(load(name, split=split))
        _print(reporter, found)
        reporter.result(found)


@data_app.command("get", epilog="Example: isogloss data get xquad --languages de,en --out xquad")
def get(
    name: Annotated[str, typer.Argument(metavar="SET", help="A name, or owner/name on the Hugging Face hub.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="BEIR folder to write.")],
    languages: LanguagesOption = None,
    split: Annotated[str | None, typer.Option("--split", help="Which judgements.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder if it is there.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Fetch a set and write it as a BEIR folder with languages, which needs no network later."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.datasets import load
        from isogloss.datasets.beir_writing import BEIR, write_beir
        from isogloss.datasets.checking import summary
        from isogloss.files import refuse_occupied

        refuse_occupied(out, overwrite=overwrite, kind=BEIR, inputs=[name])
        tags = None if languages is None else [tag.strip() for tag in languages.split(",")]
        eval_set = load(name, query_languages=tags, passage_languages=tags, split=split)
        write_beir(eval_set, out, overwrite=overwrite)
        found = summary(eval_set)
        _print(reporter, found)
        reporter.show(f"Written to {out}; mind its licence: {eval_set.licence or 'unknown'}.")
        reporter.result({**found, "out": str(out)})


@data_app.command("check", epilog="Example: isogloss data check my-set")
def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Evaluation set, training rows or parallel text.")],
    split: Annotated[str | None, typer.Option("--split", help="Which judgements.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Read a path whole: say what it is, with counts per language, or all that is wrong with it (exit code 1)."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.datasets.checking import check_path

        found = check_path(path, split=split)
        _print(reporter, found)
        reporter.result(found)


def _print(reporter: Reporter, found: dict[str, Any]) -> None:
    sides = list(found["languages"])
    table = Table("language", *sides, title=f"{found['name']}: {found['kind']}")
    for language in sorted({language for side in sides for language in found["languages"][side]}):
        table.add_row(language, *(f"{found['languages'][side].get(language, 0):,}" for side in sides))
    reporter.show(table)
    for key in ("licence", "judgements", "example"):
        if found.get(key):
            reporter.show(f"{key}: {found[key]}")
    for note in found.get("notes", ()):
        reporter.show(f"note: {note}")
