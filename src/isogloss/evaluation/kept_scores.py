"""Scores by query, kept beside the runs of an evaluation, so that comparing needs neither to read nor to score them.

    FOLDER/per-query/<pair>.json.gz    key, measures by query id, queries without results

The key is a hash over the run's file and the judgements of its pair: whoever changes either gets new scores.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from isogloss.errors import IsoglossError
from isogloss.evaluation.measures import PerQuery
from isogloss.evaluation.pairs import Pair
from isogloss.files import file_errors, read_json, write_json
from isogloss.records import EvalSet

PER_QUERY = "per-query"
_RULES = "1"  # raised when a measure is computed in another way


def keep_scores(folder: Path, pair: Pair, run_file: Path, restricted: EvalSet, found: PerQuery) -> None:
    """Writes the scores of a pair.

    Args:
        folder: Folder of the evaluation.
        pair: The pair.
        run_file: Its run, which is written already.
        restricted: The set of the pair.
        found: The scores.
    """
    content = {
        "key": _key(run_file, restricted),
        "values": {measure: dict(values) for measure, values in found.values.items()},
        "unanswered": list(found.unanswered),
    }
    write_json(_file(folder, pair), content)


def kept_scores(
    folder: Path, pair: Pair, run_file: Path, restricted: EvalSet, measures: Iterable[str]
) -> PerQuery | None:
    """The scores of a pair; None where they were not kept, are of another run or set, or lack a measure."""
    try:
        kept = read_json(_file(folder, pair))
        values = {str(measure): dict(kept["values"][measure]) for measure in measures}
        if kept["key"] != _key(run_file, restricted):
            return None
        return PerQuery(values, tuple(kept["unanswered"]), without_relevant=(), unjudged=())
    except (IsoglossError, KeyError, TypeError, ValueError):
        return None  # a damaged or missing file is scored anew


def kept_for_these(folder: Path, pair: Pair, run_file: Path, restricted: EvalSet) -> bool | None:
    """Whether the scores kept of a pair are of this run and these judgements; None where none can be read."""
    try:
        return bool(read_json(_file(folder, pair))["key"] == _key(run_file, restricted))
    except (IsoglossError, KeyError, TypeError):
        return None


def _file(folder: Path, pair: Pair) -> Path:
    return folder / PER_QUERY / f"{pair}.json.gz"


def _key(run_file: Path, restricted: EvalSet) -> str:
    with file_errors(run_file, "read"):
        digest = hashlib.sha256(run_file.read_bytes())
    judged = {query: dict(grades) for query, grades in restricted.qrels.items()}
    digest.update(json.dumps([_RULES, judged], sort_keys=True).encode())
    return digest.hexdigest()
