"""What every engine does in the same way: checked writes, and searches that are never cut short."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.indexing.manifest import IndexOptions
from isogloss.indexing.protocol import EVERY_PASSAGE, Change, IndexAbout, Scores, Where, check_write, refuse_known
from isogloss.records import Text


class BaseEngine(ABC):
    """Writes and searches of an engine, over what it does in its own way.

    Args:
        url: Where the index is.
        about: What the index says of itself.
        options: Settings of the graph and the searches.
    """

    part = 0

    def __init__(self, url: str, about: IndexAbout, options: IndexOptions) -> None:
        self.url = url
        self._about = about
        self._options = options
        self._writing = threading.Lock()

    @property
    def about(self) -> IndexAbout:
        """What made the vectors, and how they are kept."""
        return self._about

    def add(self, passages: Sequence[Text], vectors: NDArray[Any]) -> None:
        """Adds passages that are not there yet."""
        matrix = check_write(passages, vectors, self._about.dimension)
        with self._writing:
            refuse_known(self.known([passage.id for passage in passages]), self.url)
            self._write(passages, matrix)

    def update(self, passages: Sequence[Text], vectors: NDArray[Any]) -> None:
        """Adds passages, replacing those with the same ids."""
        matrix = check_write(passages, vectors, self._about.dimension)
        with self._writing:
            self._write(passages, matrix)

    def search(self, vectors: NDArray[Any], *, k: int, where: Where = EVERY_PASSAGE) -> list[Scores]:
        """Finds the k best passages for each vector."""
        allowed = self.count(where)
        found = self._nearest(vectors, k, where, exact=allowed <= self._options.exact_below)
        short = [row for row, scores in enumerate(found) if len(scores) < min(k, allowed)]
        if short:
            again = self._nearest(np.asarray(vectors)[short], k, where, exact=True)
            for row, scores in zip(short, again, strict=True):
                found[row] = scores
        return found

    def finish(self) -> None:
        """Marks a build as finished."""
        self._say(replace(self._about, building=""))

    def note_change(self, change: Change | None) -> None:
        """Has `about` say that a change is going on."""
        self._say(replace(self._about, changing=change))

    def leave_out_words(self, languages: Sequence[str]) -> None:
        """Has the lexical index leave out these languages."""
        self._say(replace(self._about, no_words=tuple(sorted(set(languages)))))

    def _say(self, about: IndexAbout) -> None:
        with self._writing:
            self._about = about
            self._write_about()

    @abstractmethod
    def _write_about(self) -> None:
        """Keeps what the index says of itself."""

    @abstractmethod
    def known(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that are there."""

    @abstractmethod
    def count(self, where: Where = EVERY_PASSAGE) -> int:
        """How many passages are allowed."""

    @abstractmethod
    def _write(self, passages: Sequence[Text], matrix: NDArray[np.float32]) -> None:
        """Adds or replaces checked passages."""

    @abstractmethod
    def _nearest(self, vectors: NDArray[Any], k: int, where: Where, *, exact: bool) -> list[Scores]:
        """The nearest passages of each vector in trec_eval's order, perhaps fewer than k unless `exact`."""
