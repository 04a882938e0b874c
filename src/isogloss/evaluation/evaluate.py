"""Measures a system on a set, by query language and passage language."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import UsageError
from isogloss.evaluation.kept_scores import PER_QUERY, keep_scores
from isogloss.evaluation.measures import DEFAULT_MEASURES, PerQuery, depth_of, mean, parse_measures, score_run
from isogloss.evaluation.pairs import MIXED, Pair, PairGroup, default_pairs, parse_pairs, with_languages
from isogloss.evaluation.report import evaluation_markdown
from isogloss.evaluation.results import Cell, Estimate, Evaluation
from isogloss.evaluation.runs import RUNS, SCORES
from isogloss.evaluation.significance import bootstrap_intervals, bootstrap_means
from isogloss.evaluation.systems import DenseSystem, HybridFusion, HybridSystem, LexicalSystem, System
from isogloss.files import FolderKind, atomic_folder, refuse_occupied, write_json, write_run, write_text
from isogloss.progress import progress_bar
from isogloss.records import EvalSet, Run

REPORT = "matrix.md"
BASELINE = "bm25"
_FILES = (f"{RUNS}/*.trec.gz", f"{PER_QUERY}/*.json.gz", REPORT)
EVALUATION = FolderKind("an evaluation", SCORES, (*_FILES, *(f"{BASELINE}/{name}" for name in (SCORES, *_FILES))))


def evaluate(
    retriever: Any,
    eval_set: EvalSet,
    *,
    pairs: str | Sequence[str] | None = None,
    measures: str | Iterable[str] = DEFAULT_MEASURES,
    out: str | os.PathLike[str] | None = None,
    bank: Any = None,
    bm25: bool = False,
    hybrid: HybridFusion | None = None,
    name: str = "retriever",
    resamples: int = 1000,
    seed: int = 13,
    progress: bool = False,
    overwrite: bool = False,
) -> Evaluation:
    """Measures a retriever; every text is encoded once.

    Args:
        retriever: Gives unit vectors by `encode_query` and `encode_passage`.
        eval_set: Queries, passages and judgements with their languages.
        pairs: What to measure, see `parse_pairs`; None is `same,to-en,from-en` as far as the set has them.
        measures: Names of ir_measures or their aliases.
        out: Folder for runs, scores and the report, those of BM25 in its folder `bm25`; None writes nothing.
        bank: Passage vectors made by this retriever.
        bm25: Whether BM25 is measured on the same pairs, for comparison.
        hybrid: How the retriever is fused with BM25; it is measured alone where this is None.
        name: Name of the retriever in tables.
        resamples: Samples of the bootstrap.
        seed: Its seed.
        progress: Whether bars are shown.
        overwrite: Whether an existing folder `out` is replaced.

    Raises:
        UsageError: Pairs or measures that mean nothing here, or no retriever or no set is given.
        StaleBankError: The bank was made by another model.
        DataError: BM25 was asked for in a language that it cannot cut into terms.
        FileError: `out` exists already or cannot be written.
    """
    _check_retriever(retriever)
    eval_set = with_languages(eval_set)
    groups = parse_pairs(default_pairs(eval_set) if pairs is None else pairs, eval_set)
    scorer = Scorer(tuple(parse_measures(measures)), resamples=resamples, seed=seed)
    dense = DenseSystem(retriever, name=name, bank=bank, progress=progress)
    system: System = dense if hybrid is None else HybridSystem(dense, hybrid)
    with ExitStack() as stack:
        folder = None if out is None else stack.enter_context(atomic_folder(out, overwrite=overwrite, kind=EVALUATION))
        beside = None if folder is None else folder / BASELINE
        baseline = (
            measure_system(LexicalSystem(), eval_set, groups, scorer, folder=beside, progress=progress)
            if bm25
            else None
        )
        found = measure_system(system, eval_set, groups, scorer, folder=folder, progress=progress)
        evaluation = replace(found, baseline=baseline)
        if folder is not None:
            _write(folder, evaluation)
            if baseline is not None:
                _write(folder / BASELINE, baseline)
    return evaluation


def _check_retriever(retriever: Any) -> None:
    missing = [name for name in ("encode_query", "encode_passage") if not hasattr(retriever, name)]
    if missing:
        raise UsageError(
            f"retriever: {retriever!r:.60} is {type(retriever).__name__}, without {' and '.join(missing)}",
            next_step="Load it first: isogloss.Retriever.load('bundled'), or with the path of a model folder.",
        )


def _write(folder: Path, evaluation: Evaluation) -> None:
    write_json(folder / SCORES, evaluation.to_json())
    write_text(folder / REPORT, evaluation_markdown(evaluation))


def check_plan(
    eval_set: EvalSet,
    *,
    pairs: str | Sequence[str] | None,
    measures: str | Iterable[str],
    out: str | os.PathLike[str],
    overwrite: bool = False,
) -> None:
    """Raises what `evaluate` would raise because of its pairs, its measures or its folder; writes nothing."""
    tagged = with_languages(eval_set)
    parse_pairs(default_pairs(tagged) if pairs is None else pairs, tagged)
    parse_measures(measures)
    refuse_occupied(out, overwrite=overwrite, kind=EVALUATION)


@dataclass
class Scorer:
    """Turns the run of a pair into its cell."""

    measures: tuple[str, ...]
    resamples: int = 1000
    seed: int = 13
    _weights: dict[int, NDArray[np.float64]] = field(default_factory=dict, repr=False)

    def cell(self, pair: Pair, eval_set: EvalSet, run: Run | PerQuery, excluded: int) -> Cell:
        """The cell of a pair that has queries, from its run or from what was scored of it before."""
        found = run if isinstance(run, PerQuery) else score_run(eval_set.qrels, run, self.measures)
        return Cell(
            pair=pair,
            queries=len(eval_set.queries),
            passages=len(eval_set.passages),
            scores=self._estimates(found),
            unanswered=len(found.unanswered),
            excluded=excluded,
            per_query=found.values,
        )

    def _estimates(self, found: PerQuery) -> dict[str, Estimate]:
        values = np.array([list(found.values[measure].values()) for measure in self.measures]).T
        count = len(values)
        if count not in self._weights:
            self._weights[count] = bootstrap_means(count, resamples=self.resamples, seed=self.seed)
        low, high = bootstrap_intervals(values, self._weights[count]).tolist()
        means = [mean(found.values[measure].values()) for measure in self.measures]
        return {measure: Estimate(*ends) for measure, *ends in zip(self.measures, means, low, high, strict=True)}


def measure_system(
    system: System,
    eval_set: EvalSet,
    groups: Sequence[PairGroup],
    scorer: Scorer,
    *,
    folder: Path | None = None,
    progress: bool = False,
) -> Evaluation:
    """Measures any system on pairs of a set in which every text has a language; runs go to `folder`."""
    pairs = list(dict.fromkeys(pair for group in groups for pair in group.pairs))
    depth = depth_of(parse_measures(scorer.measures).values())
    system.prepare(*_needed(eval_set, [pair for pair in pairs if not system.refusal(pair)]))

    def run_of(pair: Pair, restricted: EvalSet) -> Run | PerQuery:
        run = system.search(restricted, depth)
        if folder is None:
            return run
        write_run(folder / RUNS / f"{pair}.trec.gz", run, tag=system.name.replace(" ", "-"))
        found = score_run(restricted.qrels, run, scorer.measures)
        keep_scores(folder, pair, folder / RUNS / f"{pair}.trec.gz", restricted, found)
        return found

    with progress_bar(f"{system.name}: searching {eval_set.name}", len(pairs), show=progress) as advance:
        cells = {}
        for cell in cells_of(pairs, eval_set, scorer, run_of, system.refusal):
            cells[str(cell.pair)] = cell
            advance(1)
    return Evaluation(
        system=system.name,
        data=eval_set.name,
        measures=scorer.measures,
        groups=tuple(groups),
        cells=cells,
        notes=notes_of(cells.values()),
    )


def cells_of(
    pairs: Iterable[Pair],
    eval_set: EvalSet,
    scorer: Scorer,
    run_of: Callable[[Pair, EvalSet], Run | PerQuery | None],
    refusal: Callable[[Pair], str] = lambda pair: "",
) -> Iterator[Cell]:
    """A cell per pair, blank with its reason where there is nothing to measure.

    Args:
        pairs: The pairs, each once.
        eval_set: A set in which every text has a language.
        scorer: Turns a run into a cell.
        run_of: Gives the run of a pair over its restricted set, or its scores by query, or None where there is none.
        refusal: Why a pair is not measured at all, empty where it is.
    """
    mixed: EvalSet | None = None
    for pair in pairs:
        reason = refusal(pair) or _absence(pair, eval_set)
        if reason:
            yield Cell(pair, 0, 0, {}, blank=reason)
            continue
        if pair.passage_language == MIXED:
            mixed = mixed or eval_set.mixed_pool()
            restricted = _queries_of(mixed, pair.query_language)
        else:
            restricted = eval_set.pair(pair.query_language, pair.passage_language)
        asked = sum(query.language == pair.query_language for query in eval_set.queries)
        excluded = asked - len(restricted.queries)
        if not restricted.queries:
            reason = f"none of the {asked} queries in {pair.query_language} has a relevant passage there"
            yield Cell(pair, 0, len(restricted.passages), {}, excluded=excluded, blank=reason)
            continue
        run = run_of(pair, restricted)
        if run is None:
            yield Cell(pair, 0, len(restricted.passages), {}, excluded=excluded, blank="there is no run for this pair")
        else:
            yield scorer.cell(pair, restricted, run, excluded)


def notes_of(cells: Iterable[Cell]) -> tuple[str, ...]:
    """What a reader must know: blank cells, queries left out, queries without results."""
    notes = []
    for cell in cells:
        if cell.blank:
            notes.append(f"{cell.pair} is blank: {cell.blank}.")
        elif cell.excluded:
            asked = cell.queries + cell.excluded
            notes.append(f"{cell.pair}: {cell.excluded} of {asked} queries have no relevant passage there: left out.")
        if cell.unanswered:
            notes.append(f"{cell.pair}: {cell.unanswered} of {cell.queries} queries have no results and count 0.")
    return tuple(notes)


def _absence(pair: Pair, eval_set: EvalSet) -> str:
    missing = []
    if pair.query_language not in eval_set.query_languages:
        missing.append(f"no queries in {pair.query_language}")
    if pair.passage_language != MIXED and pair.passage_language not in eval_set.passage_languages:
        missing.append(f"no passages in {pair.passage_language}")
    return f"the set has {' and '.join(missing)}" if missing else ""


def _queries_of(eval_set: EvalSet, language: str) -> EvalSet:
    queries = tuple(query for query in eval_set.queries if query.language == language)
    qrels = {query.id: eval_set.qrels[query.id] for query in queries}
    return replace(eval_set, queries=queries, qrels=qrels)


def _needed(eval_set: EvalSet, pairs: Sequence[Pair]) -> tuple[list[Any], list[Any]]:
    """Queries and passages that the pairs need, each once."""
    asked = {pair.query_language for pair in pairs}
    searched = {pair.passage_language for pair in pairs}
    queries = [text for text in eval_set.queries if text.language in asked]
    return queries, [text for text in eval_set.passages if MIXED in searched or text.language in searched]
