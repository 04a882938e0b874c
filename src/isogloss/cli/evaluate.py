"""`isogloss evaluate`: a model's scores on a set, by query language and passage language."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import Field

from isogloss.cli.loading import LoadingSettings
from isogloss.cli.output import DryRunFlag, JsonFlag, Reporter, SetOption, reported_errors
from isogloss.cli.settings import with_overrides

DataOption = Annotated[
    str, typer.Option("--data", metavar="SET", help="A BEIR folder, another known layout, or a name.")
]
PairsOption = Annotated[
    str | None,
    typer.Option("--pairs", help="same, to-en, from-en, all, mixed, or pairs such as de-en; joined by commas."),
]


class SystemName(str, Enum):
    """What is measured."""

    DENSE = "dense"
    HYBRID = "hybrid"


class EvaluateSettings(LoadingSettings):
    """What `--set` can change.

    Attributes:
        measures: Measures, by the names of ir_measures or their aliases, joined by commas.
        resamples: Samples of the bootstrap behind the intervals.
        seed: Its seed.
        fusion: With `--system hybrid`, how BM25 joins: by reciprocal ranks, or by weighted scores.
        weight: Share of the model in the fusion.
    """

    measures: str = "nDCG@10,R@100,RR@10"
    resamples: int = Field(default=1000, ge=1)
    seed: int = 13
    fusion: Literal["rrf", "weighted"] = "rrf"
    weight: float = Field(default=0.5, ge=0, le=1)


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder, hub name, or 'bundled'.")],
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder for runs, scores and tables.")],
    pairs: PairsOption = None,
    bank: Annotated[Path | None, typer.Option("--bank", help="Passage vectors of this model, made before.")] = None,
    bm25: Annotated[bool, typer.Option("--bm25", help="Measure BM25 beside it, on the same pairs.")] = False,
    system: Annotated[
        SystemName, typer.Option("--system", help="The model alone, or fused with BM25: dense or hybrid.")
    ] = SystemName.DENSE,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder if it is there.")] = False,
    overrides: SetOption = None,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Measure a model on a set; write TREC runs, scores.json and tables."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.datasets import load
        from isogloss.engines.bank import Bank
        from isogloss.evaluation.evaluate import EVALUATION, check_plan
        from isogloss.evaluation.evaluate import evaluate as measure
        from isogloss.evaluation.report import evaluation_grids
        from isogloss.evaluation.systems import HybridFusion
        from isogloss.files import refuse_occupied
        from isogloss.models.bundled import BUNDLED

        settings = with_overrides(EvaluateSettings(), overrides)
        inputs: list[str | Path] = [data, *([] if model == BUNDLED else [model]), *([bank] if bank else [])]
        refuse_occupied(out, overwrite=overwrite, kind=EVALUATION, inputs=inputs)
        eval_set = load(data)
        retriever = settings.load(model)
        opened = Bank.open(bank) if bank else None
        if dry_run:
            check_plan(eval_set, pairs=pairs, measures=settings.measures, out=out, overwrite=overwrite)
            if opened:
                opened.require(retriever.passage.fingerprint)
            counts = {"queries": len(eval_set.queries), "passages": len(eval_set.passages)}
            reporter.show(f"Would measure {model} on {eval_set.name} ({counts['queries']} queries) into {out}.")
            reporter.result({"dry_run": True, "data": eval_set.name, "out": str(out), **counts, **dict(settings)})
            return
        evaluation = measure(
            retriever,
            eval_set,
            pairs=pairs,
            measures=settings.measures,
            out=out,
            bank=opened,
            bm25=bm25,
            hybrid=HybridFusion(settings.fusion, settings.weight) if system is SystemName.HYBRID else None,
            name=model,
            resamples=settings.resamples,
            seed=settings.seed,
            progress=not as_json,
            overwrite=overwrite,
        )
        for grid in evaluation_grids(evaluation):
            reporter.show(grid.rich())
        reporter.show(f"Runs, scores.json and matrix.md are in {out}.")
        reporter.result(evaluation.to_json())
