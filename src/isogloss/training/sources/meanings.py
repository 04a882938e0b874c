"""Which texts mean the same: translation pairs joined into families."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from isogloss.training.texts import Ids


class Meanings:
    """Families of text numbers: a text that was joined with none is a family of its own."""

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}

    def join(self, first: Ids, second: Ids) -> None:
        """Makes each pair of texts one family."""
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            self.join_known(one, [other])

    def join_known(self, number: int, others: Iterable[int]) -> None:
        """Makes a text and others one family."""
        for other in others:
            first, second = self._head(number), self._head(other)
            if first != second:
                self._parents[second] = first

    def of(self, numbers: Ids) -> Ids:
        """Family of each text."""
        return np.asarray([self._head(number) for number in numbers.tolist()], dtype=np.int64)

    def _head(self, number: int) -> int:
        path = []
        while (parent := self._parents.get(number, number)) != number:
            path.append(number)
            number = parent
        for passed in path:
            self._parents[passed] = number
        return number
