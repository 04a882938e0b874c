"""The common measures straight from trec_eval, all of a run in one pass.

ir_measures hands out one value at a time, which takes several times longer than computing it. Its plain measures are
asked of pytrec_eval here, under the names that ir_measures itself asks for, so that the values are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isogloss.records import Qrels, Run

_WITH_CUTOFF = {"AP": "map_cut", "P": "P", "R": "recall", "Success": "success", "nDCG": "ndcg_cut"}
_WITHOUT = {"AP": "map", "RR": "recip_rank", "Rprec": "Rprec", "nDCG": "ndcg"}


def trec_eval_name(measure: Any) -> str | None:
    """What trec_eval calls a measure of ir_measures, or None where the measure has options or another source."""
    cutoff = measure.params.get("cutoff")
    if set(measure.params) - {"cutoff"}:
        return None
    if cutoff is None or measure.NAME == "RR":
        return _WITHOUT.get(measure.NAME)
    return f"{_WITH_CUTOFF[measure.NAME]}_{cutoff}" if measure.NAME in _WITH_CUTOFF else None


def trec_eval_values(qrels: Qrels, run: Run, measures: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Values by measure and query, for the queries that have results.

    Args:
        qrels: Judgements of queries that have a relevant passage.
        run: Results that are not empty, for judged queries only; trec_eval orders ties itself.
        measures: Measures by name, each with a `trec_eval_name`.
    """
    import pytrec_eval

    names = {name: str(trec_eval_name(measure)) for name, measure in measures.items()}
    judged = {query_id: dict(qrels[query_id]) for query_id in run}
    scores = {query_id: {passage: float(score) for passage, score in found.items()} for query_id, found in run.items()}
    values = pytrec_eval.RelevanceEvaluator(judged, set(names.values())).evaluate(scores)
    found = {name: {query_id: row[key] for query_id, row in values.items()} for name, key in names.items()}
    for name, measure in measures.items():
        if measure.NAME == "RR" and "cutoff" in measure.params:
            found[name] = _cut(found[name], measure.params["cutoff"])
    return found


def _cut(reciprocals: Mapping[str, float], cutoff: int) -> dict[str, float]:
    """Reciprocal ranks of which those below the cut-off are 0; trec_eval has no cut-off for them."""
    least = 1 / (cutoff + 0.5)
    return {query_id: value if value > least else 0.0 for query_id, value in reciprocals.items()}
