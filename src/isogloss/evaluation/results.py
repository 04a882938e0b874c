"""What an evaluation found: a cell per language pair and a summary per group of pairs.

A cell without a value is blank and says why in words. A mean says how many of its cells had a value and names the
others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from isogloss.errors import Fault, UsageError, did_you_mean, raise_faults
from isogloss.evaluation.measures import mean
from isogloss.evaluation.pairs import Pair, PairGroup

WORST_SHOWN = 5


@dataclass(frozen=True)
class Estimate:
    """A mean over queries with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Cell:
    """One language pair.

    Attributes:
        pair: Query language and passage language.
        queries: Queries that count.
        passages: Passages searched.
        scores: Estimate by measure, empty in a blank cell.
        unanswered: Queries without results; they count 0.
        excluded: Queries left out, having no relevant passage among those searched.
        blank: Why there is no value, empty where there is one.
        per_query: Value by measure and query id.
    """

    pair: Pair
    queries: int
    passages: int
    scores: Mapping[str, Estimate]
    unanswered: int = 0
    excluded: int = 0
    blank: str = ""
    per_query: Mapping[str, Mapping[str, float]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Summary:
    """Means of one measure over one group of pairs; None where no cell of the group has a value.

    Attributes:
        group: Name of the group.
        measure: Name of the measure.
        macro: Mean over cells, each language pair counting once.
        micro: Mean over all queries of the cells.
        worst: The lowest cells, worst first, at most five.
        counted: Cells with a value.
        asked: Cells of the group.
        blank: Pairs without a value, which no mean contains.
    """

    group: str
    measure: str
    macro: float | None
    micro: float | None
    worst: tuple[tuple[str, float], ...]
    counted: int
    asked: int
    blank: tuple[str, ...]


@dataclass(frozen=True)
class Evaluation:
    """One system on one set.

    Attributes:
        system: Name of the system, for tables.
        data: Name of the evaluation set.
        measures: Measure names.
        groups: Groups of pairs in the order asked.
        cells: Cells by the name of their pair, such as `de-en`.
        notes: What a reader must know of the numbers.
        baseline: BM25 on the same pairs, where it was asked for.
    """

    system: str
    data: str
    measures: tuple[str, ...]
    groups: tuple[PairGroup, ...]
    cells: Mapping[str, Cell]
    notes: tuple[str, ...] = ()
    baseline: Evaluation | None = None

    def summary(self, group: str, measure: str) -> Summary:
        """Means of a measure over a group of pairs.

        Raises:
            UsageError: If the group or the measure was not measured.
        """
        groups = {found.name: found.pairs for found in self.groups}
        faults = [
            Fault(
                what, f"'{asked}' was not measured{did_you_mean(str(asked), known)}", f"there are: {', '.join(known)}"
            )
            for what, asked, known in (("group", group, list(groups)), ("measure", measure, list(self.measures)))
            if asked not in known
        ]
        raise_faults(UsageError, f"Summary of {self.system}", faults, "Ask for one of these, or evaluate with it.")
        pairs = groups[group]
        cells = [self.cells[str(pair)] for pair in pairs]
        valued = [cell for cell in cells if not cell.blank]
        values = sorted((cell.scores[measure].value, str(cell.pair)) for cell in valued)
        queries = [value for cell in valued for value in cell.per_query[measure].values()]
        return Summary(
            group=group,
            measure=measure,
            macro=mean(value for value, _ in values) if values else None,
            micro=mean(queries) if queries else None,
            worst=tuple((name, value) for value, name in values[:WORST_SHOWN]),
            counted=len(valued),
            asked=len(cells),
            blank=tuple(str(cell.pair) for cell in cells if cell.blank),
        )

    def summaries(self) -> tuple[Summary, ...]:
        """Means of every measure over every group."""
        return tuple(self.summary(group.name, measure) for group in self.groups for measure in self.measures)

    def flat(self) -> dict[str, float]:
        """Values under the names that a recipe's `expect` uses, blank ones left out.

        `xquad/same/nDCG@10/macro` (or `micro`, `worst`) is a summary, `xquad/de-en/nDCG@10` a cell.
        """
        values: dict[str, float] = {}
        for summary in self.summaries():
            start = f"{self.data}/{summary.group}/{summary.measure}"
            worst = summary.worst[0][1] if summary.worst else None
            named = {"macro": summary.macro, "micro": summary.micro, "worst": worst}
            values |= {f"{start}/{name}": value for name, value in named.items() if value is not None}
        for name, cell in self.cells.items():
            values |= {f"{self.data}/{name}/{measure}": score.value for measure, score in cell.scores.items()}
        return values

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, without those per query; a blank cell has no scores and a reason."""
        return {
            "system": self.system,
            "data": self.data,
            "measures": list(self.measures),
            "groups": [{"name": group.name, "pairs": [asdict(pair) for pair in group.pairs]} for group in self.groups],
            "summaries": [asdict(summary) for summary in self.summaries()],
            "cells": [_cell_to_json(cell) for cell in self.cells.values()],
            "notes": list(self.notes),
            "baseline": self.baseline.to_json() if self.baseline else None,
        }


def _cell_to_json(cell: Cell) -> dict[str, Any]:
    values = asdict(replace(cell, per_query={})) | {"blank": cell.blank or None}
    del values["per_query"]
    return values
