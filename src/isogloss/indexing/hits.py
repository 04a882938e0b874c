"""What a user sees of a search: passages with their texts, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.bank import Bank
from isogloss.errors import Fault, UnknownLanguageError, UsageError, did_you_mean, raise_faults
from isogloss.indexing.exact import search as search_exactly
from isogloss.languages import normalize
from isogloss.records import Text


@dataclass(frozen=True)
class Hit:
    """One result.

    Attributes:
        rank: From 1.
        score: Similarity of query and passage, float32.
        passage: The passage with its text.
    """

    rank: int
    score: float
    passage: Text

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        found = self.passage
        return {
            "rank": self.rank,
            "id": found.id,
            "score": self.score,
            "language": found.language,
            "title": found.title,
            "text": found.text,
        }


def search(
    bank: Bank, query_vectors: NDArray[np.float32], *, k: int = 10, languages: Sequence[str] = ()
) -> list[list[Hit]]:
    """Finds the best passages of a bank for each query vector, exactly.

    Args:
        bank: The passages.
        query_vectors: Shape (queries, dimension), from the query tower that belongs to the bank.
        k: Results per query; fewer only where fewer passages are allowed.
        languages: Languages of the passages that may be found, in any spelling; all where it is empty.

    Raises:
        UsageError: Languages that are unknown or that no passage has, all of them; or a `k` below 1.
    """
    if k < 1:
        raise UsageError(f"k: {k} (at least 1)")
    query_ids = [str(number) for number in range(len(query_vectors))]
    run = search_exactly(query_vectors, query_ids, bank, k=k, allowed=_allowed(bank, languages))
    return [
        [Hit(rank, score, bank.text(passage)) for rank, (passage, score) in enumerate(run[query].items(), start=1)]
        for query in query_ids
    ]


def _allowed(bank: Bank, languages: Sequence[str]) -> NDArray[np.bool_] | None:
    if not languages:
        return None
    here = {language for language in bank.languages if language}
    wanted = set()
    faults = []
    for language in languages:
        try:
            wanted.add(normalize(language))
        except UnknownLanguageError as error:
            faults.append(Fault(f"language {language}", error.message))
    faults += [
        Fault(f"language {language}", f"no passage of the bank is in it{did_you_mean(language, here)}")
        for language in sorted(wanted - here)
    ]
    raise_faults(UsageError, "language", faults, f"The bank has: {', '.join(sorted(here)) or 'no languages'}.")
    return np.array([language in wanted for language in bank.languages], dtype=np.bool_)
