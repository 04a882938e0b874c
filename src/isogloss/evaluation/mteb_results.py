"""Our scores as mteb's result files, from runs of any system.

    results/<owner>__<model>/<revision>/<Task>.json       scores by split and subset
    results/<owner>__<model>/<revision>/model_meta.json   what is known of the model

Measures are mteb's (`ndcg_at_10`, `recall_at_100`, …), without its nAUC, rounded to the decimals that it keeps. mteb
counts a query that has only judgements of grade 0 as 0; so do these files, and no other number of isogloss.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isogloss.errors import DataError, FileError, UsageError
from isogloss.evaluation.measures import score_run
from isogloss.evaluation.pairs import MIXED, parse_pairs, with_languages
from isogloss.files import check_folder, read_json, read_run, write_json
from isogloss.languages import iso_639_3, usual_script
from isogloss.records import EvalSet, Qrels, Run

CUTOFFS = (1, 3, 5, 10, 20, 100, 1000)
_MEASURES = {
    "ndcg": "nDCG", "map": "AP", "recall": "R", "precision": "P", "mrr": "RR", "hit_rate": "Success",
}  # fmt: skip
_DECIMALS = {"mrr": 6}
_USUAL_DECIMALS = 5


def mteb_language(tag: str) -> str:
    """The code that mteb has for a language: `swa-Latn`, three letters and the script."""
    return f"{iso_639_3(tag)}-{usual_script(tag)}"


def mteb_scores(qrels: Qrels, run: Run, *, cutoffs: Sequence[int] = CUTOFFS) -> dict[str, float]:
    """Scores of one split and subset under mteb's names.

    Args:
        qrels: Grades by query and passage.
        run: Scores by query and passage; a query that it lacks counts 0.
        cutoffs: Depths; the run must be as deep as the deepest, where the corpus is.
    """
    named = {f"{ours}@{cutoff}": f"{theirs}_at_{cutoff}" for theirs, ours in _MEASURES.items() for cutoff in cutoffs}
    found = score_run(qrels, run, list(named))
    judged = sum(bool(grades) for grades in qrels.values())
    if not judged:
        raise DataError("there are no judgements to score", next_step="Check the split and the languages.")
    scores = {}
    for measure, values in found.values.items():
        decimals = _DECIMALS.get(named[measure].partition("_at_")[0], _USUAL_DECIMALS)
        scores[named[measure]] = round(math.fsum(values.values()) / judged, decimals)
    return scores | {"accuracy": scores[f"recall_at_{cutoffs[0]}"]} if cutoffs[0] == 1 else scores


def result_entry(
    scores: Mapping[str, float], *, main_score: str, subset: str, languages: Sequence[str]
) -> dict[str, Any]:
    """An entry of a split's list.

    Args:
        scores: Of `mteb_scores`.
        main_score: Which of them the benchmark quotes.
        subset: mteb's name of the subset, `default` where a task has but one.
        languages: Normalised tags of queries and passages.

    Raises:
        UsageError: If `main_score` is none of the scores.
    """
    if main_score not in scores:
        raise UsageError(f"'{main_score}' is no score here", next_step=f"There are: {', '.join(scores)}.")
    codes = list(dict.fromkeys(mteb_language(tag) for tag in languages))
    return {**scores, "main_score": scores[main_score], "hf_subset": subset, "languages": codes}


def entries_of_runs(folder: Path, eval_set: EvalSet, *, main_score: str) -> list[dict[str, Any]]:
    """An entry for each run of a folder that is named as a pair of languages, such as `de-en.trec.gz`.

    Raises:
        FileError: If there is no such run.
        UsageError: If a name is no pair of the set.
    """
    tagged = with_languages(eval_set)
    entries = []
    for path in sorted(check_folder(folder).glob("*.trec*")):
        (pair,) = parse_pairs(path.name.partition(".trec")[0], tagged)[0].pairs
        mixed = pair.passage_language == MIXED
        whole = tagged.mixed_pool() if mixed else tagged.pair(pair.query_language, pair.passage_language)
        asked = {query.id for query in whole.queries if query.language == pair.query_language}
        qrels = {query: grades for query, grades in whole.qrels.items() if query in asked}
        run = read_run(path)
        # A cut-off beyond what was kept of a ranking would give a wrong number.
        deepest = max((len(ranked) for ranked in run.values()), default=0)
        cutoffs = [cutoff for cutoff in CUTOFFS if cutoff <= max(deepest, 1) or deepest >= len(whole.passages)]
        languages = (pair.query_language, *(whole.passage_languages if mixed else (pair.passage_language,)))
        scores = mteb_scores(qrels, run, cutoffs=cutoffs)
        entries.append(result_entry(scores, main_score=main_score, subset=str(pair), languages=languages))
    if not entries:
        raise FileError(f"{folder} has no runs", next_step="Give a folder that `isogloss evaluate` wrote.")
    return entries


def write_results(
    folder: str | os.PathLike[str],
    *,
    model: str,
    revision: str,
    task: str,
    scores: Mapping[str, Sequence[Mapping[str, Any]]],
    dataset_revision: str = "unknown",
    mteb_version: str = "2.0.0",
    evaluation_time: float | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Path:
    """Writes the result of one task, beside those of other tasks.

    Args:
        folder: The folder `results`, made where it is not there.
        model: `owner/model`.
        revision: Version of the model.
        task: mteb's name of the task.
        scores: Entries by split.
        dataset_revision: Version of the data.
        mteb_version: Version of mteb whose form this is.
        evaluation_time: Seconds, where known.
        meta: Content of `model_meta.json` beside name and revision.

    Returns:
        The file.

    Raises:
        FileError: If it cannot be written.
    """
    place = Path(folder) / model.replace("/", "__").replace(" ", "_") / revision
    content = {
        "dataset_revision": dataset_revision,
        "task_name": task,
        "mteb_version": mteb_version,
        "scores": {split: [dict(entry) for entry in entries] for split, entries in scores.items()},
        "evaluation_time": evaluation_time,
        "kg_co2_emissions": None,
    }
    write_json(place / f"{task}.json", content)
    described = place / "model_meta.json"
    known = read_json(described) if described.is_file() else {}
    write_json(described, {**known, **(meta or {}), "name": model, "revision": revision})
    return place / f"{task}.json"
