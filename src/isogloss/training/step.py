"""One training step for any objective, in memory bounded by a chunk of texts.

1. Collect the distinct texts of each encoder; a text that two terms share is encoded once.
2. Encode them in chunks without a graph, remembering the random state of each chunk.
3. Evaluate the objective on all vectors; this gives its gradient with respect to every vector.
4. Encode each chunk again, with a graph and the remembered random state (hence the same dropout), and send its vectors'
   gradients into the parameters.

Where all texts of an encoder keep to the bounds of one chunk the first pass keeps its graphs and there is no second.
Frozen encoders give constants. With several processes each encodes a share of the texts, the vectors are gathered, and
every process evaluates the objective on the rows of all: their gradients sum up to those of one process on the union.
Source of the scheme: Gao et al. 2021 (2101.06983); the sharing of texts among terms and processes is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isogloss.losses import Embeddings
from isogloss.records import Role
from isogloss.training.encoders import FrozenEncoder, TrainedEncoder, VectorStore
from isogloss.training.objective import BoundTerm, Evaluated, Objective
from isogloss.training.processes import OneProcess, Processes
from isogloss.training.sources.base import Drawn, Numbers
from isogloss.training.texts import MISSING, Ids, unique_numbers

Encoder = TrainedEncoder | FrozenEncoder
Number = TypeVar("Number", np.int64, np.float64)


@dataclass(frozen=True)
class Batch:
    """Rows of one step by source, the same in every process."""

    drawn: Mapping[str, Drawn]
    roles: Mapping[str, Mapping[str, Role]]

    def part(self, rank: int, count: int) -> Batch:
        """The rows of one process of several, for runs that do not gather."""
        return Batch({name: _part(drawn, rank, count) for name, drawn in self.drawn.items()}, self.roles)


@dataclass(frozen=True)
class Layout:
    """How the texts of one encoder are chunked in one step of one process.

    Attributes:
        towers: Roles that it encodes.
        texts: Distinct texts.
        chunks: Forward passes; 0 where the vectors are constants.
        tokens: Tokens of these texts.
        padded: The same with padding.
        largest: Most tokens of a chunk, with padding.
        twice: Whether each chunk is encoded a second time, for its gradient.
    """

    towers: tuple[Role, ...]
    texts: int
    chunks: int = 0
    tokens: int = 0
    padded: int = 0
    largest: int = 0
    twice: bool = False

    def __str__(self) -> str:
        head = f"{' and '.join(self.towers)} tower: {self.texts:,} texts a step"
        if not self.chunks:
            return f"{head}, whose vectors are constants"
        passes = "encoded twice, so that no more is held at once" if self.twice else "encoded once"
        return (
            f"{head} in {self.chunks:,} chunks of at most {self.largest:,} tokens, {passes} "
            f"({self.tokens:,} tokens, {self.padded / max(self.tokens, 1):.2f} times that with padding)"
        )


def _part(drawn: Drawn, rank: int, count: int) -> Drawn:
    return drawn.taken(np.array_split(np.arange(len(drawn.groups)), count)[rank])


class CachedStep:
    """Value and gradients of an objective for one batch.

    Args:
        encoders: Encoder of each role of towers; one object twice where the towers share weights and prompt.
        objective: The terms.
        teacher: Vectors of a teacher, for terms that match them.
        processes: The processes that train together.
        gather: Whether the rows of all processes are one batch; else each evaluates its own rows and gradients average.
    """

    def __init__(
        self,
        encoders: Mapping[Role, Encoder],
        objective: Objective,
        *,
        teacher: VectorStore | None = None,
        processes: Processes | None = None,
        gather: bool = True,
    ) -> None:
        self._encoders = encoders
        self._objective = objective
        self._teacher = teacher
        self._processes = processes or OneProcess()
        self._gather = gather

    def __call__(self, batch: Batch, *, measure: bool = False) -> Evaluated:
        """Adds the gradients of this process's texts to the parameters; see `Processes.sum_gradients` for the rest."""
        if not self._gather:
            batch = batch.part(self._processes.rank, self._processes.count)
        passes = self._passes(batch)
        for one in passes.values():
            one.encode()
        given = _Given(batch, self._encoders, passes, self._teacher)
        leaves = [one.leaf for one in passes.values() if one.leaf is not None and one.leaf.requires_grad]
        evaluated = self._objective.evaluate(given.embeddings, leaves, measure=measure)
        for one in passes.values():
            one.replay()
        return replace(evaluated, spread=self._spread(passes)) if measure else evaluated

    def layouts(self, batch: Batch) -> list[Layout]:
        """How this process chunks the texts of a batch, for each encoder that has any."""
        if not self._gather:
            batch = batch.part(self._processes.rank, self._processes.count)
        found = []
        for key, one in self._passes(batch).items():
            towers = tuple(role for role, encoder in self._encoders.items() if id(encoder) == key)
            found.append(one.layout(towers))
        return [layout for layout in found if layout.texts]

    def _passes(self, batch: Batch) -> dict[int, _Pass]:
        """The texts of each encoder that the objective asks for."""
        passes = {id(encoder): _Pass(encoder, self._sharing()) for encoder in self._encoders.values()}
        for name, roles in batch.roles.items():
            for role, tower in roles.items():
                if role in batch.drawn[name].columns and self._objective.uses(name, role):
                    passes[id(self._encoders[tower])].want(batch.drawn[name].columns[role])
        return passes

    def _spread(self, passes: Mapping[int, _Pass]) -> dict[str, float]:
        """Spread of the vectors of each trained encoder, by the towers that it serves."""
        found = {}
        for key, one in passes.items():
            if one.leaf is not None and one.leaf.requires_grad and len(one.leaf) > 1:
                towers = [role for role, encoder in self._encoders.items() if id(encoder) == key]
                found["+".join(towers)] = spread(one.leaf.detach())
        return found

    @property
    def gradient_divisor(self) -> float:
        """What the sum of the processes' gradients is divided by to be the gradient of the loss."""
        return 1.0 if self._gather else float(self._processes.count)

    def _sharing(self) -> Processes:
        return self._processes if self._gather else OneProcess()


def spread(vectors: Tensor) -> float:
    """1 − |mean unit vector|² of vectors of shape (texts, dim): 0 where all point one way."""
    mean = torch.nn.functional.normalize(vectors.float(), dim=-1).mean(dim=0)
    return max(1.0 - float(mean.square().sum()), 0.0)


class _Pass:
    """The texts of one encoder in one step: encoded once, replayed once."""

    def __init__(self, encoder: Encoder, processes: Processes) -> None:
        self._encoder = encoder
        self._processes = processes
        self._columns: list[Ids] = []
        self._numbers: Ids = np.zeros(0, dtype=np.int64)
        self._own: Ids = np.zeros(0, dtype=np.int64)
        self._chunks: list[Ids] = []
        self._states: list[_RandomState] = []
        self._graphs: list[Tensor] = []
        self.leaf: Tensor | None = None

    def want(self, column: Ids) -> None:
        self._columns.append(column)

    def positions(self, column: Ids) -> Ids:
        """Places of texts among the vectors; a missing text gets the first, which a mask hides."""
        return np.where(column == MISSING, 0, np.searchsorted(self._numbers, column))

    def encode(self) -> None:
        self._numbers = unique_numbers(self._columns)
        if not len(self._numbers):
            return
        if isinstance(self._encoder, FrozenEncoder):
            self.leaf = self._encoder.vectors(self._numbers)
            return
        shares = self._shares()
        self._own = shares[self._processes.rank]
        own = self._encode_own(self._encoder)
        parts = self._processes.gather(own.detach(), [len(share) for share in shares])
        whole = torch.cat(parts)
        order = torch.from_numpy(np.argsort(np.concatenate(shares), kind="stable")).to(whole.device)
        self.leaf = (whole if self._processes.count == 1 else whole[order]).requires_grad_()

    def layout(self, towers: tuple[Role, ...]) -> Layout:
        """How its texts are chunked; nothing is encoded."""
        self._numbers = unique_numbers(self._columns)
        if not isinstance(self._encoder, TrainedEncoder) or not len(self._numbers):
            return Layout(towers, len(self._numbers))
        numbers = self._numbers[self._shares()[self._processes.rank]]
        chunks = self._encoder.chunks(numbers)
        sizes = self._encoder.padded(numbers, chunks)
        return Layout(
            towers,
            len(numbers),
            chunks=len(chunks),
            tokens=int(self._encoder.counts(numbers).sum()),
            padded=sum(sizes),
            largest=max(sizes, default=0),
            twice=not self._encoder.fits(numbers, chunks),
        )

    def _shares(self) -> list[Ids]:
        """Positions of the texts of each process, dealt by length so that all have about the same work."""
        count = self._processes.count
        if count == 1 or not isinstance(self._encoder, TrainedEncoder):
            return [np.arange(len(self._numbers))]
        by_length = np.argsort(-self._encoder.counts(self._numbers), kind="stable")
        return [by_length[rank::count] for rank in range(count)]

    def _encode_own(self, encoder: TrainedEncoder) -> Tensor:
        numbers = self._numbers[self._own]
        self._chunks = encoder.chunks(numbers)
        if encoder.fits(numbers, self._chunks) and self._chunks:
            self._graphs = [encoder.forward(numbers[chunk]) for chunk in self._chunks]
            return _in_order(self._graphs, self._chunks)
        vectors = []
        with torch.no_grad():
            for chunk in self._chunks:
                self._states.append(_RandomState(encoder.tower.device))
                vectors.append(encoder.forward(numbers[chunk]))
        if not vectors:
            return torch.zeros((0, encoder.tower.dimension), device=encoder.tower.device)
        return _in_order(vectors, self._chunks)

    def replay(self) -> None:
        """Sends the gradients of the vectors into the parameters."""
        if self.leaf is None or self.leaf.grad is None or not isinstance(self._encoder, TrainedEncoder):
            return
        gradients = self.leaf.grad[torch.from_numpy(self._own).to(self.leaf.device)]
        if self._graphs:
            torch.autograd.backward(self._graphs, [gradients[_tensor(chunk, gradients)] for chunk in self._chunks])
            return
        numbers = self._numbers[self._own]
        for chunk, state in zip(self._chunks, self._states, strict=True):
            with state.replayed():
                vectors = self._encoder.forward(numbers[chunk])
            vectors.backward(gradients[_tensor(chunk, gradients)])  # type: ignore[no-untyped-call]


class _Given:
    """Vectors by source and role, made once and put together for each term."""

    def __init__(
        self,
        batch: Batch,
        encoders: Mapping[Role, Encoder],
        passes: Mapping[int, _Pass],
        teacher: VectorStore | None,
    ) -> None:
        self._batch = batch
        self._encoders = encoders
        self._passes = passes
        self._teacher = teacher
        self._made: dict[tuple[str, str], Tensor] = {}

    def embeddings(self, bound: BoundTerm) -> Embeddings | None:
        """What a term reads, or None where its sources have nothing for it in this step."""
        vectors: dict[str, list[Tensor]] = {}
        ids: dict[str, list[Ids]] = {}
        taught: dict[str, list[NDArray[np.float32]]] = {}
        values: dict[str, list[Numbers]] = {}
        sources = [source for source in bound.sources if len(self._batch.drawn[source].groups)]
        for source in sources:
            for role, column in self._columns(source, bound, sources):
                if bound.uses(role):
                    vectors.setdefault(role, []).append(self._vectors(source, role, column))
                ids.setdefault(role, []).append(column)
                if role in bound.teacher_roles and self._teacher is not None:
                    taught.setdefault(role, []).append(self._teacher.vectors(column))
            for name, numbers in self._values(source, bound, sources):
                values.setdefault(name, []).append(numbers)
        if any(role not in vectors for role in bound.roles):
            return None
        device = next(parts[0].device for parts in vectors.values())
        return Embeddings(
            {role: _joined(parts) for role, parts in vectors.items()},
            text_ids={role: torch.from_numpy(_filled(parts, MISSING)).to(device) for role, parts in ids.items()},
            teacher={role: torch.from_numpy(np.concatenate(parts)).to(device) for role, parts in taught.items()},
            values={
                name: torch.from_numpy(_filled(parts, np.nan).astype(np.float32)).to(device)
                for name, parts in values.items()
            },
        )

    def _columns(self, source: str, bound: BoundTerm, sources: list[str]) -> Iterator[tuple[str, Ids]]:
        """Columns of a source, and empty ones for what other sources of the same kind of rows have beside its own."""
        drawn = self._batch.drawn
        own = drawn[source].columns
        yield from own.items()
        others = {
            role: column
            for name in self._alike(source, bound, sources)
            for role, column in drawn[name].columns.items()
            if bound.uses(role) and role not in own
        }
        for role, column in sorted(others.items()):
            yield role, np.full((len(drawn[source].groups), 1)[: column.ndim], MISSING, dtype=np.int64)

    def _values(self, source: str, bound: BoundTerm, sources: list[str]) -> Iterator[tuple[str, Numbers]]:
        """Values of a source's rows that a term needs, NaN where only another source has them."""
        drawn = self._batch.drawn
        for name in bound.value_names:
            there = [
                drawn[one].values[name] for one in self._alike(source, bound, sources) if name in drawn[one].values
            ]
            if there:
                shape = (len(drawn[source].groups), 1)[: there[0].ndim]
                yield name, drawn[source].values.get(name, np.full(shape, np.nan))

    def _alike(self, source: str, bound: BoundTerm, sources: list[str]) -> list[str]:
        """Sources of the term whose rows have a role in common with those of `source`, itself among them."""
        own = {role for role in self._batch.drawn[source].columns if bound.uses(role)}
        return [name for name in sources if own & self._batch.drawn[name].columns.keys()]

    def _vectors(self, source: str, role: str, column: Ids) -> Tensor:
        if role not in self._batch.drawn[source].columns:
            like = next(one.leaf for one in self._passes.values() if one.leaf is not None)
            return like.new_zeros((*column.shape, like.shape[1]))
        key = (source, role)
        if key not in self._made:
            one = self._passes[id(self._encoders[self._batch.roles[source][role]])]
            if one.leaf is None:
                raise ValueError(f"source '{source}' has no text of the role '{role}' in this step")
            # What indexing gives too, but its gradient takes a tenth of the time and is the same in every run on a GPU.
            places = torch.from_numpy(one.positions(column)).to(one.leaf.device)
            self._made[key] = torch.nn.functional.embedding(places, one.leaf)
        return self._made[key]


def _joined(parts: list[Tensor]) -> Tensor:
    """Rows of several sources under each other; rows with fewer texts are filled up with masked zeros."""
    if len(parts) == 1:
        return parts[0]
    if parts[0].dim() == 3:
        width = max(part.shape[1] for part in parts)
        parts = [torch.nn.functional.pad(part, (0, 0, 0, width - part.shape[1])) for part in parts]
    return torch.cat(parts)


def _filled(parts: list[NDArray[Number]], nothing: float) -> NDArray[Number]:
    """Rows of several sources under each other; rows with fewer entries are filled up with `nothing`."""
    if parts[0].ndim == 2:
        width = max(part.shape[1] for part in parts)
        parts = [np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=nothing) for part in parts]
    return np.concatenate(parts)


def _in_order(vectors: list[Tensor], chunks: list[Ids]) -> Tensor:
    """Vectors of chunks, put back into the order of the texts."""
    order = np.argsort(np.concatenate(chunks), kind="stable")
    whole = torch.cat([chunk.detach() for chunk in vectors])
    return whole[_tensor(order, whole)]


def _tensor(positions: Ids, like: Tensor) -> Tensor:
    return torch.from_numpy(positions).to(like.device)


class _RandomState:
    """The random state before a forward pass, so that its replay drops the same activations."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._cpu = torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    @contextmanager
    def replayed(self) -> Iterator[None]:
        devices = [self._device] if self._cuda is not None else []
        with torch.random.fork_rng(devices=devices):
            torch.set_rng_state(self._cpu)
            if self._cuda is not None:
                torch.cuda.set_rng_state(self._cuda, self._device)
            yield
