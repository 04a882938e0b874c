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
from numpy.typing import NDArray

from isogloss.errors import Fault
from isogloss.recipe import SourceSettings
from isogloss.records import Role
from isogloss.training.sources.apart import Apart
from isogloss.training.texts import Ids, TextTable, unique_numbers

KindClass = TypeVar("KindClass", bound=type[Any])
Numbers = NDArray[np.float64]

ENCODED_AS: Mapping[str, Role] = {
    "query": "query",
    "passage": "passage",
    "negative_passages": "passage",
    "translated_query": "query",
    "negative_queries": "query",
    "generated_query": "query",
    # Sentences are compared with sentences, so both members get the role that a backbone's symmetric tasks have.
    "parallel_source": "query",
    "parallel_target": "query",
    "nonparallel_sentence": "query",
}


@dataclass(frozen=True)
class Drawn:
    """Rows of one step.

    Attributes:
        columns: Role to text numbers, shape (rows,) or (rows, n).
        groups: Number of each row's language or pair of languages.
        values: Name to numbers of the rows, shape (rows,) or (rows, n), NaN where a row has none.
    """

    columns: Mapping[str, Ids]
    groups: Ids
    values: Mapping[str, Numbers] = field(default_factory=dict)

    def taken(self, chosen: Ids) -> Drawn:
        """Some of the rows."""
        columns = {role: column[chosen] for role, column in self.columns.items()}
        return Drawn(columns, self.groups[chosen], {name: value[chosen] for name, value in self.values.items()})


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
        opened: The sources that stand before it in the recipe.
        apart: Texts that it must leave out.
    """

    name: str
    index: int
    seed: int
    texts: TextTable
    passage_text: Callable[[str, str], str]
    faults: list[Fault] = field(default_factory=list)
    opened: Mapping[str, Source] = field(default_factory=dict)
    apart: Apart = field(default_factory=Apart)

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
        values: Name to numbers of the rows, shape (rows,) or (rows, n), NaN where a row has none.
        distinct: A key of each row. Of rows with one key a batch holds one; an epoch spreads them evenly, and a row
            that meets its like nevertheless is left out of that batch.
        units: What a batch of `by_group` holds one of; the groups where it is left out.
        group_languages: Languages of each group, where they are pairs.
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
        values: Mapping[str, Numbers] | None = None,
        distinct: Ids | None = None,
        units: Ids | None = None,
        group_languages: Sequence[tuple[str, ...]] | None = None,
    ) -> None:
        self.name = name
        self.columns = dict(columns)
        self.values = dict(values or {})
        self.roles = dict(roles)
        self.groups = groups
        self.group_names = tuple(group_names)
        self.group_languages = tuple(group_languages or ((name,) for name in group_names))
        self.rows = len(groups)
        self.batch = min(batch, self.rows)
        self._seed = tuple(seed)
        self._by_group = by_group
        self._exponent = exponent
        self._distinct = distinct
        self._members = _members(groups if units is None else units)
        self._weights = chances(self._members, exponent)
        self._order = lru_cache(maxsize=2)(self._epoch_order)

    @property
    def value_names(self) -> Sequence[str]:
        """Names of the values of its rows."""
        return tuple(self.values)

    def numbers(self, role: str) -> Ids:
        """Numbers of all texts that may come in a role, ascending."""
        return unique_numbers([self.columns[role]] if role in self.columns else [])

    def draw(self, step: int) -> Drawn:
        """The rows of a step."""
        return Drawn(self.columns, self.groups, self.values).taken(self._chosen(step))

    def _chosen(self, step: int) -> Ids:
        chosen = self._choose(step)
        if self._distinct is None:
            return chosen
        _, firsts = np.unique(self._distinct[chosen], return_index=True)
        return chosen[np.sort(firsts)][: self.batch]

    def _choose(self, step: int) -> Ids:
        if not self._by_group and self._exponent == 1.0:
            positions = np.arange(step * self.batch, (step + 1) * self.batch)
            epochs, places = np.divmod(positions, self.rows)
            parts = [self._order(int(epoch))[places[epochs == epoch]] for epoch in np.unique(epochs)]
            return np.concatenate(parts)
        generator = np.random.default_rng((*self._seed, 1, step))
        if self._by_group:
            members = self._members[int(generator.choice(len(self._members), p=self._weights))]
            # All of them where some are left out afterwards.
            size = self.batch if self._distinct is None else len(members)
            return generator.choice(members, size=min(size, len(members)), replace=False)
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
        generator = np.random.default_rng((*self._seed, 0, epoch))
        order = generator.permutation(self.rows)
        if self._distinct is None:
            return order
        return order[_spread(self._distinct[order], generator)]


def _members(units: Ids) -> list[Ids]:
    """Rows of each unit."""
    return [np.flatnonzero(units == unit) for unit in range(int(units.max(initial=-1)) + 1)]


def chances(members: Sequence[Ids], exponent: float) -> Numbers:
    """Chance of each group, ∝ its members^exponent; 0 for one without members."""
    sizes = np.asarray([len(one) for one in members], dtype=np.float64)
    weights = np.zeros_like(sizes)
    weights[sizes > 0] = sizes[sizes > 0] ** exponent
    return weights / (float(weights.sum()) or 1.0)


def _spread(keys: Ids, generator: np.random.Generator) -> Ids:
    """An order of rows in which those of one key stand evenly apart, from a random beginning."""
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    by_key = np.argsort(inverse, kind="stable")
    turns = np.empty(len(keys), dtype=np.int64)
    turns[by_key] = np.arange(len(keys)) - np.repeat(np.cumsum(counts) - counts, counts)
    begins = generator.random(len(counts))
    return np.argsort((turns + begins[inverse]) / counts[inverse], kind="stable")


def ragged(rows: Sequence[Sequence[int]], width: int) -> Ids:
    """Rows of text numbers as one array of shape (rows, width), `MISSING` where a row is shorter."""
    array: Ids = np.full((len(rows), width), -1, dtype=np.int64)
    for place, row in enumerate(rows):
        kept = row[:width]
        array[place, : len(kept)] = kept
    return array


def ragged_values(rows: Sequence[Sequence[float]]) -> Numbers:
    """Rows of numbers as one array of shape (rows, longest row), NaN where a row is shorter."""
    array: Numbers = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for place, row in enumerate(rows):
        array[place, : len(row)] = row
    return array
