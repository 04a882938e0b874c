"""`isogloss init`: from what one has to the recipe that fits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from isogloss.cli.output import JsonFlag, Reporter, reported_errors
from isogloss.errors import FileError, UsageError
from isogloss.recipe.choosing import Choice, Labels, Possessions

_LABELS: tuple[Labels, ...] = ("english", "many", "none")
_PATHS = "Files; may be repeated."


def init(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Recipe to write.")] = Path("recipe.yaml"),
    labels: Annotated[
        str | None, typer.Option("--labels", help="Languages of the labels: english, many, none.")
    ] = None,
    rows: Annotated[list[str] | None, typer.Option("--rows", metavar="PATH", help=f"Labelled rows. {_PATHS}")] = None,
    parallel: Annotated[list[str] | None, typer.Option("--parallel", metavar="PATH", help="Translations.")] = None,
    plain: Annotated[list[str] | None, typer.Option("--plain", metavar="PATH", help="Plain text by language.")] = None,
    translated_queries: Annotated[
        list[str] | None,
        typer.Option("--translated-queries", metavar="PATH", help="English rows with a translated question each."),
    ] = None,
    generated: Annotated[
        list[str] | None,
        typer.Option("--generated", metavar="PATH", help="Rows that `isogloss generate` and `generator score` made."),
    ] = None,
    keep_index: Annotated[
        str, typer.Option("--keep-index", metavar="BANK", help="Bank of an index that must stay as it is.")
    ] = "",
    base: Annotated[str, typer.Option("--base", metavar="MODEL", help="Model to begin from.")] = "",
    gpu: Annotated[bool, typer.Option("--gpu", help="There is a GPU to train on.")] = False,
    ask: Annotated[
        bool | None, typer.Option("--ask/--no-ask", help="Ask for what is not given; by default in a terminal.")
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate/--no-estimate", help="Make a few steps to measure time and memory.")
    ] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Say what you have; get the recipe of the method that fits, commented, checked, with its time and memory."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.files import refuse_unmakeable, write_text
        from isogloss.files.yaml_text import read_yaml
        from isogloss.recipe import parse_recipe
        from isogloss.recipe.choosing import choose
        from isogloss.training.assembly import RECIPE_CHECKS

        if out.is_dir():
            raise FileError(f"cannot write {out}: it is a folder", next_step="Give the path of a file.")
        if out.exists() and not overwrite:
            raise FileError(
                f"cannot write {out}: it exists already", next_step="Choose another name, or add --overwrite."
            )
        refuse_unmakeable(out.parent)  # the estimate takes its time
        has = Possessions(
            labels=_labels(labels),
            rows=tuple(rows or ()),
            parallel=tuple(parallel or ()),
            plain=tuple(plain or ()),
            translated_queries=tuple(translated_queries or ()),
            generated=tuple(generated or ()),
            keep_index=keep_index,
            base=base,
            gpu=gpu,
        )
        given = labels is not None or has != Possessions()
        if ask or (ask is None and not given and sys.stdin.isatty()):
            has = _asked(has)
        choice = choose(has)
        recipe = parse_recipe(read_yaml(choice.text), where=str(out), checks=RECIPE_CHECKS)
        cost: list[str] = []
        if estimate:
            from isogloss.training.estimate import estimate as measure

            reporter.note("Reading the data and making a few steps …")
            cost = measure(recipe).lines()
        write_text(out, _commented(choice, out, cost), overwrite=overwrite)
        _show(reporter, choice, out, cost)


def _labels(word: str | None) -> Labels:
    found = next((known for known in _LABELS if known == (word or _LABELS[0])), None)
    if found is None:
        raise UsageError(f"--labels {word} (allowed: {', '.join(_LABELS)})")
    return found


def _asked(has: Possessions) -> Possessions:
    """What the user has, asked for one by one; nothing is the default of every answer but the labels'."""

    def paths(question: str, given: Sequence[str]) -> tuple[str, ...]:
        answer = typer.prompt(question, default=" ".join(given), show_default=bool(given), err=True)
        return tuple(answer.split())

    labels = _labels(typer.prompt("Labels: english, many (languages) or none", default=has.labels, err=True))
    has = replace(has, labels=labels)
    if labels != "none":
        has = replace(has, rows=paths("Files of labelled rows (question and passage)", has.rows))
    has = replace(
        has,
        translated_queries=paths("Files of English rows with translated questions", has.translated_queries),
        parallel=paths("Files of translations", has.parallel),
        generated=paths("Files of rows with generated questions", has.generated),
    )
    if has.parallel:
        has = replace(has, plain=paths("Files of plain text in further languages", has.plain))
    kept = paths("Bank of an index that must stay as it is", [has.keep_index] if has.keep_index else [])
    gpu = typer.confirm("Is there a GPU to train on?", default=has.gpu, err=True)
    return replace(has, keep_index=" ".join(kept), gpu=gpu)


def _commented(choice: Choice, out: Path, cost: Sequence[str]) -> str:
    head = [
        f"Written by isogloss init: the recipe '{choice.recipe}', for {choice.why}.",
        f"isogloss train {out} --out FOLDER",
        *(f"Estimate: {line}." for line in cost),
        *choice.notes,
        f"Below, '{choice.recipe}' as it is shipped, with your files.",
    ]
    return "".join(f"# {line}\n" for line in head) + choice.text


def _show(reporter: Reporter, choice: Choice, out: Path, cost: Sequence[str]) -> None:
    reporter.show(f"{out}: the recipe '{choice.recipe}', for {choice.why}.")
    for line in (*cost, *choice.notes):
        reporter.show(f"    {line}")
    reporter.show(f"Start it: isogloss train {out} --out FOLDER")
    reporter.result(
        {
            "out": str(out),
            "recipe": choice.recipe,
            "why": choice.why,
            "estimate": list(cost),
            "notes": list(choice.notes),
            "command": f"isogloss train {out} --out FOLDER",
        }
    )
