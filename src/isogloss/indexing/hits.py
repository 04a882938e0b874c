"""What a user sees of a search: passages with their texts, best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.bank import Bank
from isogloss.errors import Fault, UnknownLanguageError, UsageError, did_you_mean, raise_faults
from isogloss.indexing.exact import search as search_exactly
from isogloss.languages import normalize
from isogloss.records import Text


@dataclass(frozen=True)
class Stage:
    """What one stage of a search (`dense`, `lexical`, `fusion`, `rerank`) said of a passage.

    Attributes:
        rank: Its rank there, from 1.
        score: Its score there; scores of different stages do not compare.
    """

    rank: int
    score: float


@dataclass(frozen=True)
class Hit:
    """One result.

    Attributes:
        rank: From 1.
        score: Score of the last stage, float32.
        passage: The passage with its text.
        stages: Rank and score by stage, in the order of the stages; a stage that did not find the passage is absent.
    """

    rank: int
    score: float
    passage: Text
    stages: Mapping[str, Stage] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Id of the passage."""
        return self.passage.id

    @property
    def language(self) -> str | None:
        """Language of the passage."""
        return self.passage.language

    @property
    def title(self) -> str:
        """Title of the passage, empty where it has none."""
        return self.passage.title

    @property
    def text(self) -> str:
        """Text of the passage."""
        return self.passage.text

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; metadata and stages only where there are any."""
        value: dict[str, Any] = {
            "rank": self.rank,
            "id": self.id,
            "score": self.score,
            "language": self.language,
            "title": self.title,
            "text": self.text,
        }
        if self.passage.metadata:
            value["metadata"] = dict(self.passage.metadata)
        if self.stages:
            value["stages"] = {name: {"rank": stage.rank, "score": stage.score} for name, stage in self.stages.items()}
        return value


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
    wanted = checked_languages(languages, {language for language in bank.languages if language}, "bank")
    return np.array([language in wanted for language in bank.languages], dtype=np.bool_)


def checked_languages(languages: Sequence[str], here: set[str], collection: str) -> tuple[str, ...]:
    """Normalised tags, sorted, of languages that a collection has.

    Args:
        languages: Tags in any spelling.
        here: Normalised languages of the passages.
        collection: What holds them, for the message.

    Raises:
        UsageError: Languages that are unknown or that no passage has, all of them.
    """
    wanted = set()
    faults = []
    for language in languages:
        try:
            wanted.add(normalize(language))
        except UnknownLanguageError as error:
            faults.append(Fault(f"language {language}", error.message))
    faults += [
        Fault(f"language {language}", f"no passage of the {collection} is in it{did_you_mean(language, here)}")
        for language in sorted(wanted - here)
    ]
    has = f"The {collection} has: {', '.join(sorted(here)) or 'no languages'}."
    raise_faults(UsageError, "language", faults, has)
    return tuple(sorted(wanted))
