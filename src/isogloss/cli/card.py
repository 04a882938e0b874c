"""`isogloss card`: a model's README with what was measured of it, by language."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isogloss.cli.output import DryRunFlag, JsonFlag, Reporter, reported_errors


def card(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder; 'bundled' needs --out.")],
    reports: Annotated[
        list[Path],
        typer.Option("--report", metavar="FOLDER", help="What evaluate or report wrote; one for each set measured."),
    ],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Card; by default the model's own.")] = None,
    name: Annotated[str, typer.Option("--name", help="Name of the model; by default its folder's.")] = "",
    licence: Annotated[str, typer.Option("--licence", help="Licence as the hub writes it: apache-2.0.")] = "",
    data: Annotated[
        list[str] | None, typer.Option("--data", metavar="LINE", help="What it was trained on, with licence; repeat.")
    ] = None,
    limits: Annotated[
        list[str] | None, typer.Option("--limit", metavar="LINE", help="What it cannot do; may be repeated.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", help="The run's manifest; by default beside the model's folder.")
    ] = None,
    recipe: Annotated[str, typer.Option("--recipe", help="Recipe that makes it, where there is no manifest.")] = "",
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Write the model's card: scores by language with intervals, data, licence, limits, and how to make it again."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.errors import UsageError
        from isogloss.evaluation.model_card import model_card, write_card
        from isogloss.models.bundled import BUNDLED
        from isogloss.models.hub import resolve_model

        if out is None and not Path(model).is_dir():
            raise UsageError(
                f"'{model}' is no folder of yours to write into" if model == BUNDLED else f"There is no folder {model}",
                next_step="Say with --out where the card shall be written.",
            )
        found = model_card(
            resolve_model(model),
            reports,
            out=out,
            name=name or (model if model == BUNDLED else ""),
            licence=licence,
            data=data or (),
            limits=limits or (),
            manifest=manifest,
            recipe=recipe,
        )
        if not dry_run:
            write_card(found)
        done = "Would write" if dry_run else "Wrote"
        reporter.show(f"{done} {found.path}: {found.results} language pairs, {len(found.languages)} languages.")
        if found.missing:
            reporter.note(
                f"The card does not say: {', '.join(found.missing)}. See --licence, --data, --manifest, --recipe."
            )
        reporter.result(
            {
                "path": str(found.path),
                "dry_run": dry_run,
                "languages": list(found.languages),
                "results": found.results,
                "missing": list(found.missing),
            }
        )
