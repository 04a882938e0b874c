"""What a run is going to do, stated before its first step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor, nn

from isogloss.errors import Fault, RecipeError, raise_faults
from isogloss.recipe import Recipe
from isogloss.training.groups import group_names
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
        groups: Of each group of weights in the trained towers, how many are trained and how many there are.
        notes: Anything else that one should know.
    """

    steps: int
    rows: Mapping[str, Mapping[str, int]]
    negatives: Mapping[str, int]
    trained: int
    frozen: int
    groups: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The plan in words."""
        lines = [f"{self.steps} steps; {self.trained:,} weights are trained, {self.frozen:,} are frozen"]
        if len(self.groups) > 1:
            parts = ", ".join(f"{group} {trained:,} of {whole:,}" for group, (trained, whole) in self.groups.items())
            lines.append(f"trained by group: {parts}")
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
    noted.extend(_dimensions(recipe))
    noted.extend(_rounding(recipe, towers))
    return Plan(
        steps=steps,
        rows={name: rows_by_language(source) for name, source in sources.items()},
        negatives=negatives,
        trained=sum(parameter.numel() for parameter in trained),
        frozen=sum(parameter.numel() for parameter in parameters if not parameter.requires_grad),
        groups={} if recipe.model.lora is not None else trained_by_group(towers),
        notes=tuple(noted),
    )


def trained_by_group(towers: nn.Module) -> dict[str, tuple[int, int]]:
    """Weights that are trained, and all weights, of each group; towers that are frozen as a whole are left out."""
    parts = [part for part in towers.children() if any(value.requires_grad for value in part.parameters())]
    counts: dict[str, tuple[int, int]] = {}
    for part in parts:
        of = {name: group for group, names in group_names(part).items() if group != "both" for name in names}
        for name, value in part.named_parameters():
            group = of.get(name, "other")
            trained, whole = counts.get(group, (0, 0))
            counts[group] = (trained + value.numel() * value.requires_grad, whole + value.numel())
    return counts


def _dimensions(recipe: Recipe) -> Iterable[str]:
    if recipe.dimensions:
        listed = ", ".join(f"{size} (weight {weight:g})" for size, weight in recipe.dimensions.items())
        yield f"each term counts at the first dimensions of the vectors: {listed}"


def _rounding(recipe: Recipe, towers: nn.Module) -> Iterable[str]:
    """What rounding takes back of the steps of Adam, each of which is about as long as the learning rate.

    Raises:
        RecipeError: If it takes back all of them.
    """
    rate, dtype = recipe.train.learning_rate, recipe.train.master_dtype
    if rate >= _LOW_RATE or "adam" not in recipe.train.optim:
        return
    norms = _of_norms(towers)
    counts = [
        (_standing_still(value.detach(), rate), value.numel(), id(value) in norms)
        for value in towers.parameters()
        if value.requires_grad
    ]
    still, size = (sum(count[place] for count in counts) for place in (0, 1))
    still_norms, size_norms = (sum(count[place] for count in counts if count[2]) for place in (0, 1))
    if still == size:
        fault = Fault("train.learning_rate", f"{rate:g} moves no weight: {dtype} rounds every step back")
        raise_faults(RecipeError, "recipe", [fault], "Raise it, or set train.master_dtype=float64.")
    apart = f", of those of norms {100 * still_norms / size_norms:.1f} %" if size_norms else ""
    yield f"at a learning rate of {rate:g}, {100 * still / size:.1f} % of the weights stand still in {dtype}{apart}"


def _of_norms(towers: nn.Module) -> set[int]:
    """Identities of the weights of normalisation layers, which lie near 1 where floats are far apart."""
    norms = (layer for layer in towers.modules() if type(layer).__name__.endswith("Norm"))
    return {id(value) for layer in norms for value in layer.parameters(recurse=False)}


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
