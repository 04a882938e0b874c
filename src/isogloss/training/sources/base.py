"""What a source of training texts is: something that gives the rows of any step, whichever steps came before.

A batch is a function of seed and step alone. That makes a resumed run draw what the unbroken one draws, and every
process know the rows of all processes without asking them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from isogloss.errors import Fault
from isogloss.recipe import SourceSettings
from isogloss.records import Role
from isogloss.training.texts import Ids, TextTable, unique_numbers

KindClass = TypeVar("KindClass", bound=type[Any])

ENCODED_AS: Mapping[str, Role] = {
    "query": "query",
    "passage": "passage",
    "negative_passages": "passage",
    "translated_query": "query",
    "negative_queries": "query",
    # Sentences are compared with sentences, so both members get the role that a backbone's symmetric tasks have.
    "parallel_source": "query",
    "parallel_target": "query",
    "nonparallel_sentence": "query",
}


@dataclass(frozen=True)
class Drawn:
    """Rows of one step: role to text numbers, shape (rows,) or (rows, n), and the language of each row's group."""

    columns: Mapping[str, Ids]
    groups: Ids


class Source(Protocol):
    """A stream of training rows."""

    @property
    def name(self) -> str:
        """Name in the recipe."""

    @property
    def batch(self) -> int:
        """Most rows of a step, over all processes."""

    @property
    def rows(self) -> int:
        """Rows that there are."""

    @property
    def roles(self) -> Mapping[str, Role]:
        """Roles of its texts, each with the tower that encodes it."""

    @property
    def group_names(self) -> Sequence[str]:
        """Names of the languages or language pairs that `Drawn.groups` counts."""

    def numbers(self, role: str) -> Ids:
        """Numbers of all texts that may come in a role, ascending."""

    def draw(self, step: int) -> Drawn:
        """The rows of a step, the same in every process and whenever asked."""


@dataclass
class SourceContext:
    """What opening a source needs beside its options.

    Attributes:
        name: Name of the source in the recipe.
        index: Its place among the sources, part of its seed.
        seed: Seed of the run.
        texts: Table that its texts go into.
        passage_text: How a title and a passage become one text.
        faults: Where it puts what is wrong, so that all sources report together.
    """

    name: str
    index: int
    seed: int
    texts: TextTable
    passage_text: Callable[[str, str], str]
    faults: list[Fault] = field(default_factory=list)

    def fault(self, option: str, message: str, allowed: str = "") -> None:
        """Notes a fault of one option of this source."""
        self.faults.append(Fault(f"sources.{self.name}.{option}", message, allowed))


class SourceKind(Protocol):
    """Options of a kind of source, which a recipe writes beside `kind`, `path` and `batch`."""

    kind: ClassVar[str]

    def open(self, settings: SourceSettings, context: SourceContext) -> Source:
        """Reads the source."""


def source_kind(name: str) -> Callable[[KindClass], KindClass]:
    """Marks a dataclass as the options of the kind `name`."""

    def mark(cls: KindClass) -> KindClass:
        cls.kind = name
        return cls

    return mark


class TableSource:
    """A source whose rows lie in columns of text numbers.

    Rows come in a fresh random order each epoch, and the remainder of one epoch begins the next batch. With `by_group`
    a batch holds one language (or language pair), drawn with probability ∝ rows^exponent, its rows at random.

    Args:
        name: Name in the recipe.
        columns: Role to text numbers, shape (rows,) or (rows, n) with `MISSING` where a row has fewer.
        roles: Role to the tower that encodes it.
        groups: Group of each row.
        group_names: Names of the groups.
        batch: Most rows of a step.
        seed: Seeds of all draws.
        by_group: Whether a batch holds one group alone.
        exponent: Exponent on a group's rows; 1 is in proportion, 0 uniform. Without `by_group` and other than 1, each
            row's group is drawn by it.
    """

    def __init__(
        self,
        name: str,
        columns: Mapping[str, Ids],
        *,
        roles: Mapping[str, Role],
        groups: Ids,
        group_names: Sequence[str],
        batch: int,
        seed: Sequence[int],
        by_group: bool = False,
        exponent: float = 1.0,
    ) -> None:
        self.name = name
        self.columns = dict(columns)
        self.roles = dict(roles)
        self.groups = groups
        self.group_names = tuple(group_names)
        self.rows = len(groups)
        self.batch = min(batch, self.rows)
        self._seed = tuple(seed)
        self._by_group = by_group
        self._exponent = exponent
        self._members = [np.flatnonzero(groups == group) for group in range(len(self.group_names))]
        sizes = np.asarray([len(members) for members in self._members], dtype=np.float64)
        weights = np.where(sizes > 0, sizes**exponent, 0.0)
        self._weights = weights / (float(weights.sum()) or 1.0)
        self._order = lru_cache(maxsize=2)(self._epoch_order)

    def numbers(self, role: str) -> Ids:
        """Numbers of all texts that may come in a role, ascending."""
        return unique_numbers([self.columns[role]] if role in self.columns else [])

    def draw(self, step: int) -> Drawn:
        """The rows of a step."""
        chosen = self._choose(step)
        return Drawn({role: column[chosen] for role, column in self.columns.items()}, self.groups[chosen])

    def _choose(self, step: int) -> Ids:
        if not self._by_group and self._exponent == 1.0:
            positions = np.arange(step * self.batch, (step + 1) * self.batch)
            epochs, places = np.divmod(positions, self.rows)
            parts = [self._order(int(epoch))[places[epochs == epoch]] for epoch in np.unique(epochs)]
            return np.concatenate(parts)
        generator = np.random.default_rng((*self._seed, 1, step))
        if self._by_group:
            members = self._members[int(generator.choice(len(self._members), p=self._weights))]
            return generator.choice(members, size=min(self.batch, len(members)), replace=False)
        wanted = np.bincount(
            generator.choice(len(self._members), size=self.batch, p=self._weights), minlength=len(self._members)
        )
        parts = [
            generator.choice(members, size=min(int(count), len(members)), replace=False)
            for members, count in zip(self._members, wanted, strict=True)
            if count and len(members)
        ]
        return np.concatenate(parts)

    def _epoch_order(self, epoch: int) -> Ids:
        return np.random.default_rng((*self._seed, 0, epoch)).permutation(self.rows)


def ragged(rows: Sequence[Sequence[int]], width: int) -> Ids:
    """Rows of text numbers as one array of shape (rows, width), `MISSING` where a row is shorter."""
    array: Ids = np.full((len(rows), width), -1, dtype=np.int64)
    for place, row in enumerate(rows):
        kept = row[:width]
        array[place, : len(kept)] = kept
    return array
