"""A trained model is saved with a rounded table where that changes no language by more than is allowed, and else whole.

The sets are those that the recipe evaluates on. Without any, the model is rounded as the recipe says, unproved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isogloss.evaluation.parity import ParityLimits, ParityReport, compare_retrievers
from isogloss.models.retriever import Precision, Retriever
from isogloss.records import EvalSet

# Those of `isogloss export --int8`: a byte moves a number by up to 1/127 of the largest of its row.
LIMITS = ParityLimits(least_cosine=0.999, largest_change=0.002)


@dataclass(frozen=True)
class Rounding:
    """How a model was saved.

    Attributes:
        asked: The precision that the recipe names.
        saved: The one it was saved in.
        reports: How the rounded model differs from the whole one, on each set.
    """

    asked: Precision
    saved: Precision
    reports: Sequence[ParityReport] = ()

    def __str__(self) -> str:
        if self.asked == "as_is":
            return "saved as it was trained"
        if not self.reports:
            return f"saved in {self.saved}; the recipe evaluates on no set, so what that changes was not looked at"
        sets = ", ".join(report.data for report in self.reports)
        if self.saved == self.asked:
            largest = max(abs(row.change) for report in self.reports for row in report.languages)
            return f"saved in {self.saved}, which changes no language of {sets} by more than {largest:.4f} (nDCG@10)"
        faults = [f"{fault.where} {fault.message}" for report in self.reports for fault in report.faults]
        return f"not saved in {self.asked}, but as it was trained: on {sets}, {'; '.join(faults)}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"asked": self.asked, "saved": self.saved, "parity": [report.to_json() for report in self.reports]}


def save_rounded(model: Retriever, place: Path, precision: Precision, sets: Sequence[EvalSet]) -> Rounding:
    """Saves a model, in place of what is there; whole where its rounded copy differs by more than `LIMITS`.

    Args:
        model: In full precision.
        place: Where the folder shall be.
        precision: What the recipe asks for.
        sets: What the rounded model is compared on.
    """
    model.save(place, overwrite=True, precision=precision)
    if precision == "as_is":
        return Rounding(precision, precision)
    copy = Retriever.load(place)
    reports = [compare_retrievers(model, copy, eval_set, limits=LIMITS) for eval_set in sets]
    if not any(report.faults for report in reports):
        return Rounding(precision, precision, reports)
    model.save(place, overwrite=True)
    return Rounding(precision, "as_is", reports)
