"""A mean of the weights of several models of one origin: a tuned one and its start, or one recipe with several seeds.

Between a start and what it was tuned into there can be a model that keeps most of the gain and has forgotten less
(Wortsman et al. 2022, 2109.01903; for retrievers Xiao et al. 2023, 2311.13534). Measure it by language first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from isogloss.errors import Fault, UsageError, raise_faults
from isogloss.models.retriever import ROLES, Retriever

if TYPE_CHECKING:
    from torch import Tensor

    from isogloss.engines.torch_tower import TorchTower


def merge(retrievers: Sequence[Retriever], shares: Sequence[float] | None = None) -> Retriever:
    """The retriever whose weights are the weighted mean of those of others, tower by tower.

    A passage tower that all have alike is kept as it is, bit for bit, so that its banks and indexes stay valid; the
    result has a query tower of its own then.

    Args:
        retrievers: At least two, alike in all but their weights.
        shares: Share of each, positive; their sum need not be 1. By default all count alike.

    Raises:
        UsageError: If they differ in more than their weights, or the shares do not fit; with every difference.
    """
    weights = _weights(retrievers, shares)
    _check_alike(retrievers)
    first = retrievers[0]
    same_passages = len({one.passage.fingerprint.digest for one in retrievers}) == 1
    if not all(one.towers == "shared" for one in retrievers):
        first = first.untie(frozen_passage=same_passages)
    towers = first.to_torch()
    others = [one.to_torch() for one in retrievers]
    _take_mean(towers.query, [other.query for other in others], weights)
    if not towers.shared and not towers.frozen_passage:
        _take_mean(towers.passage, [other.passage for other in others], weights)
    return first.with_towers(towers)


def _weights(retrievers: Sequence[Retriever], shares: Sequence[float] | None) -> list[float]:
    given = [1.0] * len(retrievers) if shares is None else list(shares)
    if len(retrievers) < 2:
        raise UsageError(f"{len(retrievers)} models to merge", next_step="Give at least two.")
    if len(given) != len(retrievers) or not all(0 < share < float("inf") for share in given):
        raise UsageError(
            f"shares: {', '.join(f'{share:g}' for share in given)} for {len(retrievers)} models",
            next_step="Give one positive number for each model, in the same order.",
        )
    return [share / sum(given) for share in given]


def _check_alike(retrievers: Sequence[Retriever]) -> None:
    first, *others = retrievers
    faults = [
        Fault(f"model {number}, {role} tower", f"{part} is not that of model 1")
        for number, other in enumerate(others, start=2)
        for role in ROLES
        for part in other.tower(role).fingerprint.differences(first.tower(role).fingerprint)
        if part != "weights"
    ]
    faults += [
        Fault(f"model {number}", f"has {other.dimension} dimensions", f"as model 1: {first.dimension}")
        for number, other in enumerate(others, start=2)
        if other.dimension != first.dimension
    ]
    raise_faults(UsageError, "The models cannot be merged", faults, "Merge models that began as one.")


def _take_mean(tower: TorchTower, sources: Sequence[TorchTower], weights: Sequence[float]) -> None:
    """Gives a tower the mean of the weights of others; sums are float64, so that equal weights stay as they are."""
    states = [source.state_dict() for source in sources]
    raise_faults(UsageError, "The models cannot be merged", _misfits(states), "Merge models that began as one.")
    for name, target in tower.state_dict().items():
        values = [state[name] for state in states]
        if target.is_floating_point():
            total = sum(share * value.double() for share, value in zip(weights, values, strict=True))
            target.copy_(total)


def _misfits(states: Sequence[Mapping[str, Tensor]]) -> list[Fault]:
    shapes = [{name: tuple(value.shape) for name, value in state.items()} for state in states]
    return [
        Fault(f"model {number}", f"weights of other names or shapes than model 1 has, such as '{different[0]}'")
        for number, other in enumerate(shapes[1:], start=2)
        if (different := sorted(name for name in {*shapes[0], *other} if shapes[0].get(name) != other.get(name)))
    ]
