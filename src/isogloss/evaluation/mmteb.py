"""The retrieval score of MMTEB: 18 tasks, aggregated as its table does, refused where a subset is missing.

    score of a task = mean of `main_score` over all its splits × subsets
    headline        = mean of the 18 task scores

Source of the tasks: MTEB(Multilingual), Enevoldsen et al. 2025 (2502.13595); splits and subsets of each are in
`mmteb_retrieval.json`. A file with some of its subsets gives a plausible wrong number, and therefore an error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from isogloss.errors import DataError, Fault, FileError, raise_faults
from isogloss.evaluation.measures import mean
from isogloss.files import check_folder, read_json

SHOWN_SUBSETS = 5


@dataclass(frozen=True)
class BenchmarkTask:
    """What a complete result of a task holds.

    Attributes:
        name: mteb's name of the task.
        main_score: The measure that `main_score` repeats.
        splits: Splits that count.
        subsets: Subsets that count, in each split.
    """

    name: str
    main_score: str
    splits: tuple[str, ...]
    subsets: tuple[str, ...]


@dataclass(frozen=True)
class BenchmarkScore:
    """The headline, from 0 to 1, and the task scores that it is the mean of."""

    headline: float
    tasks: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"headline": self.headline, "tasks": dict(self.tasks)}


def retrieval_tasks() -> tuple[BenchmarkTask, ...]:
    """The 18 retrieval tasks of MMTEB."""
    content = resources.files(__package__).joinpath("mmteb_retrieval.json").read_text(encoding="utf-8")
    return tuple(
        BenchmarkTask(name, task["main_score"], tuple(task["splits"]), tuple(task["subsets"]))
        for name, task in json.loads(content).items()
    )


def aggregate_results(
    results: Iterable[Mapping[str, Any]], *, tasks: Sequence[BenchmarkTask] | None = None, where: str = "results"
) -> BenchmarkScore:
    """The score of a benchmark from mteb's results.

    Args:
        results: Content of result files: `task_name`, and `scores` with a list of subsets for each split.
        tasks: The tasks of the benchmark; MMTEB's 18 by default.
        where: What to call the results in errors.

    Raises:
        DataError: With every task, split and subset that is missing, doubled, or without a number from 0 to 1.
    """
    by_name: dict[str, Mapping[str, Any]] = {}
    faults: list[Fault] = []
    for result in results:
        name = str(result.get("task_name"))
        if name in by_name:
            faults.append(Fault(name, "has two results", "one file for each task"))
        by_name[name] = result
    scores: dict[str, float] = {}
    for task in retrieval_tasks() if tasks is None else tasks:
        values = _values(task, by_name.get(task.name), faults)
        if values:
            scores[task.name] = mean(values)
    raise_faults(
        DataError,
        where,
        faults,
        "A mean over a part of the benchmark means nothing. Run the rest.",
    )
    return BenchmarkScore(mean(scores.values()), scores)


def read_results(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The result files of one model: a revision's folder of mteb's `results/`, or the model's with one revision in it.

    Raises:
        FileError: If there are none, or several revisions.
        DataError: If a file is no JSON.
    """
    place = check_folder(folder)
    if not _result_files(place):
        revisions = [inner for inner in sorted(place.iterdir()) if inner.is_dir() and _result_files(inner)]
        if len(revisions) != 1:
            has = ", ".join(inner.name for inner in revisions)
            problem = f"has several revisions: {has}" if revisions else "has no result files"
            raise FileError(f"{place} {problem}", next_step="Give the folder that holds ArguAna.json and the others.")
        place = revisions[0]
    found = [read_json(path) for path in _result_files(place)]
    return [result for result in found if isinstance(result, dict)]


def _result_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.json")) if path.name != "model_meta.json"]


def _values(task: BenchmarkTask, result: Mapping[str, Any] | None, faults: list[Fault]) -> list[float]:
    """The main scores of all splits × subsets of a task; what is missing is added to `faults`."""
    if result is None:
        faults.append(Fault(task.name, "has no result", f"{len(task.splits)} splits × {len(task.subsets)} subsets"))
        return []
    scores = result.get("scores")
    values = []
    for split in task.splits:
        entries = scores.get(split) if isinstance(scores, dict) else None
        if not isinstance(entries, list):
            faults.append(Fault(task.name, f"has no split '{split}'", f"it needs: {', '.join(task.splits)}"))
            continue
        values += _of_split(task, split, entries, faults)
    return values


def _of_split(task: BenchmarkTask, split: str, entries: list[Any], faults: list[Fault]) -> list[float]:
    where = f"{task.name} {split}"
    seen: set[str] = set()
    values = []
    for entry in entries:
        subset = str(entry.get("hf_subset")) if isinstance(entry, dict) else ""
        if subset not in task.subsets:
            continue  # other subsets of a task belong to other benchmarks
        value = entry.get("main_score")
        if subset in seen:
            faults.append(Fault(where, f"subset '{subset}' stands twice"))
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            faults.append(Fault(where, f"subset '{subset}' has the main_score {value!r}", "a number from 0 to 1"))
        else:
            values.append(float(value))
        seen.add(subset)
    missing = [subset for subset in task.subsets if subset not in seen]
    if missing:
        more = f" and {len(missing) - SHOWN_SUBSETS} more" if len(missing) > SHOWN_SUBSETS else ""
        named = ", ".join(missing[:SHOWN_SUBSETS])
        faults.append(Fault(where, f"lacks {len(missing)} of {len(task.subsets)} subsets: {named}{more}"))
    return values
