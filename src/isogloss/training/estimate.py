"""What a run will cost: a few of its steps are made, and the plan says how many there are."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from isogloss.recipe import Recipe
from isogloss.training.plan import Plan
from isogloss.training.run import train
from isogloss.training.trial import duration, gigabytes, peak_bytes

TRIAL_STEPS = 3
_OPTIMISER_BYTES = 16  # a float32 weight, its gradient, and the two means of Adam
_BYTES = 4


@dataclass(frozen=True)
class Estimate:
    """The cost of a run on this machine.

    Attributes:
        plan: What the run is going to do.
        seconds_per_step: Measured over a few steps, the first ones, which are the slower ones.
        seconds: For all steps; neither reading the data nor checkpoints count.
        peak_bytes: Most memory that this process held while it tried.
        gpu_bytes: Most memory that the trial held on the GPU, 0 without one.
        model_bytes: Most that weights, gradients and the optimiser's state come to, by the plan.
    """

    plan: Plan
    seconds_per_step: float
    seconds: float
    peak_bytes: int
    gpu_bytes: int
    model_bytes: int

    def lines(self) -> list[str]:
        """The estimate in words."""
        on_gpu = f"; on the GPU {gigabytes(self.gpu_bytes)}" if self.gpu_bytes else ""
        return [
            f"about {duration(self.seconds)} for {self.plan.steps:,} steps ({self.seconds_per_step:.2f} s each, "
            f"measured over {TRIAL_STEPS} steps here)",
            f"peak memory {gigabytes(self.peak_bytes)}{on_gpu}; weights, gradients and optimiser come to at most "
            f"{gigabytes(self.model_bytes)}",
        ]


def estimate(recipe: Recipe) -> Estimate:
    """Makes the first steps of a run in a folder that is removed, and says what all of them will cost.

    Raises:
        DataError: If training data are faulty.
        ModelError: If the model is not there.
        RecipeError: If the recipe is faulty.
    """
    with tempfile.TemporaryDirectory(prefix="isogloss-") as folder:
        plan = train(recipe, Path(folder) / "plan", dry_run=True, progress=False).plan
        few = min(TRIAL_STEPS, plan.steps)
        settings = {"max_steps": few, "save_strategy": "no", "logging_steps": 1, "report_to": "none"}
        if recipe.train.warmup_steps >= few:
            settings["warmup_steps"] = 0
        tried = recipe.model_copy(update={"train": recipe.train.model_copy(update=settings)})
        report = train(tried, Path(folder) / "trial", resume="never", progress=False)
    per_step = report.seconds / few
    return Estimate(
        plan=plan,
        seconds_per_step=per_step,
        seconds=per_step * plan.steps,
        peak_bytes=peak_bytes(),
        gpu_bytes=torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
        model_bytes=plan.trained * _OPTIMISER_BYTES + plan.frozen * _BYTES,
    )
