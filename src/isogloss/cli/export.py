"""`isogloss export`: a model becomes graphs of ONNX or OpenVINO, if they give the same vectors in every language."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import BaseModel, ConfigDict, Field
from rich.table import Table

from isogloss.cli.output import DryRunFlag, Exit, JsonFlag, Reporter, SetOption, reported_errors
from isogloss.cli.settings import with_overrides
from isogloss.errors import ParityError, UsageError

if TYPE_CHECKING:
    from isogloss.evaluation.parity import ParityLimits, ParityReport
    from isogloss.models.export import ExportPlan
    from isogloss.models.folder import ExportFormat
    from isogloss.models.retriever import Retriever
    from isogloss.records import EvalSet, Role, Text


class ExportSettings(BaseModel):
    """What `--set` can change.

    Attributes:
        least_cosine: Least cosine of any text's vector to that of the original; by default 0.9999 for float32, 0.999
            for bfloat16 and a static table in int8, 0.95 for matrix products in int8.
        largest_change: Most that nDCG@10 of a language may change, up or down.
        precision: What is not int8 is computed in this, OpenVINO only; by default bfloat16 where the processor has it
            and the comparison allows it, else float32.
        calibration_texts: Queries and passages that set the ranges of int8 in OpenVINO, of all languages alike.
    """

    model_config = ConfigDict(extra="forbid")
    least_cosine: float | None = Field(default=None, ge=0, le=1)
    largest_change: float = Field(default=0.002, ge=0, le=1)
    precision: Literal["float32", "bfloat16"] | None = None
    calibration_texts: int = Field(default=128, ge=2)

    def limits(self, precision: str) -> ParityLimits:
        """What an export in this precision may differ by."""
        from isogloss.evaluation.parity import ParityLimits

        usual = LEAST_COSINE_INT8 if precision.startswith("int8") else LEAST_COSINE[precision]
        return ParityLimits(usual if self.least_cosine is None else self.least_cosine, self.largest_change)


TABLE_IN_INT8 = "table in int8"
LEAST_COSINE = {"float32": 0.9999, "bfloat16": 0.999, TABLE_IN_INT8: 0.999}
LEAST_COSINE_INT8 = 0.95


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder, hub name, or 'bundled'.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder of the exported model.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="Write ONNX graphs.")] = False,
    openvino: Annotated[bool, typer.Option("--openvino", help="Write graphs of OpenVINO.")] = False,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="Matrix products of transformers in int8; without a format: a static table in int8."
        ),
    ] = False,
    data: Annotated[
        str, typer.Option("--data", metavar="SET", help="Evaluation set for the comparison, by language.")
    ] = "isogloss-demo",
    calibration: Annotated[
        str | None,
        typer.Option("--calibration", metavar="CORPUS", help="Passages that set int8's ranges; those of SET else."),
    ] = None,
    overrides: SetOption = None,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Export a model to ONNX or OpenVINO, or a static one with its table in int8.

    It is kept only if vectors and nDCG@10 stay the same in every language.

    Else the exit code is 3 and the table says which languages differ.
    """
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.datasets import load
        from isogloss.files import refuse_occupied
        from isogloss.models.retriever import Retriever

        if (onnx and openvino) or not (onnx or openvino or int8):
            raise UsageError("Say to which format, and one at a time", next_step="Add --onnx, --openvino or --int8.")
        if calibration is not None and not (openvino and int8):
            raise UsageError("--calibration sets the ranges of int8 in OpenVINO", next_step="Add --openvino --int8.")
        settings = with_overrides(ExportSettings(), overrides)
        refuse_occupied(out)
        retriever, eval_set = Retriever.load(model, on_overflow="ignore", device="cpu"), load(data)
        if not (onnx or openvino):
            _in_bytes(retriever, out, eval_set, settings, reporter, dry_run=dry_run)
            return
        plan = _plan("onnx" if onnx else "openvino", int8, settings, eval_set, calibration)
        if dry_run:
            languages = len(eval_set.query_languages)
            tried = " or ".join(plan.precision(compute) for compute in plan.choices)
            reporter.show(f"Would export {model} to {out} in {tried} and compare it on {data}, {languages} languages.")
            reporter.result(
                {"dry_run": True, "model": model, "out": str(out), "format": plan.format, "int8": int8, "data": data}
            )
            return
        _export(retriever, out, eval_set, plan, settings, reporter)


def _plan(
    format_: ExportFormat, int8: bool, settings: ExportSettings, eval_set: EvalSet, calibration: str | None
) -> ExportPlan:
    from isogloss.datasets import open_corpus
    from isogloss.models.calibration import spread_over_languages
    from isogloss.models.export import ExportPlan

    if format_ == "onnx" or not int8:
        return ExportPlan(format_, int8, settings.precision)
    passages = eval_set.passages if calibration is None else open_corpus(calibration)
    half = settings.calibration_texts // 2
    samples: dict[Role, list[Text]] = {
        "query": spread_over_languages(eval_set.queries, half),
        "passage": spread_over_languages(passages, settings.calibration_texts - half),
    }
    return ExportPlan(format_, int8, settings.precision, samples)


def _in_bytes(
    retriever: Retriever, out: Path, eval_set: EvalSet, settings: ExportSettings, reporter: Reporter, *, dry_run: bool
) -> None:
    from isogloss.evaluation.parity import compare_retrievers
    from isogloss.models.export import save_in_bytes

    if dry_run:
        reporter.show(f"Would write the model to {out} with its table in int8 and compare it on {eval_set.name}.")
        reporter.result({"dry_run": True, "out": str(out), "format": "table", "int8": True, "data": eval_set.name})
        return
    found: list[ParityReport] = []

    def gate(rounded: Retriever) -> dict[str, Any]:
        found.append(compare_retrievers(retriever, rounded, eval_set, limits=settings.limits(TABLE_IN_INT8)))
        found[-1].require("The table in int8")
        return found[-1].to_json()

    try:
        save_in_bytes(retriever, out, gate)
    except ParityError as refused:
        raise _refused(refused, found[-1], out, reporter) from None
    _show(reporter, found[-1])
    reporter.show(f"Written to {out}: the table in int8.")
    reporter.result({"exported": str(out), "format": "table", "precision": "int8", **found[-1].to_json()})


def _export(
    retriever: Retriever, out: Path, eval_set: EvalSet, plan: ExportPlan, settings: ExportSettings, reporter: Reporter
) -> None:
    from isogloss.evaluation.parity import compare_retrievers
    from isogloss.models.export import export_retriever

    found: list[ParityReport] = []

    def gate(exported: Retriever) -> dict[str, Any]:
        precision = exported.passage.fingerprint.parts["precision"]
        found.append(compare_retrievers(retriever, exported, eval_set, limits=settings.limits(precision)))
        found[-1].require(f"The export in {precision}")
        return found[-1].to_json()

    try:
        precision = export_retriever(retriever, out, gate, plan, progress=not reporter.as_json)
    except ParityError as refused:
        raise _refused(refused, found[-1], out, reporter) from None
    _show(reporter, found[-1])
    reporter.show(f"Exported to {out}: {plan.format}, {precision}.")
    reporter.result({"exported": str(out), "format": plan.format, "precision": precision, **found[-1].to_json()})


def _refused(refused: ParityError, report: ParityReport, out: Path, reporter: Reporter) -> typer.Exit:
    _show(reporter, report)
    reporter.note(f"{refused}\nNothing was kept at {out}.")
    reporter.result({"exported": None, **report.to_json()})
    return typer.Exit(Exit.GATE_MISSED)


def _show(reporter: Reporter, report: ParityReport) -> None:
    table = Table(
        "language", "texts", "least cosine", "mean cosine", "nDCG@10", "exported", "change", title=f"On {report.data}"
    )
    for row in report.languages:
        scores = ["" if value is None else f"{value:.4f}" for value in (row.before, row.after)]
        cosines = [f"{value:.6f}" for value in (row.least_cosine, row.mean_cosine)]
        table.add_row(row.language, str(row.texts), *cosines, *scores, f"{row.change:+.4f}")
    reporter.show(table)
