"""What a service searches: one small protocol, and the index that keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import IsoglossError
from isogloss.indexing.opening import open_index
from isogloss.indexing.protocol import Value
from isogloss.indexing.rerank import CrossEncoderReranker, Reranker
from isogloss.indexing.search_index import CANDIDATES, SearchIndex
from isogloss.models.retriever import Retriever
from isogloss.records import Text
from isogloss.service.logs import log_event
from isogloss.service.schemas import Mode

EVEN_WEIGHT = 0.5


@dataclass(frozen=True)
class Question:
    """One search.

    Attributes:
        query: The query without its prompt.
        k: Number of hits.
        mode: Way of searching.
        languages: Normalised languages of the passages; all where it is empty.
        metadata: Values by key of the passages' metadata, one or several; all where it is empty.
        dense_weight: Share of the dense ranks in a hybrid search.
        vector: The query's vector, shape (dimension,); None has it encoded.
        rerank: Whether the cross-encoder orders the best once more.
    """

    query: str
    k: int
    mode: Mode
    languages: tuple[str, ...] = ()
    metadata: Mapping[str, Value | Sequence[Value]] = field(default_factory=dict, hash=False)
    dense_weight: float = EVEN_WEIGHT
    vector: NDArray[np.float32] | None = field(default=None, compare=False)
    rerank: bool = False


@dataclass(frozen=True)
class Found:
    """One passage that was found.

    Attributes:
        passage: The passage with its text.
        score: What ordered it in the mode that was asked for.
        ranks: Rank in each stage that found it, from 1.
        scores: Score in each stage that found it.
    """

    passage: Text
    score: float
    ranks: Mapping[str, int] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)


class Corpus(Protocol):
    """Passages that can be searched; one search at a time."""

    @property
    def name(self) -> str:
        """Name of what is served, without the path to it."""

    @property
    def modes(self) -> tuple[Mode, ...]:
        """Ways of searching that are ready."""

    @property
    def reranks(self) -> bool:
        """Whether a question may ask for a cross-encoder's order."""

    @property
    def no_words(self) -> tuple[str, ...]:
        """Languages of which only the meaning is searched."""

    @property
    def preparing(self) -> bool:
        """Whether more modes will be ready later."""

    @property
    def languages(self) -> Mapping[str, int]:
        """Passages by language, those without one left out."""

    def __len__(self) -> int: ...

    def prepare(self) -> None:
        """Makes the remaining modes ready; may take long, and runs beside searches."""

    def search(self, question: Question) -> list[Found]:
        """Best passages first; fewer than k only where fewer are allowed."""

    def close(self) -> None:
        """Lets go of files and threads."""


class IndexCorpus:
    """An index of `isogloss index`, or a bank of `isogloss encode`.

    Args:
        index: The open index with its retriever.
        reranker: Orders the best once more, where a question asks for it.
        rerank_depth: How many it reads for a question.
    """

    def __init__(self, index: SearchIndex, reranker: Reranker | None = None, rerank_depth: int = 30) -> None:
        self._index = index
        self._reranker = reranker
        self._rerank_depth = rerank_depth
        self.reranks = reranker is not None
        self.name = "corpus" if "://" in index.url else Path(index.url).resolve().name
        self.modes: tuple[Mode, ...] = ("dense",)
        self.preparing = True
        self.languages: Mapping[str, int] = index.languages()
        self.no_words = index.not_by_words()
        self._size = index.count()

    def __len__(self) -> int:
        return self._size

    def prepare(self) -> None:
        """Reads or makes the lexical index; a corpus that cannot have one is searched densely."""
        try:
            self._index.prepare_lexical()
            self.modes = ("dense", "lexical", "hybrid")
        except IsoglossError as error:
            log_event("no_lexical_index", reason=str(error))
        finally:
            self.preparing = False

    def search(self, question: Question) -> list[Found]:
        """Best passages first."""
        hits = self._index.search(
            [question.query],
            k=question.k,
            languages=question.languages,
            metadata=question.metadata,
            mode=question.mode,
            weight=question.dense_weight,
            vectors=None if question.vector is None else question.vector[None],
            rerank=self._reranker if question.rerank else None,
            depth=self._rerank_depth if question.rerank else CANDIDATES,
        )[0]
        return [
            Found(
                hit.passage,
                hit.score,
                {name: stage.rank for name, stage in hit.stages.items()},
                {name: stage.score for name, stage in hit.stages.items()},
            )
            for hit in hits
        ]

    def close(self) -> None:
        """Lets go of the engine."""
        self._index.close()


def open_corpus(url: str, retriever: Retriever, *, rerank: str | None = None, rerank_depth: int = 30) -> Corpus:
    """Opens what is to be searched: an index folder, a bank, or the URL of an index on a server.

    Args:
        url: Where it is.
        retriever: Its passage tower made the vectors.
        rerank: Name or folder of a cross-encoder, where searches may ask for one.
        rerank_depth: How many passages the cross-encoder reads for a query.

    Raises:
        ModelError: The cross-encoder cannot be opened.
        FileError: There is nothing there.
        DataError: It is no index.
        StaleBankError: Another model made its vectors.
    """
    reranker = CrossEncoderReranker(rerank) if rerank else None
    return IndexCorpus(open_index(url, model=retriever), reranker, rerank_depth)


def in_turn(by_language: Sequence[Sequence[Found]], k: int) -> list[Found]:
    """The k first hits when languages take turns: all firsts by score, then all seconds, and so on.

    A retriever that prefers some languages gives their passages higher scores throughout. Ranks within a language are
    free of that preference, so no language can crowd out another.
    """
    ordered = [
        (rank, -found.score, found.passage.id, found)
        for hits in by_language
        for rank, found in enumerate(hits, start=1)
    ]
    return [found for *_, found in sorted(ordered, key=lambda place: place[:3])[:k]]
