"""A bank as an index: exact, and read only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.bank import Bank
from isogloss.errors import UsageError
from isogloss.indexing.exact import search as search_exactly
from isogloss.indexing.protocol import EVERY_PASSAGE, Change, IndexAbout, Scores, Where, refuse_unknown
from isogloss.records import Text


class BankIndex:
    """Searches a bank exactly; every passage is compared.

    Args:
        bank: An open bank.
    """

    part = 0

    def __init__(self, bank: Bank) -> None:
        self.url = str(bank.path)
        self._bank = bank

    @property
    def about(self) -> IndexAbout:
        """What made the vectors, and how they are kept."""
        return IndexAbout("bank", self._bank.fingerprint, self._bank.dimension, self._bank.dtype)

    def add(self, passages: Sequence[Text], vectors: NDArray[Any]) -> None:
        """Is refused: a bank is what an encode wrote."""
        raise self._read_only()

    update = add

    def delete(self, ids: Sequence[str]) -> None:
        """Is refused."""
        raise self._read_only()

    def search(self, vectors: NDArray[Any], *, k: int, where: Where = EVERY_PASSAGE) -> list[Scores]:
        """Finds the k best passages for each vector, exactly."""
        names = [str(row) for row in range(len(vectors))]
        allowed = self._allowed(where) if where else None
        run = search_exactly(np.asarray(vectors), names, self._bank, k=k, allowed=allowed)
        return [run[name] for name in names]

    def passages(self, ids: Sequence[str]) -> list[Text]:
        """The passages with these ids, in their order."""
        refuse_unknown(ids, self.known(ids), self.url)
        return [self._bank.text(name) for name in ids]

    def all_passages(self) -> Iterator[Text]:
        """Every passage, in the order of the vectors."""
        return self._bank.texts()

    def known(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that are there."""
        return {name for name in ids if name in self._ids}

    def count(self, where: Where = EVERY_PASSAGE) -> int:
        """How many passages are allowed."""
        return int(self._allowed(where).sum()) if where else len(self._bank)

    def languages(self) -> dict[str, int]:
        """Passages by language."""
        counts = self._bank.language_counts
        return {language: count.passages for language, count in sorted(counts.items()) if language in self._tags}

    def optimize(self) -> None:
        """Does nothing: exact search has nothing to build."""

    def finish(self) -> None:
        """Does nothing: an unfinished bank does not open."""

    def note_change(self, change: Change | None) -> None:
        """Is refused."""
        raise self._read_only()

    def leave_out_words(self, languages: Sequence[str]) -> None:
        """Is refused."""
        raise self._read_only()

    def snapshot(self, path: str) -> None:
        """Is refused: a bank's folder can be copied as it is."""
        raise UsageError(f"{self.url} is a bank", next_step="Copy its folder.")

    def close(self) -> None:
        """Does nothing: files are opened for each search."""

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(self._bank.ids)

    @cached_property
    def _tags(self) -> frozenset[str | None]:
        return frozenset(self._bank.languages)

    def _allowed(self, where: Where) -> NDArray[np.bool_]:
        if where.metadata:
            return np.array([where.allows(passage) for passage in self._bank.texts()], dtype=np.bool_)
        return np.array([language in where.languages for language in self._bank.languages], dtype=np.bool_)

    def _read_only(self) -> UsageError:
        return UsageError(
            f"{self.url} is a bank, which is only read",
            next_step=f"Make an index of it: isogloss index {self.url} --out INDEX",
        )
