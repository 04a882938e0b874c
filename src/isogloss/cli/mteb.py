"""`isogloss mteb summary | export`: MMTEB's retrieval score from result files, and our runs as mteb's result files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from isogloss.cli.output import JsonFlag, Reporter, reported_errors

mteb_app = typer.Typer(help="Write and sum up mteb's result files.", no_args_is_help=True)


@mteb_app.command("summary", epilog="Example: isogloss mteb summary results/me__my-model")
def summary(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A model's folder in mteb's results.")],
    as_json: JsonFlag = False,
) -> None:
    """Average the 18 retrieval tasks of MMTEB; where a split or subset is missing, say which, and average nothing."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.evaluation.mmteb import aggregate_results, read_results

        score = aggregate_results(read_results(folder), where=str(folder))
        table = Table("task", "main score × 100")
        for task, value in score.tasks.items():
            table.add_row(task, f"{100 * value:.2f}")
        table.add_row(f"mean of {len(score.tasks)} tasks", f"{100 * score.headline:.2f}")
        reporter.show(table)
        reporter.result(score.to_json())


@mteb_app.command(
    "export", epilog="Example: isogloss mteb export scores --data my-set --task MyTask --model me/mine --out results"
)
def export(
    folder: Annotated[Path, typer.Argument(metavar="SCORES", help="Folder that `isogloss evaluate` wrote.")],
    data: Annotated[str, typer.Option("--data", metavar="SET", help="The set that was measured.")],
    task: Annotated[str, typer.Option("--task", help="Name of the task in mteb.")],
    model: Annotated[str, typer.Option("--model", metavar="OWNER/MODEL", help="Name of the model.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="mteb's folder `results`.")],
    revision: Annotated[str, typer.Option("--revision", help="Version of the model.")] = "unknown",
    split: Annotated[str, typer.Option("--split", help="Name of the split.")] = "test",
    main_score: Annotated[str, typer.Option("--main-score", help="Score that the task quotes.")] = "ndcg_at_10",
    as_json: JsonFlag = False,
) -> None:
    """Write the runs of an evaluation as a result file of mteb: a subset for each language pair."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.datasets import load
        from isogloss.evaluation.mteb_results import entries_of_runs, write_results

        entries = entries_of_runs(folder / "runs", load(data), main_score=main_score)
        path = write_results(out, model=model, revision=revision, task=task, scores={split: entries})
        reporter.show(f"{len(entries)} subsets are in {path}.")
        reporter.result({"path": str(path), "subsets": {entry["hf_subset"]: entry["main_score"] for entry in entries}})
