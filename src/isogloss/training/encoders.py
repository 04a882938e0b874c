"""Encoders of a step: a trained tower whose chunks can be replayed, and a frozen one that is never computed twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isogloss.training.quick_dropout import dropout_context
from isogloss.training.texts import MISSING, Ids, TextTable, TokenCache, chunks_by_budget

if TYPE_CHECKING:
    from isogloss.engines.torch_tower import TorchTower

Autocast = Callable[[], AbstractContextManager[object]]
# The graph of so many tokens is held at once. A CPU gains nothing from more, a GPU is idle with less.
DEFAULT_MINI_BATCH_TOKENS = MappingProxyType({"cpu": 1_024, "other": 16_384})
FLAT_MINI_BATCH_TOKENS = 4_194_304  # static embeddings keep no activations per token


@dataclass(frozen=True)
class MiniBatch:
    """Bounds of one forward pass; None is the default of the kind of tower."""

    tokens: int | None = None
    size: int | None = None


class TrainedEncoder:
    """A tower that is trained, computed in chunks.

    Args:
        tower: The tower.
        texts: Texts of the run.
        mini_batch: Bounds of a chunk.
        autocast: Context of every forward pass.
    """

    def __init__(
        self,
        tower: TorchTower,
        texts: TextTable,
        *,
        mini_batch: MiniBatch | None = None,
        autocast: Autocast = nullcontext,
    ) -> None:
        self.tower = tower
        self._tokens = TokenCache(tower, texts)
        self._mini_batch = mini_batch or MiniBatch()
        self._autocast = autocast

    def counts(self, numbers: Ids) -> Ids:
        """Tokens of each text."""
        return self._tokens.counts(numbers)

    def chunks(self, numbers: Ids) -> list[Ids]:
        """Positions in `numbers` of the texts of each chunk; every position once."""
        flat = self._tokens.flat
        size = self._mini_batch.size or len(numbers)
        counts = self.counts(numbers)
        if flat and len(numbers) and len(numbers) <= size and int(counts.sum()) <= self.budget:
            return [np.arange(len(numbers))]
        return chunks_by_budget(counts, budget=self.budget, size=size, padded=not flat)

    @property
    def budget(self) -> int:
        """Most tokens, padding counted, whose graph is held at once."""
        if self._mini_batch.tokens is not None:
            return self._mini_batch.tokens
        if self._tokens.flat:
            return FLAT_MINI_BATCH_TOKENS
        return DEFAULT_MINI_BATCH_TOKENS["cpu" if self.tower.device.type == "cpu" else "other"]

    def padded(self, numbers: Ids, chunks: list[Ids]) -> list[int]:
        """Tokens of each chunk, padding counted."""
        counts = self.counts(numbers)
        if self._tokens.flat:
            return [int(counts[chunk].sum()) for chunk in chunks]
        return [int(counts[chunk].max()) * len(chunk) for chunk in chunks]

    def fits(self, numbers: Ids, chunks: list[Ids]) -> bool:
        """Whether the graphs of all chunks together keep to the bounds of one, so that none is computed twice."""
        size = self._mini_batch.size
        within = size is None or len(numbers) <= size
        return len(chunks) == 1 or (within and sum(self.padded(numbers, chunks)) <= self.budget)

    def forward(self, numbers: Ids) -> Tensor:
        """Vectors of some texts, shape (texts, dim), with a graph where gradients are on."""
        with self._autocast(), dropout_context(self.tower):
            vectors: Tensor = self.tower(self._tokens.features(numbers))
        return vectors


class VectorStore(Protocol):
    """Vectors of texts that nobody trains."""

    def vectors(self, numbers: Ids) -> NDArray[np.float32]:
        """Vectors of some texts, shape (texts, dim)."""


class ComputedVectors:
    """Vectors of a frozen tower, each computed on first use and kept.

    Args:
        encode: Vectors of some texts by their numbers, without gradient.
    """

    def __init__(self, encode: Callable[[Ids], NDArray[np.float32]]) -> None:
        self._encode = encode
        self._rows: Ids = np.full(0, MISSING, dtype=np.int64)
        self._vectors: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
        self._used = 0

    def vectors(self, numbers: Ids) -> NDArray[np.float32]:
        """Vectors of some texts; those not seen before are computed."""
        if not len(numbers):
            return np.zeros((0, self._vectors.shape[1]), dtype=np.float32)
        top = int(numbers.max()) + 1
        if top > len(self._rows):
            self._rows = np.concatenate([self._rows, np.full(max(top, 2 * len(self._rows)) - len(self._rows), MISSING)])
        new = np.unique(numbers[self._rows[numbers] == MISSING])
        if len(new):
            self._keep(new, self._encode(new))
        return self._vectors[self._rows[numbers]]

    def _keep(self, new: Ids, vectors: NDArray[np.float32]) -> None:
        needed = self._used + len(new)
        if needed > len(self._vectors):
            grown = np.zeros((max(needed, 2 * len(self._vectors)), vectors.shape[1]), dtype=np.float32)
            if self._used:
                grown[: self._used] = self._vectors[: self._used]
            self._vectors = grown
        self._vectors[self._used : needed] = vectors
        self._rows[new] = self._used + np.arange(len(new))
        self._used = needed


class FrozenEncoder:
    """Constant vectors on the device of the step."""

    def __init__(self, store: VectorStore, device: torch.device | None = None) -> None:
        self._store = store
        self._device = device or torch.device("cpu")

    def vectors(self, numbers: Ids) -> Tensor:
        """Vectors of some texts, shape (texts, dim), without gradient."""
        return torch.from_numpy(self._store.vectors(numbers)).to(self._device)


def frozen_tower(tower: TorchTower, texts: TextTable, *, mini_batch: MiniBatch | None = None) -> ComputedVectors:
    """Vectors of a tower that is not trained: evaluated without dropout and without a graph."""
    encoder = TrainedEncoder(tower, texts, mini_batch=mini_batch)

    def encode(numbers: Ids) -> NDArray[np.float32]:
        vectors = np.zeros((len(numbers), tower.dimension), dtype=np.float32)
        with evaluation_mode(tower), torch.no_grad():
            for chunk in encoder.chunks(numbers):
                vectors[chunk] = encoder.forward(numbers[chunk]).float().cpu().numpy()
        return vectors

    return ComputedVectors(encode)


@contextmanager
def evaluation_mode(tower: TorchTower) -> Iterator[None]:
    """Switches dropout off inside the block."""
    modes = [(module, module.training) for module in tower.modules()]
    tower.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
