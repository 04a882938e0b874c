"""Measures by their ir_measures names, with trec_eval's order of ties whoever computes them."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isogloss.errors import Fault, UsageError, did_you_mean, raise_faults
from isogloss.evaluation.trec_eval import trec_eval_name, trec_eval_values
from isogloss.indexing.ranking import ranked_passages
from isogloss.records import Qrels, Run

DEFAULT_MEASURES = ("nDCG@10", "R@100", "RR@10")
_WITH_CUTOFF = re.compile(r"^(?P<name>[a-z]+(?:_[a-z]+)*?)(?:_cut|_at)?[@_](?P<cutoff>\d+)$")
_ALIASES = {
    "accuracy": "Success",
    "hit": "Success",
    "hits": "Success",
    "hit_rate": "Success",
    "judged": "Judged",
    "map": "AP",
    "ap": "AP",
    "mrr": "RR",
    "ndcg": "nDCG",
    "p": "P",
    "precision": "P",
    "r": "R",
    "recall": "R",
    "recip_rank": "RR",
    "rr": "RR",
    "success": "Success",
}
_KNOWN = ("nDCG@10", "R@100", "RR@10", "AP", "P@10", "Success@5", "Judged@10")


@dataclass(frozen=True)
class PerQuery:
    """Values of one run by measure and query.

    Attributes:
        values: Measure name to query id to value, for every query that has a relevant passage.
        unanswered: Queries without results in the run; they count 0.
        without_relevant: Judged queries without a relevant passage; they have no value.
        unjudged: Queries of the run that are not judged; they have no value.
    """

    values: Mapping[str, Mapping[str, float]]
    unanswered: tuple[str, ...]
    without_relevant: tuple[str, ...]
    unjudged: tuple[str, ...]


def measure_name(name: str) -> str:
    """The ir_measures spelling of a measure given in any common one.

    Examples:
        >>> measure_name("ndcg_cut_10"), measure_name("mrr@10"), measure_name("recall_at_100")
        ('nDCG@10', 'RR@10', 'R@100')
    """
    plain = name.strip().lower()
    if plain in _ALIASES:
        return _ALIASES[plain]
    match = _WITH_CUTOFF.match(plain)
    if match and match["name"] in _ALIASES:
        return f"{_ALIASES[match['name']]}@{match['cutoff']}"
    return name.strip()


def parse_measures(names: str | Iterable[str]) -> dict[str, Any]:
    """Measures by their public names, in the order given.

    Args:
        names: Names or aliases, as a list or joined by commas.

    Raises:
        UsageError: Names that are no measure, or measures that cannot be computed here; all of them at once.
    """
    import ir_measures

    listed = names.split(",") if isinstance(names, str) else list(names)
    found: dict[str, Any] = {}
    pipeline: Any = ir_measures.DefaultPipeline
    faults = [] if listed else [Fault("measures", "none given", f"for example {', '.join(DEFAULT_MEASURES)}")]
    for name in listed:
        try:
            measure: Any = ir_measures.parse_measure(measure_name(name))
            measure.validate_params()
        except (NameError, ValueError, TypeError, KeyError):
            faults.append(Fault("measures", f"'{name}' is no measure{did_you_mean(measure_name(name), _KNOWN)}"))
            continue
        if not pipeline.supports(measure):
            faults.append(Fault("measures", f"'{name}' cannot be computed", "a measure that pytrec_eval has"))
        found[str(measure)] = measure
    raise_faults(UsageError, "Measures", faults, f"Known are, with any cut-off: {', '.join(_KNOWN)}.")
    return found


def score_run(qrels: Qrels, run: Run, measures: str | Iterable[str] = DEFAULT_MEASURES) -> PerQuery:
    """Values of a run for every query that has a relevant passage, in trec_eval's order of ties.

    A query without results counts 0 and is stated.
    """
    parsed = parse_measures(measures)
    answerable = {query_id: grades for query_id, grades in qrels.items() if any(grade > 0 for grade in grades.values())}
    answered = {query_id: run[query_id] for query_id in answerable if run.get(query_id)}
    values = {name: dict.fromkeys(sorted(answerable), 0.0) for name in parsed}
    plain = {name: measure for name, measure in parsed.items() if trec_eval_name(measure)}
    others = {name: measure for name, measure in parsed.items() if name not in plain}
    found = trec_eval_values(answerable, answered, plain) if plain and answered else {}
    if others:
        found |= _ir_measures_values(answerable, answered, others)
    for name, by_query in found.items():
        values[name] |= by_query
    return PerQuery(
        values=values,
        unanswered=tuple(sorted(set(answerable) - set(answered))),
        without_relevant=tuple(sorted(set(qrels) - set(answerable))),
        unjudged=tuple(sorted(set(run) - set(qrels))),
    )


def _ir_measures_values(qrels: Qrels, run: Run, measures: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Values by whatever program ir_measures has for each measure.

    Each query's results are put in trec_eval's order first and get their ranks as scores, because these programs break
    ties in different ways.
    """
    import ir_measures

    judged = {query_id: dict(grades) for query_id, grades in qrels.items()}
    ranked = {query_id: ranked_passages(scores) for query_id, scores in run.items()}
    names = {id(measure): name for name, measure in measures.items()}  # the hash of a measure is slow
    values: dict[str, dict[str, float]] = {name: {} for name in measures}
    for cutoff, group in _by_cutoff(measures).items():
        results = {query_id: _strict_scores(passages[:cutoff]) for query_id, passages in ranked.items()}
        for metric in ir_measures.evaluator(list(group.values()), judged).iter_calc(results):
            values[names[id(metric.measure)]][metric.query_id] = float(metric.value)
    return values


def _strict_scores(ranked: Sequence[str]) -> dict[str, float]:
    """Scores without ties that put passages in this order."""
    return dict(zip(ranked, map(float, range(len(ranked), 0, -1)), strict=True))


def _by_cutoff(measures: Mapping[str, Any]) -> dict[int | None, dict[str, Any]]:
    """Measures by the depth they look at, so that a shallow one is not handed a deep run."""
    groups: dict[int | None, dict[str, Any]] = defaultdict(dict)
    for name, measure in measures.items():
        groups[measure.params.get("cutoff")][name] = measure
    return groups


def mean(values: Iterable[float]) -> float:
    """Arithmetic mean whose bits do not depend on the order of the values."""
    listed = list(values)
    return math.fsum(listed) / len(listed)


def depth_of(measures: Iterable[Any], least: int = 100) -> int:
    """How many results per query the measures look at; a measure without a cut-off looks at 1000."""
    cutoffs = [measure.params.get("cutoff") for measure in measures]
    return max([least, *(cutoff if isinstance(cutoff, int) else 1000 for cutoff in cutoffs)])
