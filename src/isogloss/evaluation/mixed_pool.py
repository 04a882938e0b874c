"""What a system does when passages of all languages stand in one pool.

Only sets with translations tell whether a system prefers a language: there a passage and its translation answer a
query equally well, so that any difference of their ranks is the language's doing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isogloss.evaluation.fairness import FAIRNESS_CUTOFF, attention_by_language, awrf, median, peer, shares
from isogloss.evaluation.measures import mean, score_run
from isogloss.evaluation.results import Estimate
from isogloss.evaluation.significance import bootstrap_intervals, bootstrap_means
from isogloss.indexing.ranking import ranked_passages
from isogloss.records import EvalSet, Run, Text

MIXED_MEASURE = "nDCG@10"
_DEPTH = 10


@dataclass(frozen=True)
class MixedPool:
    """How the queries of one language fare in the pool of all languages.

    Attributes:
        query_language: Language of the queries.
        queries: Queries that count.
        preference: How often a relevant passage in the query's language outranks an equally relevant translation of it;
            1/2 is no preference. None where no query has both.
        compared: Pairs of a passage and its translation of which at least one was found.
        unseen: Pairs of which neither was found; they say nothing.
        rank_gap: By passage language, the median of a translation's rank minus that of the passage in the query's
            language; a passage that was not found counts as standing right below the last result.
        ndcg: By passage language, nDCG@10 of the mixed ranking if only passages in that language were relevant.
        attention: Share of a reader's attention over the first 20 results, by passage language.
        awrf: Attention-weighted rank fairness over the first 20 results; fair is the mix of the relevant passages.
        peer: Probability of equal expected rank over the first 20 results; None where no language has two passages of
            one grade, which leaves the measure nothing to tell.
    """

    query_language: str
    queries: int
    preference: Estimate | None
    compared: int
    unseen: int
    rank_gap: Mapping[str, float]
    ndcg: Mapping[str, Estimate]
    attention: Mapping[str, float]
    awrf: Estimate | None
    peer: Estimate | None


def mixed_pool(eval_set: EvalSet, run: Run, query_language: str, *, resamples: int = 1000, seed: int = 13) -> MixedPool:
    """Measures the run of one query language.

    Args:
        eval_set: From `EvalSet.mixed_pool`, with the queries of that language.
        run: Results over passages of all languages.
        query_language: The language.
        resamples: Samples of the bootstrap.
        seed: Its seed.
    """
    passages = {text.id: text for text in eval_set.passages}
    rankings = {query.id: ranked_passages(run.get(query.id, {})) for query in eval_set.queries}
    outranks: dict[str, float] = {}
    gaps: dict[str, list[float]] = defaultdict(list)
    compared = unseen = 0
    for query_id, ranking in rankings.items():
        ranks = {passage_id: rank for rank, passage_id in enumerate(ranking, start=1)}
        wins = []
        for own, translation in _equally_relevant(eval_set.qrels[query_id], passages, query_language):
            first, second = (ranks.get(text.id, len(ranking) + 1) for text in (own, translation))
            if first == second:
                unseen += 1
                continue
            wins.append(float(first < second))
            gaps[str(translation.language)].append(second - first)
        compared += len(wins)
        if wins:
            outranks[query_id] = mean(wins)
    fairness = _fairness(eval_set, rankings, passages)
    return MixedPool(
        query_language=query_language,
        queries=len(eval_set.queries),
        preference=estimate(outranks, resamples, seed),
        compared=compared,
        unseen=unseen,
        rank_gap={language: median(found) for language, found in sorted(gaps.items())},
        ndcg=_by_passage_language(eval_set, rankings, passages, resamples, seed),
        attention=fairness.attention,
        awrf=estimate(fairness.awrf, resamples, seed),
        peer=estimate(fairness.peer, resamples, seed),
    )


def estimate(values: Mapping[str, float], resamples: int, seed: int) -> Estimate | None:
    """Mean over queries with its interval; None where there are none."""
    if not values:
        return None
    column = np.array([[values[query_id]] for query_id in sorted(values)])
    low, high = bootstrap_intervals(column, bootstrap_means(len(column), resamples=resamples, seed=seed))[:, 0].tolist()
    return Estimate(mean(values.values()), low, high)


def _equally_relevant(
    grades: Mapping[str, int], passages: Mapping[str, Text], language: str
) -> Iterator[tuple[Text, Text]]:
    """Relevant passages in a language, each with every translation of the same grade."""
    families: dict[tuple[str, int], list[Text]] = defaultdict(list)
    for passage_id, grade in grades.items():
        text = passages[passage_id]
        if grade > 0 and text.parallel_id is not None:
            families[text.parallel_id, grade].append(text)
    for family in families.values():
        for own in family:
            if own.language == language:
                yield from ((own, other) for other in family if other.language != language)


@dataclass(frozen=True)
class _Fairness:
    """Values by query, and attention over all queries."""

    attention: Mapping[str, float]
    awrf: Mapping[str, float]
    peer: Mapping[str, float]


def _fairness(eval_set: EvalSet, rankings: Mapping[str, Sequence[str]], passages: Mapping[str, Text]) -> _Fairness:
    attention: dict[str, float] = defaultdict(float)
    spread: dict[str, float] = {}
    equal: dict[str, float] = {}
    for query_id, ranking in rankings.items():
        grades = eval_set.qrels[query_id]
        shown = ranking[:FAIRNESS_CUTOFF]
        known = attention_by_language([str(passages[name].language) for name in shown if name in passages])
        for language, share in known.items():
            attention[language] += share
        relevant = Counter(str(passages[name].language) for name, grade in grades.items() if grade > 0)
        if known:
            spread[query_id] = awrf(known, shares(relevant))
        ranks = {name: rank for rank, name in enumerate(shown, start=1)}
        by_grade: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for name, grade in grades.items():
            if grade > 0:
                by_grade[grade][str(passages[name].language)].append(ranks.get(name, len(shown) + 1))
        value = peer(by_grade)
        if value is not None:
            equal[query_id] = value
    total = sum(attention.values()) or 1.0
    return _Fairness({language: share / total for language, share in sorted(attention.items())}, spread, equal)


def _by_passage_language(
    eval_set: EvalSet,
    rankings: Mapping[str, Sequence[str]],
    passages: Mapping[str, Text],
    resamples: int,
    seed: int,
) -> dict[str, Estimate]:
    """nDCG@10 of the mixed ranking by the language of the passages that count as relevant."""
    # The measure looks at ten results: handing over no more of them saves most of the time.
    best = {
        query_id: {name: float(_DEPTH - rank) for rank, name in enumerate(ranking[:_DEPTH])}
        for query_id, ranking in rankings.items()
    }
    found: dict[str, Estimate] = {}
    for language in eval_set.passage_languages:
        qrels = {
            query_id: {name: grade for name, grade in grades.items() if passages[name].language == language}
            for query_id, grades in eval_set.qrels.items()
        }
        value = estimate(score_run(qrels, best, MIXED_MEASURE).values[MIXED_MEASURE], resamples, seed)
        if value is not None:
            found[language] = value
    return found
