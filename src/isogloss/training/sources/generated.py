"""Rows with generated queries: one is drawn for each row and step, more often as training goes on if so wanted.

Source: query-generator-teacher (2303.14991), whose rule of scheduled sampling is not known; the rule by progress is
ours: at step t a row gets a generated query with probability π_t = share · min(1, t/ramp).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isogloss.training.sources.base import ENCODED_AS, Drawn, Numbers, TableSource
from isogloss.training.texts import MISSING, Ids, unique_numbers

ROLE = "generated_query"
WEIGHT = "generated_weight"


@dataclass(frozen=True)
class GeneratedQueries:
    """Generated queries of all rows and how they are drawn.

    Attributes:
        numbers: Text numbers, shape (rows, most queries of a row), `MISSING` where a row has fewer.
        weights: Weight of each, of the same shape.
        share: Largest probability that a row gets one.
        ramp_steps: Steps until the probability is that large; 0 for at once.
    """

    numbers: Ids
    weights: Numbers
    share: float = 1.0
    ramp_steps: int = 0

    def probability(self, step: int) -> float:
        """Probability that a row gets a generated query in a step."""
        return self.share * (min(1.0, step / self.ramp_steps) if self.ramp_steps else 1.0)

    def draw(self, chosen: Ids, step: int, generator: np.random.Generator) -> tuple[Ids, Numbers]:
        """Text number and weight of the query that each chosen row gets, `MISSING` and NaN for none."""
        there = (self.numbers[chosen] != MISSING).sum(axis=1)
        taken, which = generator.random((2, len(chosen)))
        places = np.minimum((which * there).astype(np.int64), np.maximum(there - 1, 0))
        gets = (there > 0) & (taken < self.probability(step))
        rows = np.arange(len(chosen))
        numbers = np.where(gets, self.numbers[chosen][rows, places], MISSING)
        return numbers, np.where(gets, self.weights[chosen][rows, places], np.nan)


class GeneratedSource(TableSource):
    """A `TableSource` whose rows get generated queries.

    Args:
        generated: Them.
        arguments: As those of `TableSource`, by name.
    """

    def __init__(self, name: str, columns: dict[str, Ids], *, generated: GeneratedQueries, **arguments: Any) -> None:
        arguments["roles"] = {**arguments["roles"], ROLE: ENCODED_AS[ROLE]}
        super().__init__(name, columns, **arguments)
        self._generated = generated

    @property
    def value_names(self) -> Sequence[str]:
        """Names of the values of its rows."""
        return (*self.values, WEIGHT)

    def numbers(self, role: str) -> Ids:
        """Numbers of all texts that may come in a role, ascending."""
        return unique_numbers([self._generated.numbers]) if role == ROLE else super().numbers(role)

    def draw(self, step: int) -> Drawn:
        """The rows of a step."""
        chosen = self._chosen(step)
        drawn = Drawn(self.columns, self.groups, self.values).taken(chosen)
        generator = np.random.default_rng((*self._seed, 5, step))
        numbers, weights = self._generated.draw(chosen, step, generator)
        return Drawn({**drawn.columns, ROLE: numbers}, drawn.groups, {**drawn.values, WEIGHT: weights})
