"""Compares two evaluations language by language, and says whether anything got worse."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from isogloss.errors import DataError, Fault, FileError, UsageError, raise_faults
from isogloss.evaluation.evaluate import Scorer, cells_of, notes_of
from isogloss.evaluation.kept_scores import kept_for_these, kept_scores
from isogloss.evaluation.measures import DEFAULT_MEASURES, PerQuery, mean, parse_measures
from isogloss.evaluation.pairs import Pair, PairGroup, default_pairs, parse_pairs, with_languages
from isogloss.evaluation.results import Cell, Evaluation
from isogloss.evaluation.runs import RUNS, SCORES
from isogloss.evaluation.significance import holm, randomisation_test
from isogloss.files import check_folder, read_json, read_run
from isogloss.records import EvalSet, Run

_RIGHT_SET = "Give the set that these were measured on."
Compared = Evaluation | Mapping[str, Run] | str | os.PathLike[str]


@dataclass(frozen=True)
class Difference:
    """One language pair in one group under one measure, after minus before.

    Attributes:
        group: Group of pairs over which p values are corrected.
        pair: Query language and passage language.
        measure: Name of the measure.
        before: Mean over the queries that both have.
        after: The same, after.
        difference: Mean difference per query.
        p: P value of the paired randomisation test.
        p_holm: The same, corrected over the pairs of the group.
        queries: Queries compared.
        blank: Why there is no value, empty where there is one.
        lost: Whether there was a value before and there is none, or none for some of its queries, after.
    """

    group: str
    pair: Pair
    measure: str
    before: float | None = None
    after: float | None = None
    difference: float | None = None
    p: float | None = None
    p_holm: float | None = None
    queries: int = 0
    blank: str = ""
    lost: bool = False

    @property
    def language(self) -> str:
        """The language that tells this pair from the others of its group."""
        return self.pair.passage_language if self.group.startswith("from-") else self.pair.query_language

    def mark(self, alpha: float) -> str:
        """`▲` better and `▼` worse where it is significant, else nothing."""
        if self.difference is None or self.p_holm is None or self.p_holm >= alpha:
            return ""
        return "▲" if self.difference > 0 else "▼"


@dataclass(frozen=True)
class Comparison:
    """Two systems on one set.

    Attributes:
        before: Name of the first system.
        after: Name of the second.
        data: Name of the evaluation set.
        differences: One per group, pair and measure.
        alpha: Level of significance, after correction.
        margin: A loss above it counts as worse even where it is not significant; None for no margin.
        notes: What a reader must know of the numbers.
    """

    before: str
    after: str
    data: str
    differences: tuple[Difference, ...]
    alpha: float
    margin: float | None
    notes: tuple[str, ...] = ()

    def worse(self) -> tuple[str, ...]:
        """Why the gate is missed, a reason per language pair and measure; empty where nothing got worse.

        Where no pair has a value on both sides nothing was shown to be as good, which is a reason too.
        """
        reasons = {}
        if all(found.difference is None for found in self.differences):
            reasons["nothing"] = "nothing was compared: no pair has a value on both sides"
        for found in self.differences:
            name = f"{found.pair} {found.measure}"
            if found.lost:
                reasons[name] = f"{name}: {found.blank or 'queries that had a value before have none now'}"
            elif found.mark(self.alpha) == "▼":
                reasons[name] = f"{name}: {found.difference:+.4f}, significant (Holm p = {found.p_holm:.4f})"
            elif self.margin is not None and found.difference is not None and found.difference < -self.margin:
                reasons[name] = f"{name}: {found.difference:+.4f}, more than the margin of {self.margin:g}"
        return tuple(reasons.values())

    def mean_difference(self, group: str, measure: str) -> tuple[float | None, int, int]:
        """Mean over the pairs of a group, how many pairs it is the mean of, and how many the group has."""
        rows = [found for found in self.differences if (found.group, found.measure) == (group, measure)]
        values = [found.difference for found in rows if found.difference is not None]
        return (mean(values) if values else None), len(values), len(rows)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; a blank difference has nulls and a reason."""
        return asdict(self) | {"worse": list(self.worse())}


def compare(
    before: Compared,
    after: Compared,
    eval_set: EvalSet | None = None,
    *,
    pairs: str | Sequence[str] | None = None,
    measures: str | Iterable[str] | None = None,
    alpha: float = 0.05,
    margin: float | None = None,
    resamples: int = 10_000,
    seed: int = 13,
) -> Comparison:
    """Compares two evaluations, query by query.

    Args:
        before: An evaluation, a folder that `evaluate` wrote, or runs by the name of their pair (`de-en`).
        after: The same.
        eval_set: The judgements; not needed between two evaluations in memory.
        pairs: What to compare; None takes the pairs of the evaluations.
        measures: Names of measures; None takes those of the evaluations.
        alpha: Level of significance, after Holm's correction over the pairs of a group.
        margin: A loss above it counts as worse even where it is not significant.
        resamples: Sign patterns of the randomisation test.
        seed: Its seed.

    Raises:
        UsageError: Options that do not fit, or a folder or runs without an `eval_set`.
        FileError: A folder or its files are missing.
        DataError: A file of a folder is not what `evaluate` writes.
    """
    _check(before, after, eval_set, alpha, margin, resamples)
    plan = _plan(before, after, eval_set, pairs, measures)
    faults: list[Fault] = []
    first, second = (_evaluated(source, plan, faults) for source in (before, after))
    refuse_other_sets("compare", [first, second], plan.eval_set)
    raise_faults(UsageError, "compare", faults, _RIGHT_SET)
    differences: list[Difference] = []
    for group in plan.groups:
        for measure in plan.measures:
            rows = [_difference(group.name, pair, measure, first, second) for pair in group.pairs]
            differences += _tested(rows, first, second, resamples, seed)
    notes = [f"{found.system} {note}" for found in (first, second) for note in found.notes]
    return Comparison(first.system, second.system, plan.data, tuple(differences), alpha, margin, tuple(notes))


def refuse_other_sets(subject: str, sides: Sequence[Evaluation], eval_set: EvalSet | None = None) -> None:
    """Raises where a system has results for no query of the set: its zeros would be taken for losses.

    Args:
        subject: What was asked for, for the message.
        sides: The systems, measured.
        eval_set: The set; needed only where sides were measured elsewhere.

    Raises:
        UsageError: With all such systems.
    """
    known = {query.id for query in eval_set.queries} if eval_set else None
    faults = []
    for side in sides:
        cells = [cell for cell in side.cells.values() if not cell.blank]
        strange = known is not None and not any(_queries(cell) & known for cell in cells)
        if cells and (strange or all(cell.unanswered == cell.queries for cell in cells)):
            name = eval_set.name if eval_set else side.data
            faults.append(Fault(side.system, f"has results for none of the queries of {name}"))
    raise_faults(UsageError, subject, faults, _RIGHT_SET)


def _queries(cell: Cell) -> set[str]:
    return {query_id for values in cell.per_query.values() for query_id in values}


@dataclass(frozen=True)
class _Plan:
    """What is compared."""

    data: str
    groups: tuple[PairGroup, ...]
    measures: tuple[str, ...]
    eval_set: EvalSet | None


def _plan(
    before: Compared,
    after: Compared,
    eval_set: EvalSet | None,
    pairs: str | Sequence[str] | None,
    measures: str | Iterable[str] | None,
) -> _Plan:
    """Pairs and measures as asked, or those of both sides, so that what one side lacks shows as blank."""
    described = [found for found in (_described(before), _described(after)) if found]
    tagged = with_languages(eval_set) if eval_set else None
    if measures is None:
        measures = list(dict.fromkeys(name for _, names in described for name in names)) or DEFAULT_MEASURES
    if pairs is not None and tagged:
        groups = parse_pairs(pairs, tagged)
    elif described:
        merged: dict[str, list[Pair]] = {}
        for found, _ in described:
            for group in found:
                merged.setdefault(group.name, []).extend(group.pairs)
        groups = tuple(PairGroup(name, tuple(dict.fromkeys(members))) for name, members in merged.items())
    elif tagged:
        groups = parse_pairs(default_pairs(tagged), tagged)
    else:
        groups = ()
    evaluations = [source for source in (before, after) if isinstance(source, Evaluation)]
    data = tagged.name if tagged else evaluations[0].data
    return _Plan(data, groups, tuple(parse_measures(measures)), tagged)


def _described(source: Compared) -> tuple[tuple[PairGroup, ...], tuple[str, ...]] | None:
    """Groups and measures that a side says of itself."""
    if isinstance(source, Evaluation):
        return source.groups, source.measures
    if isinstance(source, Mapping):
        return None
    with _scores(Path(source)) as scores:
        groups = tuple(
            PairGroup(group["name"], tuple(Pair(**pair) for pair in group["pairs"])) for group in scores["groups"]
        )
        return groups, tuple(scores["measures"])


def _evaluated(source: Compared, plan: _Plan, faults: list[Fault]) -> Evaluation:
    """A side measured by the plan, from its runs where there are judgements; that it is of another set is a fault."""
    if isinstance(source, Evaluation) and set(plan.measures) <= set(source.measures):
        return source
    if plan.eval_set is None or isinstance(source, Evaluation):
        raise UsageError(
            "These measures are not in both evaluations",
            next_step="Compare their folders, and give the evaluation set.",
        )
    if isinstance(source, Mapping):
        runs: Mapping[str, Run] | _RunFolder = source
        system, measured_on = "runs", plan.data
    else:
        folder = Path(source)
        with _scores(folder) as scores:
            system = f"{scores['system']} ({folder.name})"
            measured_on = str(scores["data"]) if "data" in scores else plan.data
        runs = _RunFolder(folder / RUNS, another_name=measured_on != plan.data)

    def run_of(pair: Pair, restricted: EvalSet) -> Run | PerQuery | None:
        if isinstance(runs, _RunFolder):
            return runs.scored(pair, restricted, plan.measures)
        return runs.get(str(pair))

    pairs = list(dict.fromkeys(pair for group in plan.groups for pair in group.pairs))
    scorer = Scorer(plan.measures, resamples=1)
    cells = {str(cell.pair): cell for cell in cells_of(pairs, plan.eval_set, scorer, run_of)}
    if isinstance(runs, _RunFolder) and runs.of_another_set:
        faults.append(Fault(system, f"was measured on {measured_on}, and this is {plan.data}"))
    return Evaluation(system, plan.data, plan.measures, plan.groups, cells, notes_of(cells.values()))


class _RunFolder:
    """Runs of an evaluation's folder, read when they are asked for and only where their scores were not kept.

    Args:
        folder: The runs.
        another_name: Whether the evaluation names another set than the one at hand.
    """

    def __init__(self, folder: Path, *, another_name: bool) -> None:
        self._folder = check_folder(folder)
        self._another_name = another_name
        self._fitting: set[bool | None] = set()

    @property
    def of_another_set(self) -> bool:
        """Whether the set has another name and no scores kept are of its judgements: a folder may be renamed."""
        return self._another_name and False in self._fitting and True not in self._fitting

    def scored(self, pair: Pair, restricted: EvalSet, measures: Sequence[str]) -> Run | PerQuery | None:
        """The scores of a pair or its run, None where no file has its name."""
        files = [self._folder / f"{pair}{ending}" for ending in (".trec.gz", ".trec")]
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            return None
        if self._another_name:
            self._fitting.add(kept_for_these(self._folder.parent, pair, file, restricted))
        return kept_scores(self._folder.parent, pair, file, restricted, measures) or read_run(file)


@contextmanager
def _scores(folder: Path) -> Iterator[Mapping[str, Any]]:
    """What `evaluate` wrote of a folder's evaluation; a file of another shape is one clear error."""
    file = check_folder(folder) / SCORES
    if not file.is_file():
        raise FileError(
            f"{folder} is no evaluation: it has no {SCORES}", next_step="Make one with `isogloss evaluate`."
        )
    try:
        yield read_json(file)
    except (KeyError, TypeError) as error:
        raise DataError(f"{file} is not what `isogloss evaluate` writes", next_step="Evaluate again.") from error


def _difference(group: str, pair: Pair, measure: str, before: Evaluation, after: Evaluation) -> Difference:
    sides = [(found.system, found.cells.get(str(pair))) for found in (before, after)]
    reasons = [
        f"{system}: {cell.blank if cell else 'not measured'}" for system, cell in sides if cell is None or cell.blank
    ]
    first, second = (None if cell is None or cell.blank else cell.per_query[measure] for _, cell in sides)
    lost = bool(first) and (second is None or not set(first or ()) <= set(second))
    common = sorted(set(first or ()) & set(second or ()))
    if first is None or second is None or not common:
        reason = "; ".join(reasons) or "the two have no query in common"
        return Difference(group, pair, measure, blank=reason, lost=lost)
    return Difference(
        group,
        pair,
        measure,
        before=mean(first[query_id] for query_id in common),
        after=mean(second[query_id] for query_id in common),
        difference=mean(second[query_id] - first[query_id] for query_id in common),
        queries=len(common),
        lost=lost,
    )


def _tested(
    rows: Sequence[Difference], before: Evaluation, after: Evaluation, resamples: int, seed: int
) -> list[Difference]:
    """The rows with their p values, corrected over those that have one."""
    p_values: dict[Pair, float] = {}
    for row in rows:
        if row.difference is not None:
            values = _paired(before.cells[str(row.pair)], after.cells[str(row.pair)], row.measure)
            p_values[row.pair] = float(randomisation_test(values[:, None], resamples=resamples, seed=seed)[0])
    corrected = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    return [replace(row, p=p_values.get(row.pair), p_holm=corrected.get(row.pair)) for row in rows]


def _paired(before: Cell, after: Cell, measure: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    first, second = before.per_query[measure], after.per_query[measure]
    return np.array([second[query_id] - first[query_id] for query_id in sorted(set(first) & set(second))])


def _check(
    before: Compared,
    after: Compared,
    eval_set: EvalSet | None,
    alpha: float,
    margin: float | None,
    resamples: int,
) -> None:
    faults = []
    if eval_set is None and not (isinstance(before, Evaluation) and isinstance(after, Evaluation)):
        faults.append(Fault("eval_set", "folders and runs need the judgements", "the set that they were measured on"))
    if not 0 < alpha < 1:
        faults.append(Fault("alpha", f"{alpha}", "above 0 and below 1"))
    if margin is not None and not margin >= 0:
        faults.append(Fault("margin", f"{margin}", "0 or more, or None"))
    if resamples < 1:
        faults.append(Fault("resamples", f"{resamples}", "at least 1"))
    if isinstance(before, Evaluation) and isinstance(after, Evaluation) and before.data != after.data:
        faults.append(Fault("after", f"measured on {after.data}, not on {before.data}", "the same set"))
    raise_faults(UsageError, "compare", faults)
