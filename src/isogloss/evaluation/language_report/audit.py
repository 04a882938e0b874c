"""Everything that a language report says, as numbers: measured once, written in several forms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from isogloss.evaluation.compare import Comparison, compare, refuse_other_sets
from isogloss.evaluation.evaluate import Scorer, cells_of, notes_of
from isogloss.evaluation.language_report.failures import SHOWN_RESULTS, Failure, failures
from isogloss.evaluation.language_report.text_health import TextHealth, text_health
from isogloss.evaluation.measures import DEFAULT_MEASURES, mean, parse_measures
from isogloss.evaluation.mixed_pool import MixedPool, mixed_pool
from isogloss.evaluation.pairs import MIXED, Pair, PairGroup, parse_pairs, with_languages
from isogloss.evaluation.results import Evaluation
from isogloss.evaluation.runs import RunSource, SystemRuns, collect_runs
from isogloss.indexing.ranking import ranked_passages
from isogloss.progress import progress_bar
from isogloss.records import EvalSet, Run

SAME = "same"
CROSS = "cross"
JUDGED_DEPTH = 10


@dataclass
class Observed:
    """One system, measured: its cells, and what can be seen of its runs beside them.

    Attributes:
        evaluation: Cells and summaries.
        unjudged: Share of the first ten results without a judgement, by pair.
        mixed: Behaviour in the pool of all languages, by query language.
        best: First results by pair and query.
    """

    evaluation: Evaluation
    unjudged: dict[str, float] = field(default_factory=dict)
    mixed: dict[str, MixedPool] = field(default_factory=dict)
    best: dict[Pair, dict[str, tuple[str, ...]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Audit:
    """A system on a set, with or without a baseline beside it.

    Attributes:
        system: The system.
        baseline: What it is compared with.
        comparison: Differences by group, pair and measure, after minus before.
        texts: What the model's tokenizers lose, where a model was given.
        failures: By query language, what lost most; against the baseline where there is one.
        notes: What a reader must know of the numbers.
    """

    system: Observed
    baseline: Observed | None
    comparison: Comparison | None
    texts: tuple[TextHealth, ...]
    failures: Mapping[str, tuple[Failure, ...]]
    notes: tuple[str, ...]

    @property
    def evaluation(self) -> Evaluation:
        """The system's scores."""
        return self.system.evaluation

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; what is blank is null or has a reason."""
        comparison = self.comparison
        return {
            "evaluation": self.evaluation.to_json(),
            "baseline": self.baseline.evaluation.to_json() if self.baseline else None,
            "comparison": comparison.to_json() if comparison else None,
            "unjudged": self.system.unjudged,
            "mixed": [asdict(found) for found in self.system.mixed.values()],
            "baseline_mixed": [asdict(found) for found in self.baseline.mixed.values()] if self.baseline else None,
            "texts": [asdict(row) for row in self.texts],
            "failures": {
                language: [failure.to_json() for failure in found] for language, found in self.failures.items()
            },
            "notes": list(self.notes),
        }


def audit(
    runs: RunSource | Sequence[RunSource],
    eval_set: EvalSet,
    *,
    baseline: RunSource | Sequence[RunSource] | None = None,
    pairs: str | Sequence[str] | None = None,
    measures: str | Iterable[str] = DEFAULT_MEASURES,
    retriever: Any = None,
    name: str = "",
    baseline_name: str = "",
    alpha: float = 0.05,
    resamples: int = 1000,
    seed: int = 13,
    progress: bool = False,
) -> Audit:
    """Measures the runs of any system, language by language.

    Args:
        runs: The runs of one system, see `collect_runs`.
        eval_set: What they were made for.
        baseline: Runs of another system.
        pairs: What to measure, see `parse_pairs`; by default what there are runs for.
        measures: Names of ir_measures or their aliases; the first one leads.
        retriever: The model behind the runs, for counts of truncated texts and unknown tokens.
        name: Name of the system; taken from its runs where it is empty.
        baseline_name: The same, for the baseline.
        alpha: Level of significance, after Holm's correction over the pairs of a group.
        resamples: Samples of the bootstrap behind the intervals.
        seed: Seed of the bootstrap and of the tests.
        progress: Whether bars are shown.

    Raises:
        UsageError: Pairs or measures that mean nothing here, or a system has results for no query of the set.
        FileError: A path does not exist.
        DataError: A run is broken, or is not of this set.
    """
    eval_set = with_languages(eval_set)
    system = collect_runs(runs, eval_set, name=name)
    other = None if baseline is None else collect_runs(baseline, eval_set, name=baseline_name)
    found = {*system.readers, *(other.readers if other else ())}
    groups = groups_of(found, eval_set) if pairs is None else parse_pairs(pairs, eval_set)
    scorer = Scorer(tuple(parse_measures(measures)), resamples=resamples, seed=seed)
    after = _observed(system, groups, eval_set, scorer, progress)
    before = _observed(other, groups, eval_set, scorer, progress) if other else None
    refuse_other_sets("report", [side.evaluation for side in (after, before) if side])
    comparison = compare(before.evaluation, after.evaluation, alpha=alpha, seed=seed) if before else None
    return Audit(
        system=after,
        baseline=before,
        comparison=comparison,
        texts=text_health(retriever, eval_set) if retriever is not None else (),
        failures=failures(eval_set, after, before, scorer.measures[0]),
        notes=(*system.notes, *([f"{other.name}: {note}" for note in other.notes] if other else ())),
    )


def groups_of(pairs: Iterable[Pair], eval_set: EvalSet) -> tuple[PairGroup, ...]:
    """Pairs as the groups `same`, `cross` and `mixed`, as far as there are any.

    Of the first and the last a language without a run is a blank member, so that no mean leaves it out unseen.
    """
    found = set(pairs)
    queries, passages = eval_set.query_languages, eval_set.passage_languages
    same = [Pair(language, language) for language in queries if language in passages]
    cross = sorted(pair for pair in found if pair.passage_language not in (MIXED, pair.query_language))
    mixed = [Pair(language, MIXED) for language in queries]
    groups = (
        PairGroup(SAME, tuple(same if found & set(same) else ())),
        PairGroup(CROSS, tuple(cross)),
        PairGroup(MIXED, tuple(mixed if found & set(mixed) else ())),
    )
    return tuple(group for group in groups if group.pairs)


def _observed(
    system: SystemRuns, groups: Sequence[PairGroup], eval_set: EvalSet, scorer: Scorer, progress: bool
) -> Observed:
    """Measures a system; every run is read once and kept no longer than its pair is looked at."""
    pairs = list(dict.fromkeys(pair for group in groups for pair in group.pairs))
    found = Observed(Evaluation(system.name, eval_set.name, scorer.measures, tuple(groups), {}))

    def run_of(pair: Pair, restricted: EvalSet) -> Run | None:
        run = system.get(pair)
        if run is not None:
            _look(found, pair, restricted, run, scorer)
        return run

    cells = {}
    with progress_bar(f"{system.name}: measuring", len(pairs), show=progress) as advance:
        for cell in cells_of(pairs, eval_set, scorer, run_of):
            cells[str(cell.pair)] = cell
            advance(1)
    found.evaluation = Evaluation(
        system.name, eval_set.name, scorer.measures, tuple(groups), cells, notes_of(cells.values())
    )
    return found


def _look(found: Observed, pair: Pair, restricted: EvalSet, run: Run, scorer: Scorer) -> None:
    """Notes what is seen of a run while it is in memory."""
    shares = []
    best = {}
    for query in restricted.queries:
        results = ranked_passages(run.get(query.id, {}))[:JUDGED_DEPTH]
        best[query.id] = tuple(results[:SHOWN_RESULTS])
        if results:
            grades = restricted.qrels[query.id]
            shares.append(sum(name not in grades for name in results) / len(results))
    found.best[pair] = best
    if shares:
        found.unjudged[str(pair)] = mean(shares)
    if pair.passage_language == MIXED:
        found.mixed[pair.query_language] = mixed_pool(
            restricted, run, pair.query_language, resamples=scorer.resamples, seed=scorer.seed
        )
