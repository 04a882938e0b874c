"""The Hugging Face Trainer around our step: its loop, callbacks and schedules; our batches, gradients and checkpoints.

Gradients are added up over processes here, once a step, and not by DDP's hooks: a cached step runs several backward
passes, which these would take for several steps.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import rotate_checkpoints

from isogloss.errors import IsoglossError
from isogloss.files import atomic_folder, file_errors, write_json
from isogloss.training import checkpoints
from isogloss.training.freed_memory import freed_memory_kept
from isogloss.training.objective import Evaluated
from isogloss.training.processes import current_processes
from isogloss.training.progress import RunProgress
from isogloss.training.row_adamw import RowAdamW
from isogloss.training.start_weights import StartWeights
from isogloss.training.step import Batch

TRAINER_STATE = "trainer_state.json"
LOG = "train-log.jsonl"
LOGGER = logging.getLogger("isogloss")


class Step(Protocol):
    """What computes the gradients of a batch: the cached step of towers, or that of a query generator."""

    @property
    def gradient_divisor(self) -> float:
        """What the sum of the processes' gradients is divided by to be the gradient of the loss."""

    def __call__(self, batch: Batch, *, measure: bool = False) -> Evaluated:
        """Values of a batch; adds its gradients to the parameters."""


class RecipeTrainer(Trainer):
    """Trains towers on the batches of a recipe.

    Args:
        towers: The module whose parameters are trained.
        args: Hugging Face's arguments; `max_steps` is the length of the run.
        make_step: Makes the step once the towers are where they are trained.
        draw: The batch of a step.
        run_digest: What a checkpoint must agree with.
        dropout: Whether dropout is on.
        sparse_adam: Whether the optimiser is torch's `SparseAdam`.
        keep_freed: Whether the memory that one step frees stays for the next, on a CPU.
        callbacks: Further callbacks.

    Attributes:
        step: What `make_step` made.
    """

    def __init__(
        self,
        towers: nn.Module,
        args: TrainingArguments,
        *,
        make_step: Callable[[torch.device], Step],
        draw: Callable[[int], Batch],
        run_digest: str,
        dropout: bool = True,
        sparse_adam: bool = False,
        keep_freed: bool = False,
        callbacks: list[TrainerCallback] | None = None,
    ) -> None:
        super().__init__(model=towers, args=args, train_dataset=_Steps(args.max_steps), callbacks=callbacks)
        self.remove_callback(PrinterCallback)
        self._towers = towers
        self._folder = Path(str(args.output_dir))
        self._processes = current_processes()
        self.step = make_step(self.args.device)
        self._draw = draw
        self._run_digest = run_digest
        self._dropout = dropout
        self._sparse_adam = sparse_adam
        self._keeps_freed = keep_freed and self.args.device.type == "cpu"
        self._begun = time.monotonic()
        self._measured: Evaluated | None = None
        # For the drift. A resumed run begins with these weights too, before it loads its own.
        self._start = StartWeights([value for _, value in _trained(towers)], self._folder)
        self.progress = RunProgress()

    def get_train_dataloader(self) -> DataLoader[int]:
        """Numbers of the steps: the batch of a step follows from its number alone, in every process."""
        return DataLoader(_Steps(self.args.max_steps), batch_size=1, collate_fn=_only)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """All steps of the run."""
        with freed_memory_kept() if self._keeps_freed else nullcontext():
            return super().train(*args, **kwargs)

    def training_step(self, model: nn.Module, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """Gradients of one step.

        Raises:
            IsoglossError: If the loss is no finite number.
        """
        step = int(inputs["step"])
        self._towers.train(self._dropout)
        batch = self._draw(step)
        measure = self._will_log(step)
        evaluated = self.step(batch, measure=measure)
        self._processes.sum_gradients(self._towers.parameters(), divide_by=self.step.gradient_divisor)
        self.progress.add(evaluated, batch, learning_rate=float(self._get_learning_rate()))
        if not math.isfinite(float(evaluated.loss)):
            terms = ", ".join(f"{name} {float(value):g}" for name, value in evaluated.terms.items())
            raise IsoglossError(
                f"the loss of step {step + 1} is {float(evaluated.loss)} ({terms})",
                next_step="Lower train.learning_rate or raise the temperature; train.bf16=never rules out precision.",
            )
        if measure:
            self._measured = evaluated
        return evaluated.loss.to(device=self.args.device, dtype=torch.float32)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """As the Trainer's, but one for gradients of token tables that hold rows alone: `SparseAdam` or `RowAdamW`."""
        if self._sparse_adam and self.optimizer is None:
            args = self.args
            self.optimizer = torch.optim.SparseAdam(
                [value for _, value in _trained(self._towers)],
                lr=args.learning_rate,
                betas=(args.adam_beta1, args.adam_beta2),
                eps=args.adam_epsilon,
            )
        kind, options = self.get_optimizer_cls_and_kwargs(self.args)
        if kind is torch.optim.AdamW:
            self.optimizer_cls_and_kwargs = (RowAdamW, options)
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        return optimizer

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds each term's value, gradient norm and masked share, and the drift; one line of `train-log.jsonl`."""
        if "loss" in logs:
            logs = {**logs, **self._record()}
            if self.is_world_process_zero():
                path = self._folder / LOG
                with file_errors(path, "write"), path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"step": self.state.global_step, **logs}) + "\n")
        super().log(logs, start_time)

    def _record(self) -> dict[str, float]:
        record = self.progress.window()
        if self._measured is not None:
            for name, norm in self._measured.gradient_norms.items():
                record[f"gradient_norm/{name}"] = norm
            for name, share in self._measured.masked.items():
                record[f"masked/{name}"] = share
            record |= self._measured.measured
            for tower, spread in self._measured.spread.items():
                record[f"spread/{tower}"] = spread
                if self.progress.has_collapsed(tower, spread):
                    LOGGER.warning(
                        "the vectors of the %s tower have nearly become one: their spread fell to %.2g of the first; "
                        "lower the learning rate, or raise the weights of losses with negatives",
                        tower,
                        spread / self.progress.first_spread[tower],
                    )
        record["drift"] = self.drift()
        record["learning_rate_sum"] = self.progress.learning_rate_sum
        return record

    def drift(self) -> float:
        """Largest change of a trained weight since the run began."""
        return self._start.largest_change([value for _, value in _trained(self._towers)])

    def _will_log(self, step: int) -> bool:
        return (step + 1) % int(self.args.logging_steps) == 0 or step + 1 == self.args.max_steps

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        """The norm over all weights, on the steps that are logged alone: it reads every gradient."""
        if grad_norm is not None or not self._will_log(self.state.global_step) or self._sparse_adam:
            return grad_norm
        gradients = [value.grad for value in self._towers.parameters() if value.grad is not None]
        if any(gradient.is_sparse for gradient in gradients):
            parts = [gradient.coalesce().values() if gradient.is_sparse else gradient for gradient in gradients]
            return float(torch.nn.utils.get_total_norm(parts))
        return super()._get_grad_norm(model, grad_norm)  # type: ignore[no-untyped-call]

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Builds a checkpoint beside its place and renames it when all of it is written."""
        states = self._processes.gather(
            torch.from_numpy(checkpoints.random_state(self.args.device)).to(self.args.device),
            [len(checkpoints.random_state(self.args.device))] * self._processes.count,
        )
        if not self.args.should_save:
            return
        self.progress.add_seconds(self._since())
        step = self.state.global_step
        with atomic_folder(self._folder / f"checkpoint-{step}", overwrite=True) as folder:
            self._save(str(folder))
            self._save_optimizer_and_scheduler(str(folder))
            checkpoints.save_random_states([state.cpu().numpy() for state in states], folder)
            write_json(folder / checkpoints.PROGRESS, self.progress.state())
            self.state.save_to_json(str(folder / TRAINER_STATE))
            checkpoints.seal(folder, step=step, run_digest=self._run_digest, processes=self._processes.count)
        rotate_checkpoints(output_dir=str(self._folder), save_total_limit=self.args.save_total_limit)

    def _save(self, output_dir: str | None = None, state_dict: Mapping[str, Any] | None = None) -> None:
        checkpoints.save_weights(self._towers, Path(output_dir) if output_dir else self._folder)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if self.optimizer is not None and self.lr_scheduler is not None:
            checkpoints.save_optimizer(self.optimizer.state_dict(), Path(output_dir))
            checkpoints.save_scheduler(self.lr_scheduler.state_dict(), Path(output_dir))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        checkpoints.load_weights(self._towers, Path(resume_from_checkpoint))
        self.progress = RunProgress(checkpoints.read_object(Path(resume_from_checkpoint) / checkpoints.PROGRESS))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None and self.optimizer is not None:
            checkpoints.load_optimizer(self.optimizer, Path(checkpoint))
            checkpoints.load_scheduler(self.lr_scheduler, Path(checkpoint))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            state = checkpoints.load_random_state(Path(checkpoint), self._processes.rank)
            checkpoints.restore_random_state(state, self.args.device)

    def _save_scaler(self, output_dir: str) -> None:
        """Nothing: bfloat16 needs no scaler, and float16 is not offered."""

    def _load_scaler(self, checkpoint: str | None) -> None:
        """Nothing, as in `_save_scaler`."""

    def _save_rng_state(self, output_dir: str) -> None:
        """Nothing here: `_save_checkpoint` gathers the states of all processes into one file."""

    def _since(self) -> float:
        now = time.monotonic()
        seconds, self._begun = now - self._begun, now
        return seconds

    def finish(self) -> RunProgress:
        """What the run has counted, with the time up to now."""
        self.progress.add_seconds(self._since())
        return self.progress


class Advance(TrainerCallback):
    """Tells a progress bar of every finished step, and has the last one logged."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance
        self._shown = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Moves the bar to where a resumed run begins."""
        self._to(state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Moves the bar by a step."""
        self._to(state.global_step)
        if state.global_step >= state.max_steps:
            control.should_log = True

    def _to(self, step: int) -> None:
        self._advance(step - self._shown)
        self._shown = step


class _Steps(torch.utils.data.Dataset[int]):
    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> int:
        if not 0 <= index < self._count:
            raise IndexError(index)
        return index


def _only(items: list[int]) -> dict[str, int]:
    return {"step": items[0]}


def _trained(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, value) for name, value in module.named_parameters() if value.requires_grad]


def truncate_log(path: Path, step: int) -> None:
    """Drops the lines after a step, which a resumed run writes again."""
    from isogloss.files import write_text

    if not path.is_file():
        return
    with file_errors(path, "read"):
        lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if _step_of(line) <= step]
    write_text(path, "".join(line + "\n" for line in kept))


def _step_of(line: str) -> float:
    """Step of a log line; a line that a killed run left half-written belongs to none that counts."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return np.inf
