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


_NO_GRADIENT, _DENSE, _SPARSE = range(3)


def _kind(gradient: Tensor | None) -> int:
    if gradient is None:
        return _NO_GRADIENT
    return _SPARSE if gradient.is_sparse else _DENSE


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
        """Adds gradients up over the processes.

        A parameter that some of them did not use counts 0 there; one that none used keeps no gradient, so that the
        optimiser leaves it alone as it does in one process.
        """
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        if not trained:
            return
        kinds = torch.tensor([_kind(parameter.grad) for parameter in trained], device=trained[0].device)
        distributed.all_reduce(kinds, op=distributed.ReduceOp.MAX)
        for parameter, kind in zip(trained, kinds.tolist(), strict=True):
            if kind == _NO_GRADIENT:
                continue
            if parameter.grad is None:
                layout = torch.sparse_coo if kind == _SPARSE else torch.strided
                parameter.grad = torch.zeros_like(parameter, layout=layout)
            if kind == _SPARSE:
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

        PartialState(cpu=on_cpu())


def on_cpu() -> bool:
    """Whether several processes compute on the CPU; Accelerate takes them for single ones unless it is told."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.cuda.is_available()


def current_processes() -> Processes:
    """The processes of this run: torch's group where there is one."""
    if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        return TorchProcesses()
    return OneProcess()
