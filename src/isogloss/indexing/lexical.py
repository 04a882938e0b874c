"""BM25 over terms that fit the script of each text (`tokens`), with the order and the run type of exact search."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from isogloss.errors import DataError, Fault, raise_faults
from isogloss.indexing.ranking import PassageOrder, largest, ranking_keys
from isogloss.indexing.tokens import terms
from isogloss.records import Text

LONG_PASSAGE = 40
UNCUT_SHARE = 0.1


class LexicalIndex:
    """A BM25 index in memory.

    Args:
        passages: Passages with unique ids; a title is searched with its text.
        k1: Saturation of a term's frequency.
        b: Share of the normalisation by length.

    Raises:
        DataError: No passages, an id twice, or a language whose text the tokenizer does not cut into terms.
    """

    def __init__(self, passages: Sequence[Text], *, k1: float = 1.5, b: float = 0.75) -> None:
        import bm25s

        if not passages:
            raise DataError("There are no passages to index", next_step="Check the corpus and the chosen languages.")
        self._order = PassageOrder([passage.id for passage in passages])
        tokens = [terms(f"{passage.title} {passage.text}") for passage in passages]
        _check_cut(passages, tokens)
        self._vocabulary = {term: number for number, term in enumerate(sorted(set().union(*tokens)))}
        self._scorer: Any = bm25s.BM25(method="lucene", k1=k1, b=b)
        if self._vocabulary:
            numbers = [[self._vocabulary[term] for term in passage] for passage in tokens]
            self._scorer.index((numbers, self._vocabulary), show_progress=False)

    def search(self, queries: Sequence[Text], *, k: int = 100) -> dict[str, dict[str, float]]:
        """Finds the k best passages of each query among those that share a term with it.

        Returns:
            Run: query id to passage id to score, best first; a query without a shared term has no results.
        """
        return {query.id: self._results(terms(query.text), k) for query in queries}

    def _results(self, query_terms: Sequence[str], k: int) -> dict[str, float]:
        numbers = [self._vocabulary[term] for term in query_terms if term in self._vocabulary]
        if not numbers:
            return {}
        scores = np.asarray(self._scorer.get_scores_from_ids(numbers), dtype=np.float32)
        found = np.flatnonzero(scores > 0)
        return self._order.results(largest(ranking_keys(scores[None, found], self._order.places[found]), k)[0])


def _check_cut(passages: Sequence[Text], tokens: Sequence[Sequence[str]]) -> None:
    """Refuses languages in which long passages come out as one term: their scores would say nothing."""
    long: dict[str, int] = defaultdict(int)
    uncut: dict[str, int] = defaultdict(int)
    for passage, found in zip(passages, tokens, strict=True):
        if len(passage.text) >= LONG_PASSAGE:
            language = passage.language or "und"
            long[language] += 1
            uncut[language] += len(found) <= 1
    faults = [
        Fault(language, f"{uncut[language]} of {long[language]} long passages have at most one term")
        for language in sorted(long)
        if uncut[language] > UNCUT_SHARE * long[language]
    ]
    next_step = "Leave them out of the lexical index, or segment their text."
    raise_faults(DataError, "No tokenizer for these languages", faults, next_step)
