"""What a run counts while it goes: values of its terms since the last log line, rows seen by language, seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from isogloss.training.objective import Evaluated
from isogloss.training.step import Batch

# Share of the first spread below which the vectors of a tower are said to have collapsed (ours).
COLLAPSED = 0.1


class RunProgress:
    """Counts that a checkpoint keeps, so that a resumed run logs what the unbroken one logs.

    Args:
        state: What `state` gave, of the run that is resumed.
    """

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        state = state or {}
        self._sums: dict[str, float] = dict(state.get("sums", {}))
        self._steps = int(state.get("steps", 0))
        self._pending: list[tuple[Tensor, Mapping[str, Tensor]]] = []
        self._rows: dict[str, dict[int, int]] = {
            source: {int(group): count for group, count in groups.items()}
            for source, groups in state.get("rows", {}).items()
        }
        self.first_spread: dict[str, float] = dict(state.get("first_spread", {}))
        self.learning_rate_sum = float(state.get("learning_rate_sum", 0.0))
        self.seconds = float(state.get("seconds", 0.0))
        self.last: dict[str, float] = dict(state.get("last", {}))

    def add(self, evaluated: Evaluated, batch: Batch, *, learning_rate: float) -> None:
        """Counts one step; values stay on their device until somebody asks."""
        self.learning_rate_sum += learning_rate
        self._pending.append((evaluated.loss, evaluated.terms))
        for source, drawn in batch.drawn.items():
            groups = self._rows.setdefault(source, {})
            counts = np.bincount(drawn.groups)
            for group in np.flatnonzero(counts).tolist():
                groups[group] = groups.get(group, 0) + int(counts[group])

    def add_seconds(self, seconds: float) -> None:
        """Counts time."""
        self.seconds += seconds

    def has_collapsed(self, tower: str, spread: float) -> bool:
        """Whether the vectors of a tower lie much closer together than when their spread was first measured."""
        return spread < COLLAPSED * self.first_spread.setdefault(tower, spread)

    def window(self) -> dict[str, float]:
        """Means since the last call: the loss and each term, unweighted."""
        self._settle()
        means = {name: value / self._steps for name, value in self._sums.items()} if self._steps else {}
        self._sums, self._steps = {}, 0
        self.last = dict(means) or self.last
        return means

    def rows_seen(self, names: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, int]]:
        """Rows by source and language."""
        return {
            source: {names[source][group]: count for group, count in sorted(groups.items())}
            for source, groups in self._rows.items()
        }

    def state(self) -> dict[str, Any]:
        """All counts, for a checkpoint."""
        self._settle()
        rows = {source: {str(group): count for group, count in groups.items()} for source, groups in self._rows.items()}
        return {
            "sums": self._sums,
            "steps": self._steps,
            "rows": rows,
            "learning_rate_sum": self.learning_rate_sum,
            "seconds": self.seconds,
            "last": self.last,
            "first_spread": self.first_spread,
        }

    def _settle(self) -> None:
        for loss, terms in self._pending:
            self._sums["loss"] = self._sums.get("loss", 0.0) + float(loss)
            for name, value in terms.items():
                self._sums[f"term/{name}"] = self._sums.get(f"term/{name}", 0.0) + float(value)
            self._steps += 1
        self._pending.clear()
