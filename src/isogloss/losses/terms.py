"""How a loss meets the roles of a row: `Embeddings` holds vectors by role, a term takes from it what its loss needs.

Beside texts a row may have values: numbers under a name, such as the `teacher_scores` of its candidates.

A term is a frozen dataclass: its fields are the options of a recipe, calling it gives a scalar. It knows no model, no
tokenizer and no process group; whatever is gathered over processes has been gathered before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from torch import Tensor

TermClass = TypeVar("TermClass", bound=type[Any])


class Embeddings:
    """Vectors of one step by role, with what a loss must know of the texts behind them.

    Args:
        vectors: Role to vectors: shape (rows, dim), or (rows, n, dim) for roles with n texts a row.
        text_ids: Role to the ids of the texts, shape as `vectors` without the last axis; equal texts have equal
            ids, and -1 marks a missing place of a row with fewer than n texts.
        teacher: Role to the teacher's vectors of the same texts, for the roles that a term matches to a teacher.
        values: Name to numbers of the rows, shape (rows,) or (rows, n); NaN where a row has none.
    """

    def __init__(
        self,
        vectors: Mapping[str, Tensor],
        *,
        text_ids: Mapping[str, Tensor] | None = None,
        teacher: Mapping[str, Tensor] | None = None,
        values: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._vectors = dict(vectors)
        self._text_ids = dict(text_ids or {})
        self._teacher = dict(teacher or {})
        self._values = dict(values or {})

    def __getattr__(self, role: str) -> Tensor:
        if role.startswith("_"):
            raise AttributeError(role)
        return self.vectors(role)

    def __contains__(self, role: str) -> bool:
        return role in self._vectors

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles that have vectors."""
        return tuple(self._vectors)

    def vectors(self, role: str) -> Tensor:
        """Vectors of a role.

        Raises:
            KeyError: If the step has no texts of this role.
        """
        if role not in self._vectors:
            raise KeyError(f"no vectors for the role '{role}' (this step has: {', '.join(self._vectors)})")
        return self._vectors[role]

    def text_ids(self, role: str) -> Tensor | None:
        """Ids of a role's texts, or None where they are unknown."""
        return self._text_ids.get(role)

    def teacher(self, role: str) -> Tensor:
        """The teacher's vectors of a role's texts, shape (rows, teacher's dim).

        Raises:
            KeyError: If no teacher's vectors were given for this role.
        """
        if role not in self._teacher:
            raise KeyError(
                f"no teacher's vectors for the role '{role}' (there are: {', '.join(self._teacher) or 'none'})"
            )
        return self._teacher[role]

    def values(self, name: str) -> Tensor:
        """Numbers of the rows, shape (rows,) or (rows, n), NaN where a row has none.

        Raises:
            KeyError: If no row has values of this name.
        """
        if name not in self._values:
            raise KeyError(f"the rows have no values '{name}' (there are: {', '.join(self._values) or 'none'})")
        return self._values[name]

    def there(self, role: str) -> Tensor:
        """Which texts of a role are there, shape as `vectors` without the last axis; all where ids are unknown."""
        ids = self.text_ids(role)
        if ids is not None:
            return ids >= 0
        vectors = self.vectors(role)
        return torch.ones(vectors.shape[:-1], dtype=torch.bool, device=vectors.device)

    def complete(self, *roles: str) -> Embeddings:
        """The rows that have a text in each of some roles: what a missing place holds must never count.

        Args:
            roles: Roles with one text a row. Everything else here must belong to the same rows.
        """
        kept = torch.stack([self.there(role) for role in roles]).all(dim=0)
        if bool(kept.all()):
            return self
        parts = (self._vectors, self._text_ids, self._teacher, self._values)
        vectors, ids, teacher, values = ({name: part[kept] for name, part in one.items()} for one in parts)
        return Embeddings(vectors, text_ids=ids, teacher=teacher, values=values)

    def prefix(self, dimension: int) -> Embeddings:
        """The first dimensions of all vectors, the teacher's among them, at unit length; everything else as it is."""

        def cut(vectors: Tensor) -> Tensor:
            return torch.nn.functional.normalize(vectors[..., :dimension], dim=-1)

        return Embeddings(
            {role: cut(vectors) for role, vectors in self._vectors.items()},
            text_ids=self._text_ids,
            teacher={role: cut(vectors) for role, vectors in self._teacher.items()},
            values=self._values,
        )

    def nothing(self) -> Tensor:
        """0 with a gradient of 0 on all vectors: the value of a term that no row takes part in."""
        return torch.stack([vectors.sum() for vectors in self._vectors.values()]).sum() * 0.0


class Term(Protocol):
    """A loss bound to roles.

    Attributes:
        name: Name in a recipe.
        roles: Roles that every row must have.
        optional_roles: Roles that it uses where rows have them.
    """

    name: ClassVar[str]
    roles: ClassVar[tuple[str, ...]]
    optional_roles: ClassVar[tuple[str, ...]]

    def __call__(self, embeddings: Embeddings) -> Tensor:
        """Scalar value of the loss."""
        ...


def term(
    name: str, *, roles: tuple[str, ...], optional_roles: tuple[str, ...] = ()
) -> Callable[[TermClass], TermClass]:
    """Marks a dataclass as the term `name` over `roles`."""

    def mark(cls: TermClass) -> TermClass:
        cls.name = name
        cls.roles = roles
        cls.optional_roles = optional_roles
        return cls

    return mark


def required_roles(bound: Term) -> tuple[str, ...]:
    """Roles that a term needs, which may depend on its options."""
    chosen = getattr(bound, "chosen_roles", None)
    return tuple(chosen) if chosen is not None else bound.roles


def optional_roles(bound: Term) -> tuple[str, ...]:
    """Roles that a term uses where rows have them, which may depend on its options."""
    chosen = getattr(bound, "chosen_optional_roles", None)
    return tuple(chosen) if chosen is not None else bound.optional_roles


def teacher_roles(bound: Term) -> tuple[str, ...]:
    """Roles whose teacher's vectors a term needs."""
    return tuple(getattr(bound, "teacher_of", ()))


def value_names(bound: Term) -> tuple[str, ...]:
    """Names of the row values that a term needs, which may depend on its options."""
    return tuple(getattr(bound, "chosen_values", ()))


def masked_share(bound: Term, embeddings: Embeddings) -> float | None:
    """Share of the term's candidates that a mask hides, or None for a term without candidates."""
    measure: Callable[[Embeddings], float] | None = getattr(bound, "masked_share", None)
    return None if measure is None else measure(embeddings)


def measurements(bound: Term, embeddings: Embeddings) -> Mapping[str, float]:
    """What a term has logged beside its value, by name; nothing for most."""
    measure: Callable[[Embeddings], Mapping[str, float]] | None = getattr(bound, "measurements", None)
    return {} if measure is None else measure(embeddings)


def same_text(first: Tensor, second: Tensor) -> Tensor:
    """Pairs of equal texts among two lists of text ids, shape (len(first), len(second)); no text equals none."""
    equal = first[:, None] == second[None, :]
    equal &= (first >= 0)[:, None]
    return equal


def hidden_share(mask: Tensor, candidates: int) -> float:
    """Share of hidden places among `candidates` negatives; 0 where there are none."""
    # `sum` would hold the mask in eight bytes a place.
    return int(torch.count_nonzero(mask)) / candidates if candidates else 0.0


def at_least_float32(vectors: Tensor) -> Tensor:
    """The vectors in float32 or better: a softmax over many candidates loses its tail in half precision."""
    return vectors.float() if vectors.dtype in (torch.float16, torch.bfloat16) else vectors
