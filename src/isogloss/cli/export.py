"""`isogloss export`: a model becomes ONNX graphs, if they give the same vectors in every language."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict, Field
from rich.table import Table

from isogloss.cli.output import DryRunFlag, Exit, JsonFlag, Reporter, SetOption, reported_errors
from isogloss.cli.settings import with_overrides
from isogloss.errors import ParityError, UsageError

if TYPE_CHECKING:
    from isogloss.evaluation.parity import ParityReport
    from isogloss.models.retriever import Retriever
    from isogloss.records import EvalSet


class ExportSettings(BaseModel):
    """What `--set` can change.

    Attributes:
        least_cosine: Least cosine of any text's vector to that of the original; by default 0.9999, for int8 0.95.
        largest_change: Most that nDCG@10 of a language may change, up or down.
    """

    model_config = ConfigDict(extra="forbid")
    least_cosine: float | None = Field(default=None, ge=0, le=1)
    largest_change: float = Field(default=0.002, ge=0, le=1)


LEAST_COSINE = {False: 0.9999, True: 0.95}


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder, hub name, or 'bundled'.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder of the exported model.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="Write ONNX graphs.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Compute the matrix products of transformers in int8.")] = False,
    data: Annotated[
        str, typer.Option("--data", metavar="SET", help="Evaluation set for the comparison, by language.")
    ] = "isogloss-demo",
    overrides: SetOption = None,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Export a model to ONNX. It is kept only if vectors and nDCG@10 stay the same in every language (else exit 3)."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.datasets import load
        from isogloss.evaluation.parity import ParityLimits
        from isogloss.files import refuse_occupied
        from isogloss.models.retriever import Retriever

        if not onnx:
            raise UsageError("Say to which format", next_step="Add --onnx; there is no other yet.")
        settings = with_overrides(ExportSettings(), overrides)
        least = LEAST_COSINE[int8] if settings.least_cosine is None else settings.least_cosine
        limits = ParityLimits(least, settings.largest_change)
        refuse_occupied(out)
        retriever, eval_set = Retriever.load(model, on_overflow="ignore"), load(data)
        if dry_run:
            languages = len(eval_set.query_languages)
            reporter.show(f"Would export {model} to {out} and compare it on {data}, {languages} languages.")
            reporter.result({"dry_run": True, "model": model, "out": str(out), "int8": int8, "data": data})
            return
        _export(retriever, out, eval_set, limits, int8, reporter)


def _export(retriever: Retriever, out: Path, eval_set: EvalSet, limits: Any, int8: bool, reporter: Reporter) -> None:
    from isogloss.evaluation.parity import compare_retrievers
    from isogloss.models.export import export_onnx

    found: list[ParityReport] = []

    def gate(exported: Retriever) -> dict[str, Any]:
        found.append(compare_retrievers(retriever, exported, eval_set, limits=limits))
        found[0].require("The export")
        return found[0].to_json()

    try:
        export_onnx(retriever, out, gate, int8=int8, progress=not reporter.as_json)
    except ParityError as refused:
        _show(reporter, found[0])
        reporter.note(f"{refused}\nNothing was kept at {out}.")
        reporter.result({"exported": None, **found[0].to_json()})
        raise typer.Exit(Exit.GATE_MISSED) from None
    _show(reporter, found[0])
    reporter.show(f"Exported to {out}.")
    reporter.result({"exported": str(out), **found[0].to_json()})


def _show(reporter: Reporter, report: ParityReport) -> None:
    table = Table(
        "language", "texts", "least cosine", "mean cosine", "nDCG@10", "exported", "change", title=f"On {report.data}"
    )
    for row in report.languages:
        scores = ["" if value is None else f"{value:.4f}" for value in (row.before, row.after)]
        cosines = [f"{value:.6f}" for value in (row.least_cosine, row.mean_cosine)]
        table.add_row(row.language, str(row.texts), *cosines, *scores, f"{row.change:+.4f}")
    reporter.show(table)
