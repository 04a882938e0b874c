"""What a training run says when it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isogloss.training.best import Best
from isogloss.training.measuring import Measured
from isogloss.training.plan import Plan
from isogloss.training.rounding import Rounding
from isogloss.training.trial import Trial


@dataclass(frozen=True)
class TrainReport:
    """What a run did.

    Attributes:
        folder: Its folder.
        model: The trained model in it; None after a dry run.
        plan: What it was going to do.
        trial: What its first batch cost, tried before the first step; None after a dry run.
        measured: What the recipe's evaluations found, in the first process; None after a dry run.
        resumed_from: Step of the checkpoint it went on from, 0 for none.
        seconds: Time of all its parts.
        losses: Last mean of the loss and of each term.
        rows_seen: Rows by source and language.
        drift: Largest change of a trained weight.
        learning_rate_sum: Sum of the learning rates of all steps, about which no weight moves further under Adam.
        best: The checkpoint that became the model, where the recipe chooses one by a score.
        rounding: In which precision the model was saved, and what that changes; in the first process.
    """

    folder: Path
    model: Path | None
    plan: Plan
    resumed_from: int = 0
    seconds: float = 0.0
    losses: Mapping[str, float] = field(default_factory=dict)
    rows_seen: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    drift: float = 0.0
    learning_rate_sum: float = 0.0
    trial: Trial | None = None
    measured: Measured | None = None
    best: Best | None = None
    rounding: Rounding | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "folder": str(self.folder),
            "model": None if self.model is None else str(self.model),
            "plan": self.plan.lines(),
            "trial": None if self.trial is None else self.trial.to_json(),
            "scores": {} if self.measured is None else dict(self.measured.scores),
            "missed": [] if self.measured is None else self.measured.missed,
            "steps": self.plan.steps,
            "resumed_from": self.resumed_from,
            "seconds": round(self.seconds, 3),
            "losses": dict(self.losses),
            "rows_seen": {source: dict(rows) for source, rows in self.rows_seen.items()},
            "drift": self.drift,
            "learning_rate_sum": self.learning_rate_sum,
            "best": None if self.best is None else self.best.to_json(),
            "rounding": None if self.rounding is None else self.rounding.to_json(),
        }
