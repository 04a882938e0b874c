"""What a run is going to do, stated before its first step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from isogloss.recipe import Recipe
from isogloss.training.objective import Objective
from isogloss.training.sources import Source

_LOW_RATE = 1e-6


@dataclass(frozen=True)
class Plan:
    """The plan of a run.

    Attributes:
        steps: Optimiser steps.
        rows: Rows of each source by language.
        negatives: Negatives that each row of a term meets.
        trained: Parameters that are trained.
        frozen: Parameters that are not.
        notes: Anything else that one should know.
    """

    steps: int
    rows: Mapping[str, Mapping[str, int]]
    negatives: Mapping[str, int]
    trained: int
    frozen: int
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The plan in words."""
        lines = [f"{self.steps} steps; {self.trained:,} weights are trained, {self.frozen:,} are frozen"]
        for source, languages in self.rows.items():
            largest = sorted(languages.items(), key=lambda item: -item[1])[:8]
            listed = ", ".join(f"{language} {count:,}" for language, count in largest)
            more = f", {len(languages) - 8} more" if len(languages) > 8 else ""
            lines.append(f"{source}: {sum(languages.values()):,} rows ({listed}{more})")
        for term, count in self.negatives.items():
            lines.append(f"{term}: each row meets {count:,} negatives, before masks")
        return [*lines, *self.notes]


def make_plan(
    recipe: Recipe,
    steps: int,
    sources: Mapping[str, Source],
    objective: Objective,
    towers: nn.Module,
    *,
    notes: Iterable[str] = (),
) -> Plan:
    """The plan of a run over these sources and towers."""
    parameters = list(towers.parameters())
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    negatives: dict[str, int] = {}
    for bound in objective.terms:
        count = getattr(bound.term, "negatives", None)
        if count is not None:
            rows = sum(sources[name].batch for name in bound.sources)
            given = max(_given(sources[name]) for name in bound.sources)
            negatives[bound.name] = int(count(rows, given))
    noted = list(notes)
    rate = recipe.train.learning_rate
    if rate < _LOW_RATE:
        still = sum(_standing_still(parameter.detach(), rate) for parameter in trained)
        total = max(sum(parameter.numel() for parameter in trained), 1)
        noted.append(
            f"at a learning rate of {rate:g}, {100 * still / total:.1f} % of the weights stand still in float32"
        )
    return Plan(
        steps=steps,
        rows={name: rows_by_language(source) for name, source in sources.items()},
        negatives=negatives,
        trained=sum(parameter.numel() for parameter in trained),
        frozen=sum(parameter.numel() for parameter in parameters if not parameter.requires_grad),
        notes=tuple(noted),
    )


def _standing_still(weights: Tensor, change: float) -> int:
    """Weights that are what they were after a change of this size either way, for rounding takes it back."""
    return int(((weights + change == weights) & (weights - change == weights)).sum())


def rows_by_language(source: Source) -> dict[str, int]:
    """Rows of each language of a source, where it can list them."""
    groups = getattr(source, "groups", None)
    if groups is None:
        return {"all": source.rows}
    counts = np.bincount(groups, minlength=len(source.group_names))
    return dict(zip(source.group_names, counts.tolist(), strict=True))


def _given(source: Source) -> int:
    column = getattr(source, "columns", {}).get("negative_passages")
    return 0 if column is None else int(column.shape[1])
