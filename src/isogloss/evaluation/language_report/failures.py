"""The queries of a language that lost most: against a baseline where there is one, else those that found least."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from isogloss.evaluation.pairs import Pair
from isogloss.records import EvalSet, Text

if TYPE_CHECKING:
    from isogloss.evaluation.language_report.audit import Observed

SHOWN_RESULTS = 5
SHOWN_FAILURES = 5


@dataclass(frozen=True)
class Shown:
    """A passage as it is shown: its text, and whether it is relevant to the query."""

    text: Text
    relevant: bool


@dataclass(frozen=True)
class Failure:
    """A query that lost.

    Attributes:
        pair: Where it was asked.
        query: The query.
        measure: The measure that it lost in.
        before: Its value under the baseline; None where there is no baseline.
        after: Its value under the system.
        answer: The best of its relevant passages; one in the query's language where there is one.
        results: The system's first results; ids that are not of the set are left out.
        former: The baseline's first results.
    """

    pair: Pair
    query: Text
    measure: str
    before: float | None
    after: float
    answer: Text
    results: tuple[Shown, ...]
    former: tuple[Shown, ...]

    @property
    def loss(self) -> float:
        """How much it lost against the baseline, or against the perfect value where there is none."""
        return (1.0 if self.before is None else self.before) - self.after

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, passages by their ids."""
        return {
            "pair": asdict(self.pair),
            "query": self.query.id,
            "text": self.query.text,
            "measure": self.measure,
            "before": self.before,
            "after": self.after,
            "answer": self.answer.id,
            "results": [shown.text.id for shown in self.results],
            "former": [shown.text.id for shown in self.former],
        }


def failures(
    eval_set: EvalSet, system: Observed, baseline: Observed | None, measure: str
) -> dict[str, tuple[Failure, ...]]:
    """By query language the queries that lost most, each once, in the pair where it lost most.

    Args:
        eval_set: A set in which every text has a language.
        system: The system.
        baseline: What it is compared with.
        measure: The measure that counts.
    """
    worst: dict[str, dict[str, tuple[float, Pair]]] = {}
    for name, cell in system.evaluation.cells.items():
        former = baseline.evaluation.cells.get(name) if baseline else None
        if cell.blank or (baseline and (former is None or former.blank)):
            continue
        values, formers = cell.per_query[measure], former.per_query[measure] if former else {}
        of_language = worst.setdefault(cell.pair.query_language, {})
        for query_id, value in values.items():
            loss = formers.get(query_id, 1.0) - value
            if loss > 0 and loss > of_language.get(query_id, (0.0, cell.pair))[0]:
                of_language[query_id] = (loss, cell.pair)
    browser = _Browser(eval_set, system, baseline, measure)
    return {
        language: tuple(
            browser.failure(query_id, pair)
            for query_id, (_, pair) in sorted(found.items(), key=lambda entry: (-entry[1][0], entry[0]))[
                :SHOWN_FAILURES
            ]
        )
        for language, found in sorted(worst.items())
        if found
    }


class _Browser:
    """Looks up texts, and which of them are relevant to a query in a pair."""

    def __init__(self, eval_set: EvalSet, system: Observed, baseline: Observed | None, measure: str) -> None:
        self._system = system
        self._baseline = baseline
        self._measure = measure
        self._qrels = eval_set.mixed_pool().qrels
        self._queries = {text.id: text for text in eval_set.queries}
        self._passages = {text.id: text for text in eval_set.passages}

    def failure(self, query_id: str, pair: Pair) -> Failure:
        grades = self._qrels[query_id]
        former = self._baseline.evaluation.cells[str(pair)] if self._baseline else None
        return Failure(
            pair=pair,
            query=self._queries[query_id],
            measure=self._measure,
            before=former.per_query[self._measure].get(query_id) if former else None,
            after=self._system.evaluation.cells[str(pair)].per_query[self._measure][query_id],
            answer=self._answer(query_id, pair),
            results=self._shown(self._system.best[pair][query_id], grades),
            former=self._shown(self._baseline.best[pair].get(query_id, ()) if self._baseline else (), grades),
        )

    def _answer(self, query_id: str, pair: Pair) -> Text:
        languages = (pair.passage_language, pair.query_language)
        best = sorted((-grade, name) for name, grade in self._qrels[query_id].items() if grade > 0)
        texts = [self._passages[name] for _, name in best]
        return min(texts, key=lambda text: (text.language not in languages, -self._qrels[query_id][text.id]))

    def _shown(self, names: tuple[str, ...], grades: Any) -> tuple[Shown, ...]:
        known = [name for name in names if name in self._passages]
        return tuple(Shown(self._passages[name], grades.get(name, 0) > 0) for name in known)
