"""What a run costs, tried on its first batch before it starts: chunks, negatives that masks leave, time and memory."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from isogloss.training.plan import Plan
from isogloss.training.settings import has_bfloat16
from isogloss.training.step import Batch, CachedStep, Layout

_PROBE = 1_000_000
_MEANS = 2  # Adam keeps two numbers for each weight
_WORTH_A_NOTE = 100_000_000  # bytes


@dataclass(frozen=True)
class Trial:
    """One step made and thrown away.

    Attributes:
        steps: Steps of the run.
        seconds_per_step: Time of the tried step, and of an optimiser over as many weights.
        peak_bytes: Most memory of this process so far, and what the optimiser will add.
        gpu_bytes: Most memory on the GPU, and what the optimiser will add; 0 without one.
        layouts: How the texts of each encoder were chunked.
        negatives: Negatives that each row of a term meets on average, masks counted.
        notes: Anything else that one should know.
    """

    steps: int
    seconds_per_step: float
    peak_bytes: int
    gpu_bytes: int
    layouts: Sequence[Layout]
    negatives: Mapping[str, float]
    notes: Sequence[str] = ()

    @property
    def seconds(self) -> float:
        """Time of all steps; neither reading the data nor checkpoints count."""
        return self.steps * self.seconds_per_step

    def lines(self) -> list[str]:
        """The trial in words."""
        lines = [str(layout) for layout in self.layouts]
        lines += [
            f"{term}: masks leave {count:,.1f} negatives to a row of the first batch"
            for term, count in self.negatives.items()
        ]
        on_gpu = f", on the GPU {gigabytes(self.gpu_bytes)}" if self.gpu_bytes else ""
        lines.append(
            f"about {duration(self.seconds)}: {self.steps:,} steps of {self.seconds_per_step:.2f} s, which is what the "
            f"first batch took here; peak memory about {gigabytes(self.peak_bytes)}{on_gpu}"
        )
        return [*lines, *self.notes]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "seconds_per_step": round(self.seconds_per_step, 4),
            "seconds": round(self.seconds, 1),
            "peak_bytes": self.peak_bytes,
            "gpu_bytes": self.gpu_bytes,
            "negatives": dict(self.negatives),
            "lines": self.lines(),
        }


def try_step(step: CachedStep, batch: Batch, towers: nn.Module, plan: Plan, *, bf16: bool) -> Trial:
    """Makes the first step without taking it: weights, gradients and random state are left as they were.

    Args:
        step: The step.
        batch: The first batch of the run.
        towers: What the step trains.
        plan: The plan of the run.
        bf16: Whether forward passes are computed in bfloat16.
    """
    trained = [value for value in towers.parameters() if value.requires_grad]
    device = trained[0].device
    modes = [(module, module.training) for module in towers.modules()]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        began = time.perf_counter()
        evaluated = step(batch, measure=True)
        seconds = time.perf_counter() - began
    for module, training in modes:
        module.training = training
    sparse = any(getattr(module, "sparse", False) for module in towers.modules())
    stepped: dict[torch.Tensor, int] = {value: _stepped(value) for value in trained}
    towers.zero_grad(set_to_none=True)
    weights = 0 if sparse else sum(stepped.values())
    kept: dict[torch.Tensor, int] = {value: value.numel() if sparse else stepped[value] for value in trained}
    state = sum(count * value.element_size() for value, count in kept.items()) * _MEANS
    on_gpu = device.type == "cuda"
    return Trial(
        steps=plan.steps,
        seconds_per_step=seconds + weights * _optimiser_seconds(device),
        peak_bytes=peak_bytes() + (0 if on_gpu else state),
        gpu_bytes=torch.cuda.max_memory_allocated() + state if on_gpu else 0,
        layouts=step.layouts(batch),
        negatives={name: count * (1 - evaluated.masked.get(name, 0.0)) for name, count in plan.negatives.items()},
        notes=[*_growth(kept), *_precision(towers, device, bf16=bf16)],
    )


def _stepped(value: torch.Tensor) -> int:
    """Numbers of a weight that a step of the optimiser computes: of a token table the rows that have a gradient."""
    gradient = value.grad
    return gradient.coalesce().values().numel() if gradient is not None and gradient.is_sparse else value.numel()


def _growth(kept: Mapping[torch.Tensor, int]) -> list[str]:
    """What the optimiser's means of token tables may come to, which grow by the tokens that are met."""
    more = sum((value.numel() - count) * value.element_size() * _MEANS for value, count in kept.items())
    return [f"memory grows with the tokens that are met, by at most {gigabytes(more)}"] if more > _WORTH_A_NOTE else []


def _optimiser_seconds(device: torch.device) -> float:
    """Time that AdamW takes for a weight, measured on some."""
    probe = torch.zeros(_PROBE, device=device, requires_grad=True)
    probe.grad = torch.zeros_like(probe)
    optimiser = torch.optim.AdamW([probe])
    optimiser.step()
    began = time.perf_counter()
    optimiser.step()
    return (time.perf_counter() - began) / _PROBE


def _precision(towers: nn.Module, device: torch.device, *, bf16: bool) -> list[str]:
    if not any(isinstance(module, nn.Linear) for module in towers.modules()):
        return []  # a static model multiplies no matrices that bfloat16 would make faster
    native = has_bfloat16(device)
    if bf16 and not native:
        return ["train.bf16: this processor has no bfloat16 instructions, so float32 (train.bf16=never) is faster here"]
    if native and not bf16 and device.type == "cpu":
        return ["train.bf16: this processor computes in bfloat16, about twice as fast, with train.bf16=always"]
    return []


def peak_bytes() -> int:
    """Most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def duration(seconds: float) -> str:
    """A time in the unit that fits it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def gigabytes(count: int) -> str:
    """A number of bytes in gigabytes."""
    return f"{count / 1e9:.1f} GB"
