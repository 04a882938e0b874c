"""Which checkpoint becomes the model: all that the run kept are measured when it has ended, and the best is taken.

Nothing is chosen while a run goes on, so a resumed run chooses what the unbroken one chose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from isogloss.errors import RecipeError
from isogloss.training import checkpoints


@dataclass(frozen=True)
class Best:
    """What was chosen.

    Attributes:
        metric: Name of the score.
        scores: The score by step.
        step: The step whose weights became the model: the first of those with the highest score.
    """

    metric: str
    scores: Mapping[int, float]
    step: int

    def __str__(self) -> str:
        found = ", ".join(f"{step}: {score:.4f}" for step, score in sorted(self.scores.items()))
        return f"The model is that of step {self.step}, by {self.metric} ({found})."

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        scores = {str(step): score for step, score in sorted(self.scores.items())}
        return {"metric": self.metric, "step": self.step, "scores": scores}


def take_best(
    towers: nn.Module,
    folder: Path,
    measure: Callable[[], float | None],
    *,
    metric: str,
    last_step: int,
    advance: Callable[[int], None],
) -> Best:
    """Measures the weights at hand and those of every checkpoint of a run, and leaves the best in the towers.

    Args:
        towers: Hold the weights of the last step.
        folder: Folder of the run; its checkpoints are of this run.
        measure: Measures what the towers hold; None where the score has no value.
        metric: Name of the score.
        last_step: The step that the weights at hand are of.
        advance: Told of every measurement.

    Raises:
        CheckpointError: If a checkpoint does not fit.
        RecipeError: If the score has no value at any step.
    """
    last = {name: value.detach().cpu().clone() for name, value in towers.named_parameters() if value.requires_grad}
    places = {int(path.name.split("-")[1]): path for path in checkpoints.checkpoints(folder)}
    places.pop(last_step, None)
    found = {last_step: measure()}
    advance(1)
    for step, place in sorted(places.items()):
        checkpoints.load_weights(towers, place)
        found[step] = measure()
        advance(1)
    scores = {step: score for step, score in found.items() if score is not None}
    if not scores:
        raise RecipeError(f"train.metric_for_best_model: {metric} has no value", next_step="Choose another score.")
    chosen = min(scores, key=lambda step: (-scores[step], step))
    if chosen in places:
        checkpoints.load_weights(towers, places[chosen])
    else:
        _restore(towers, last)
    return Best(metric, scores, chosen)


def _restore(towers: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, value in towers.named_parameters():
            if name in weights:
                value.copy_(weights[name])
