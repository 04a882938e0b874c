"""`isogloss merge`: the mean of the weights of several models of one origin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isogloss.cli.output import DryRunFlag, JsonFlag, Reporter, reported_errors
from isogloss.errors import UsageError


def merge(
    models: Annotated[list[str], typer.Argument(metavar="MODEL…", help="Model folders, hub names, or 'bundled'.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder of the merged model.")],
    shares: Annotated[
        str | None, typer.Option("--shares", help="Share of each model, joined by commas; equal if left out.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder if it is there.")] = False,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Average models that began as one: a tuned one with its start, or one recipe with several seeds.

    A passage tower that all have alike stays as it is, and so do the indexes that it made.
    """
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.files import refuse_occupied
        from isogloss.models.bundled import BUNDLED
        from isogloss.models.merging import merge as mean
        from isogloss.models.persistence import MODEL
        from isogloss.models.retriever import Retriever

        refuse_occupied(out, overwrite=overwrite, kind=MODEL, inputs=[name for name in models if name != BUNDLED])
        retrievers = [Retriever.load(model, device="cpu") for model in models]
        merged = mean(retrievers, _numbers(shares))
        if not dry_run:
            merged.save(out, overwrite=overwrite)
        kept = merged.passage.fingerprint.digest == retrievers[0].passage.fingerprint.digest
        indexes = "Its passage tower is theirs: their indexes stay valid." if kept else "Encode the passages anew."
        reporter.show(f"{'Would write' if dry_run else 'Wrote'} {out}, the mean of {', '.join(models)}. {indexes}")
        reporter.result({"dry_run": dry_run, "out": str(out), "models": models, "passage_tower_kept": kept})


def _numbers(shares: str | None) -> list[float] | None:
    if shares is None:
        return None
    try:
        return [float(share) for share in shares.split(",")]
    except ValueError:
        raise UsageError(f"--shares {shares} (allowed: numbers joined by commas, as in 0.7,0.3)") from None
