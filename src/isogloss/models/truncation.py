"""How many texts lost tokens, by role and language: a truncated text is searched by its beginning only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from isogloss.records import Role

OnOverflow = Literal["warn", "error", "ignore"]
UNKNOWN_LANGUAGE = "unknown"


@dataclass
class TruncationCount:
    """Texts seen, and texts that lost tokens."""

    texts: int = 0
    truncated: int = 0


@dataclass
class TruncationReport:
    """Counts since the retriever was loaded.

    Attributes:
        counts: Count by role and language; texts whose language nobody said are under `unknown`.
    """

    counts: dict[tuple[Role, str], TruncationCount] = field(default_factory=dict)

    def add(self, role: Role, languages: Sequence[str | None], truncated: NDArray[np.bool_]) -> dict[str, int]:
        """Counts some encoded texts; gives the number that lost tokens, by language."""
        found: dict[str, int] = {}
        for language, cut in zip(languages, truncated.tolist(), strict=True):
            name = language or UNKNOWN_LANGUAGE
            count = self.counts.setdefault((role, name), TruncationCount())
            count.texts += 1
            count.truncated += cut
            if cut:
                found[name] = found.get(name, 0) + 1
        return found

    @property
    def truncated(self) -> int:
        """All texts that lost tokens."""
        return sum(count.truncated for count in self.counts.values())

    def lines(self) -> list[str]:
        """One line per role and language in which texts lost tokens."""
        return [
            f"{role} {language}: {count.truncated} of {count.texts} texts truncated"
            for (role, language), count in sorted(self.counts.items())
            if count.truncated
        ]
