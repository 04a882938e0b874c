"""What can be evaluated: a retriever, with or without a bank, BM25, and both fused; each answers a set with a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from isogloss.evaluation.pairs import Pair
from isogloss.indexing.exact import VectorTable, search
from isogloss.indexing.lexical import LexicalIndex
from isogloss.indexing.search_index import CANDIDATES, fused
from isogloss.records import EvalSet, Run, Text

KEPT_PASSAGES = 50_000
"""Passages whose indexes by words are kept between pairs of languages, together; one index is always kept."""


class System(Protocol):
    """Something that finds passages for queries."""

    name: str

    def refusal(self, pair: Pair) -> str:
        """Why the system has no value for a pair, empty where it has one."""

    def prepare(self, queries: Sequence[Text], passages: Sequence[Text]) -> None:
        """Sees all texts once, before the first search."""

    def search(self, eval_set: EvalSet, k: int) -> Run:
        """Finds the k best passages of each query within its pool."""


class DenseSystem:
    """A retriever with exact search. Every text is encoded once, whatever the number of pairs.

    Args:
        retriever: Gives unit vectors by role.
        name: For tables.
        bank: Passage vectors made by this retriever; without it the passages are encoded.
        progress: Whether bars are shown.

    Raises:
        StaleBankError: The bank was made by another model.
    """

    def __init__(self, retriever: Any, *, name: str, bank: Any = None, progress: bool = False) -> None:
        self.name = name
        self._retriever = retriever
        self._bank = bank
        self._progress = progress
        self._queries = _Vectors()
        self._passages = _Vectors()
        if bank is not None:
            bank.require(retriever.passage.fingerprint)

    def refusal(self, pair: Pair) -> str:
        """Empty: a retriever answers every pair."""
        return ""

    def prepare(self, queries: Sequence[Text], passages: Sequence[Text]) -> None:
        """Encodes all texts, in the order of their ids, so that the order of a file cannot change a batch."""
        queries = sorted(queries, key=lambda text: text.id)
        passages = sorted(passages, key=lambda text: text.id)
        self._queries.keep(queries, self._retriever.encode_query(queries, progress=self._progress))
        if self._bank is None:
            vectors = self._retriever.encode_passage(passages, progress=self._progress)
        else:
            vectors = self._bank.get([passage.id for passage in passages])
        self._passages.keep(passages, vectors)

    def search(self, eval_set: EvalSet, k: int) -> Run:
        """Finds the k best passages of each query within its pool, by exact search."""
        run: dict[str, dict[str, float]] = {}
        for queries, passages in _pools(eval_set):
            query_ids, passage_ids = [text.id for text in queries], [text.id for text in passages]
            table = VectorTable(passage_ids, self._passages.get(passage_ids))
            run |= search(self._queries.get(query_ids), query_ids, table, k=k)
        return run


class LexicalSystem:
    """BM25 with terms by script, within a language and across.

    A query is cut by the scripts that it is written in, as the passages are, and no rule looks at a language. So a pair
    of languages is searched like one language: what both sides share, names, numbers and related words, is found.

    Args:
        parts: Whether the parts of words are terms beside the words.
    """

    name = "BM25"

    def __init__(self, *, parts: bool = True) -> None:
        self._parts = parts
        self._kept: list[tuple[list[Text], LexicalIndex]] = []

    def refusal(self, pair: Pair) -> str:
        """Empty: a query without a shared term has no results and counts 0."""
        return ""

    def prepare(self, queries: Sequence[Text], passages: Sequence[Text]) -> None:
        """Does nothing: an index is made where it is searched."""

    def search(self, eval_set: EvalSet, k: int) -> Run:
        """Finds the k best passages of each query within its pool, by BM25."""
        run: dict[str, dict[str, float]] = {}
        for queries, passages in _pools(eval_set):
            run |= self._index(passages).search(queries, k=k)
        return run

    def _index(self, passages: list[Text]) -> LexicalIndex:
        """The index of the passages. The last ones are kept: each query language asks the same passages again."""
        index = next((index for kept, index in self._kept if kept == passages), None)
        self._kept = [one for one in self._kept if one[1] is not index]
        if index is None:
            index = LexicalIndex(passages, parts=self._parts)
        while self._kept and len(passages) + sum(len(kept) for kept, _ in self._kept) > KEPT_PASSAGES:
            del self._kept[0]
        self._kept.append((passages, index))
        return index


@dataclass(frozen=True)
class HybridFusion:
    """How dense and lexical search are joined.

    Attributes:
        fusion: `rrf`, by reciprocal ranks, or `weighted`, by scores brought to 0 … 1.
        weight: Share of the dense stage, 0 to 1.
        depth: Candidates of each stage, and at least as many as results are asked for.
    """

    fusion: Literal["rrf", "weighted"] = "rrf"
    weight: float = 0.5
    depth: int = CANDIDATES


class HybridSystem:
    """A dense system and BM25, fused as `isogloss search --hybrid` fuses them.

    Args:
        dense: The dense system.
        settings: How they are joined.
    """

    def __init__(self, dense: DenseSystem, settings: HybridFusion) -> None:
        self.name = f"{dense.name} + BM25 ({settings.fusion}, {settings.weight:g})"
        self._dense = dense
        self._lexical = LexicalSystem()
        self._settings = settings

    def refusal(self, pair: Pair) -> str:
        """Empty: both parts answer every pair."""
        return ""

    def prepare(self, queries: Sequence[Text], passages: Sequence[Text]) -> None:
        """Encodes all texts."""
        self._dense.prepare(queries, passages)

    def search(self, eval_set: EvalSet, k: int) -> Run:
        """Finds the k best passages of each query within its pool."""
        depth = max(k, self._settings.depth)
        dense, lexical = self._dense.search(eval_set, depth), self._lexical.search(eval_set, depth)
        names = list(dense)
        stages = [[dict(run.get(name, {})) for name in names] for run in (dense, lexical)]
        joined = fused(*stages, fusion=self._settings.fusion, weight=self._settings.weight, k=k)
        return dict(zip(names, joined, strict=True))


class _Vectors:
    """Vectors by text id."""

    def __init__(self) -> None:
        self._rows: Mapping[str, int] = {}
        self._matrix: NDArray[Any] = np.empty((0, 0), dtype=np.float32)

    def keep(self, texts: Sequence[Text], matrix: NDArray[Any]) -> None:
        self._rows = {text.id: row for row, text in enumerate(texts)}
        self._matrix = matrix

    def get(self, ids: Sequence[str]) -> NDArray[Any]:
        return self._matrix[[self._rows[name] for name in ids]]


def _pools(eval_set: EvalSet) -> list[tuple[list[Text], list[Text]]]:
    """Queries and passages of each pool that has both."""
    passages: dict[str | None, list[Text]] = defaultdict(list)
    queries: dict[str | None, list[Text]] = defaultdict(list)
    for text in eval_set.passages:
        passages[text.pool].append(text)
    for text in eval_set.queries:
        queries[text.pool].append(text)
    return [(found, passages[pool]) for pool, found in queries.items() if passages.get(pool)]
