"""BM25 over terms that fit the script of each text (`tokens`), with the order and the run type of exact search."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import DataError, Fault, raise_faults
from isogloss.files import file_errors, read_json, write_json
from isogloss.indexing.ranking import PassageOrder, largest, ranking_keys
from isogloss.indexing.tokens import Segmenter, terms
from isogloss.records import Text

LONG_PASSAGE = 40
UNCUT_SHARE = 0.1
PASSAGES_NAME = "passages.json"
SCORES_NAME = "bm25"


class LexicalIndex:
    """A BM25 index in memory.

    Args:
        passages: Passages with unique ids; a title is searched with its text.
        k1: Saturation of a term's frequency.
        b: Share of the normalisation by length.
        segmenters: By script, what cuts unspaced text into words; see `segmenters`.

    Raises:
        DataError: No passages, an id twice, or a language whose text the tokenizer does not cut into terms.
    """

    def __init__(
        self,
        passages: Iterable[Text],
        *,
        k1: float = 1.5,
        b: float = 0.75,
        segmenters: Mapping[str, Segmenter] | None = None,
    ) -> None:
        import bm25s

        passages = list(passages)
        self._segmenters = segmenters or {}

        if not passages:
            raise DataError("There are no passages to index", next_step="Check the corpus and the chosen languages.")
        self._order = PassageOrder([passage.id for passage in passages])
        self._languages = np.array([passage.language or "" for passage in passages])
        tokens = [terms(f"{passage.title} {passage.text}", self._segmenters) for passage in passages]
        _check_cut(passages, tokens)
        self._vocabulary = {term: number for number, term in enumerate(sorted(set().union(*tokens)))}
        self._scorer: Any = bm25s.BM25(method="lucene", k1=k1, b=b)
        if self._vocabulary:
            numbers = [[self._vocabulary[term] for term in passage] for passage in tokens]
            self._scorer.index((numbers, self._vocabulary), show_progress=False)

    def __len__(self) -> int:
        return len(self._order.ids)

    def search(
        self,
        queries: Sequence[Text],
        *,
        k: int = 100,
        languages: Sequence[str] = (),
        allowed: Collection[str] | None = None,
    ) -> dict[str, dict[str, float]]:
        """Finds the k best passages of each query among those that share a term with it.

        Args:
            queries: Queries with ids of their own.
            k: Results per query.
            languages: Normalised languages of the passages that may be found; all where there are none.
            allowed: Ids of the passages that may be found; all where it is None.

        Returns:
            Run: query id to passage id to score, best first; a query without a shared term has no results.
        """
        mask = np.isin(self._languages, list(languages)) if languages else None
        if allowed is not None:
            names = frozenset(allowed)
            among = np.array([self._order.ids[place] in names for place in self._order.places.tolist()], dtype=np.bool_)
            mask = among if mask is None else mask & among
        return {query.id: self._results(terms(query.text, self._segmenters), k, mask) for query in queries}

    def save(self, folder: Path) -> None:
        """Writes the index into a folder that exists."""
        passages = {"ids": self._ids(), "languages": self._languages.tolist(), "terms": len(self._vocabulary)}
        write_json(folder / PASSAGES_NAME, passages)
        if self._vocabulary:
            self._scorer.save(folder / SCORES_NAME, show_progress=False)

    @classmethod
    def load(cls, folder: Path, *, segmenters: Mapping[str, Segmenter] | None = None) -> LexicalIndex:
        """Opens what `save` wrote, with the segmenters that it was made with; scores are memory maps.

        Raises:
            FileError: If a file is missing.
            DataError: If a file is broken.
        """
        import bm25s

        passages = read_json(folder / PASSAGES_NAME)
        index = cls.__new__(cls)
        index._segmenters = segmenters or {}
        index._order = PassageOrder(passages["ids"])
        index._languages = np.array(passages["languages"])
        index._vocabulary = {}
        if passages["terms"]:
            with file_errors(folder, "read"):
                index._scorer = bm25s.BM25.load(folder / SCORES_NAME, mmap=True, show_progress=False)
            index._vocabulary = index._scorer.vocab_dict
        return index

    def _ids(self) -> list[str]:
        """Ids in the order of the passages."""
        return [self._order.ids[place] for place in self._order.places.tolist()]

    def _results(self, query_terms: Sequence[str], k: int, mask: NDArray[np.bool_] | None) -> dict[str, float]:
        numbers = [self._vocabulary[term] for term in query_terms if term in self._vocabulary]
        if not numbers:
            return {}
        scores = np.asarray(self._scorer.get_scores_from_ids(numbers), dtype=np.float32)
        found = np.flatnonzero(scores > 0 if mask is None else (scores > 0) & mask)
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
