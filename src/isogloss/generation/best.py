"""The best weights of a run, chosen by the loss over held-out rows; found again when the run is resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from isogloss.files import atomic_folder, file_errors, read_json, write_json
from isogloss.training import checkpoints

BEST = "best"
NOTE = "best.json"
LOG = "development-log.jsonl"


class KeepBest(TrainerCallback):
    """Looks at the held-out rows every few steps, and keeps the weights with the lowest loss.

    Args:
        model: The module whose weights are kept.
        folder: Folder of the run.
        loss: Loss over the held-out rows.
        every: Steps between two looks; the last step is one too.
        from_step: Step that the run goes on from: what was kept after it is measured again.
    """

    def __init__(
        self, model: nn.Module, folder: Path, *, loss: Callable[[], float], every: int, from_step: int = 0
    ) -> None:
        self._model = model
        self._folder = folder
        self._loss = loss
        self._every = every
        note = read_json(folder / BEST / NOTE) if (folder / BEST / NOTE).is_file() else None
        self.step: int | None = None
        self.loss: float | None = None
        if isinstance(note, dict) and int(note["step"]) <= from_step:
            self.step, self.loss = int(note["step"]), float(note["loss"])

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Measures where it is time, and keeps the weights where they are better than all before."""
        step = state.global_step
        if step % self._every and step < state.max_steps:
            return
        loss = self._loss()
        path = self._folder / LOG
        with file_errors(path, "write"), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "loss": loss}) + "\n")
        if self.loss is None or loss < self.loss:
            self.step, self.loss = step, loss
            with atomic_folder(self._folder / BEST, overwrite=True) as folder:
                checkpoints.save_weights(self._model, folder)
                write_json(folder / NOTE, {"step": step, "loss": loss})

    def restore(self) -> None:
        """Puts the kept weights into the module, if there are any."""
        if self.step is not None:
            checkpoints.load_weights(self._model, self._folder / BEST)
