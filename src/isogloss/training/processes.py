"""The processes of a run, gathered in one place: losses and encoders know nothing of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor, distributed


class Processes(Protocol):
    """The processes that train together.

    Attributes:
        rank: Number of this one.
        count: How many there are.
    """

    rank: int
    count: int

    def gather(self, part: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        """Every process's part, of shape (sizes[rank], …), in the order of the ranks, without gradient."""

    def sum_gradients(self, parameters: Iterable[Tensor], *, divide_by: float = 1.0) -> None:
        """Replaces the gradient of each parameter by its sum over the processes, divided."""

    def wait(self) -> None:
        """Waits for all processes."""


class OneProcess:
    """A run in one process."""

    rank = 0
    count = 1

    def gather(self, part: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        """The one part that there is."""
        return [part]

    def sum_gradients(self, parameters: Iterable[Tensor], *, divide_by: float = 1.0) -> None:
        """Divides the gradients; there is nothing to add."""
        if divide_by != 1.0:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.div_(divide_by)

    def wait(self) -> None:
        """There is nobody to wait for."""


class TorchProcesses:
    """The processes of torch's default group, as torchrun starts them."""

    def __init__(self) -> None:
        self.rank = distributed.get_rank()
        self.count = distributed.get_world_size()

    def gather(self, part: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        """Every process's part; short parts are padded for the exchange alone."""
        longest = max(sizes)
        padded = part.new_zeros((longest, *part.shape[1:]))
        padded[: len(part)] = part
        received = [torch.empty_like(padded) for _ in range(self.count)]
        distributed.all_gather(received, padded)
        return [whole[:size] for whole, size in zip(received, sizes, strict=True)]

    def sum_gradients(self, parameters: Iterable[Tensor], *, divide_by: float = 1.0) -> None:
        """Adds gradients up over the processes; a parameter that one of them did not use counts 0 there."""
        for parameter in parameters:
            if not parameter.requires_grad:
                continue
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()
            distributed.all_reduce(parameter.grad)
            if divide_by != 1.0:
                parameter.grad.div_(divide_by)

    def wait(self) -> None:
        """Waits for all processes."""
        distributed.barrier()


def join_processes() -> None:
    """Joins the group that torchrun's environment describes; does nothing in a run of one process."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from accelerate import PartialState  # type: ignore[import-untyped]

        PartialState()


def current_processes() -> Processes:
    """The processes of this run: torch's group where there is one."""
    if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        return TorchProcesses()
    return OneProcess()
