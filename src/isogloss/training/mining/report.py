"""What mining did, per language of the query."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isogloss.training.mining.cost import Estimate
from isogloss.training.mining.selection import Selection

UNKNOWN_LANGUAGE = "unknown"


@dataclass
class Tally:
    """Counts of some rows.

    Attributes:
        rows: Rows mined.
        negatives: Negatives found.
        short: Rows with fewer negatives than were wanted.
        excluded: Candidates that were left out, by rule: near duplicates of those drawn, the rest of whole windows.
    """

    rows: int = 0
    negatives: int = 0
    short: int = 0
    excluded: Counter[str] = field(default_factory=Counter)

    def add(self, selection: Selection, wanted: int) -> None:
        """Counts the selection of one more row."""
        self.rows += 1
        self.negatives += len(selection.negatives)
        self.short += len(selection.negatives) < wanted
        self.excluded.update(selection.excluded)

    def join(self, other: Tally) -> None:
        """Adds the counts of other rows."""
        self.rows += other.rows
        self.negatives += other.negatives
        self.short += other.short
        self.excluded.update(other.excluded)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        excluded = dict(sorted(self.excluded.items()))
        return {"rows": self.rows, "negatives": self.negatives, "short": self.short, "excluded": excluded}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Tally:
        """The tally that `to_json` wrote."""
        return cls(value["rows"], value["negatives"], value["short"], Counter(value["excluded"]))


Tallies = dict[str, dict[str, Tally]]
"""Kind of negatives (`passages` or `queries`) to language of the query to counts."""


def joined(parts: list[Tallies]) -> Tallies:
    """The counts of several parts together."""
    found: Tallies = {}
    for part in parts:
        for kind, languages in part.items():
            for language, tally in languages.items():
                found.setdefault(kind, {}).setdefault(language, Tally()).join(tally)
    return found


@dataclass(frozen=True)
class MiningReport:
    """What a mining did.

    Attributes:
        path: The file of rows; None where nothing was written.
        estimate: What was expected of it.
        tallies: Counts by kind of negatives and language.
        written: Rows that were written.
        unpaired: Questions without a translation, which CLEAR's rows leave out.
        seconds: Time of this call.
    """

    path: Path | None
    estimate: Estimate
    tallies: Tallies = field(default_factory=dict)
    written: int = 0
    unpaired: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "rows_file": None if self.path is None else str(self.path),
            "rows": self.estimate.rows,
            "written": self.written,
            "passages": self.estimate.passages,
            "unpaired": self.unpaired,
            "estimated_seconds": round(self.estimate.seconds, 3),
            "estimated_memory": self.estimate.memory,
            "estimated_disk": self.estimate.disk,
            "seconds": round(self.seconds, 3),
            "languages": {
                kind: {language: tally.to_json() for language, tally in sorted(languages.items())}
                for kind, languages in self.tallies.items()
            },
        }
