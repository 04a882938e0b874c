"""The objective: a weighted sum of terms over the embeddings of one step, its value and its gradients.

Terms read the rows of one source or of several; where several have the same role their rows are put together.

With nested dimensions each term L counts as Σ_d w_d · L(first d dimensions, at unit length): vectors that may be cut.
Source: Kusupati et al. 2022 (2205.13147), equation 1; scaling each prefix to unit length is what a search does with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from isogloss.losses import (
    Embeddings,
    Term,
    masked_share,
    measurements,
    optional_roles,
    required_roles,
    teacher_roles,
    value_names,
)


@dataclass(frozen=True)
class BoundTerm:
    """A term with the sources that it reads.

    Attributes:
        name: Name in logs, unique in the objective: `infonce(rows)`.
        term: The loss over roles.
        sources: Sources whose rows it reads.
        weight: Weight in the sum, above 0.
    """

    name: str
    term: Term
    sources: tuple[str, ...]
    weight: float = 1.0

    @property
    def teacher_roles(self) -> tuple[str, ...]:
        """Roles whose texts a teacher must have read."""
        return teacher_roles(self.term)

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles that it cannot do without."""
        return required_roles(self.term)

    @property
    def value_names(self) -> tuple[str, ...]:
        """Names of the row values that it needs."""
        return value_names(self.term)

    def uses(self, role: str) -> bool:
        """Whether the term takes vectors of a role."""
        return role in required_roles(self.term) or role in optional_roles(self.term)


@dataclass(frozen=True)
class Evaluated:
    """Values of one step.

    Attributes:
        loss: The weighted sum.
        terms: Value of each term, unweighted.
        gradient_norms: Norm of each term's unweighted gradient over all embeddings; empty unless asked for.
        masked: Share of each term's candidates that were hidden; empty unless asked for.
        measured: Whatever else terms measure, by name and term; empty unless asked for.
        spread: 1 − |mean unit vector|² of each encoder's texts: 0 where all have one vector; empty unless asked for.
    """

    loss: Tensor
    terms: Mapping[str, Tensor]
    gradient_norms: Mapping[str, float] = field(default_factory=dict)
    masked: Mapping[str, float] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)
    spread: Mapping[str, float] = field(default_factory=dict)


class Objective:
    """A weighted sum of terms. A term of weight 0 is left out, so that it costs and changes nothing.

    Args:
        terms: The terms.
        dimensions: Weight of each number of leading dimensions at which every term counts; all dimensions alone where
            it is empty.
    """

    def __init__(self, terms: Sequence[BoundTerm], *, dimensions: Mapping[int, float] | None = None) -> None:
        self.terms = tuple(term for term in terms if term.weight > 0)
        self.dimensions = dict(dimensions or {})

    @property
    def teacher_roles(self) -> dict[str, set[str]]:
        """Roles whose texts a teacher must have read, by source."""
        wanted: dict[str, set[str]] = {}
        for bound in self.terms:
            for source in bound.sources:
                wanted.setdefault(source, set()).update(bound.teacher_roles)
        return wanted

    def uses(self, source: str, role: str) -> bool:
        """Whether any term takes vectors of a source's role."""
        return any(source in bound.sources and bound.uses(role) for bound in self.terms)

    def evaluate(
        self,
        embeddings: Callable[[BoundTerm], Embeddings | None],
        leaves: Sequence[Tensor] = (),
        *,
        measure: bool = False,
    ) -> Evaluated:
        """Value of the objective; with `leaves` that require gradients, these gradients too (added to their `.grad`).

        Args:
            embeddings: Gives the vectors that a term reads; None for a term without rows, whose value is 0.
            leaves: Tensors that the vectors were made from.
            measure: Whether the norm of each term's gradient and its masked share are computed, for the log.
        """
        values: dict[str, Tensor] = {}
        norms: dict[str, float] = {}
        masked: dict[str, float] = {}
        measured: dict[str, float] = {}
        total: Tensor | None = None
        for bound in self.terms:
            given = embeddings(bound)
            nested = {} if given is None else self._nested(bound.term, given)
            value = torch.zeros(()) if given is None else self._summed(bound.term, given, nested)
            values[bound.name] = value.detach()
            total = bound.weight * value if total is None else total + bound.weight * value
            if measure and given is not None:
                norms[bound.name] = _gradient_norm(value, leaves)
                share = masked_share(bound.term, given)
                if share is not None:
                    masked[bound.name] = share
                found = measurements(bound.term, given)
                measured |= {f"{name}/{bound.name}": number for name, number in found.items()}
                measured |= {f"dimensions_{size}/{bound.name}": float(part.detach()) for size, part in nested.items()}
        if total is None:
            raise ValueError("the objective has no term with a weight above 0")
        if leaves and total.requires_grad:
            total.backward()  # type: ignore[no-untyped-call]
        return Evaluated(total.detach(), values, norms, masked, measured)

    def _nested(self, term: Term, given: Embeddings) -> dict[int, Tensor]:
        """Value of a term at each number of leading dimensions; nothing where all dimensions count alone."""
        return {size: term(given.prefix(size)) for size in self.dimensions}

    def _summed(self, term: Term, given: Embeddings, nested: Mapping[int, Tensor]) -> Tensor:
        if not nested:
            return term(given)
        return torch.stack([self.dimensions[size] * value for size, value in nested.items()]).sum()


def _gradient_norm(value: Tensor, leaves: Sequence[Tensor]) -> float:
    if not leaves or not value.requires_grad:
        return 0.0
    gradients = torch.autograd.grad(value, list(leaves), retain_graph=True, allow_unused=True)
    squares = [gradient.double().square().sum() for gradient in gradients if gradient is not None]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0
