"""BM25 over terms that fit the script of each text (`tokens`), with the order and the run type of exact search.

A word's parts are terms beside it. On XQuAD they lift nDCG@10 from 0.927 to 0.962 (mean of 12 languages), on questions
written in German, Hebrew and Italian by 0.04 to 0.10, at three times the space (`docs/scores.md`).
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import DataError, Fault, raise_faults
from isogloss.files import file_errors, read_json, write_json
from isogloss.indexing.ranking import PassageOrder, largest, ranking_keys
from isogloss.indexing.tokens import Segmenter, marked_terms, word_parts
from isogloss.records import Text

LONG_PASSAGE = 40
# A long passage counts as uncut if its terms have more characters on average. Measured on 160 passages in each of 222
# languages: of those that are cut, Malayalam has the most, 12 %, but for one whose texts have lost half their spaces;
# words alone would leave 85 to 95 % of Thai, Japanese, Burmese, Shan, Lao and Khmer so, 70 % of traditional Chinese.
UNCUT_LENGTH = 10
UNCUT_SHARE = 2 / 3
FEWEST_LONG = 20  # long passages from which a language is refused: of fewer, one odd one may be most
TOLD_SHARE = 0.2
PASSAGES_NAME = "passages.json"
SCORES_NAME = "bm25"


class LexicalIndex:
    """A BM25 index in memory.

    Args:
        passages: Passages with unique ids; a title is searched with its text.
        k1: Saturation of a term's frequency.
        b: Share of the normalisation by length.
        segmenters: By script, what cuts unspaced text into words; see `segmenters`.
        without: Normalised languages whose passages are left out.
        parts: Whether the parts of words are terms beside the words.

    Attributes:
        parts: Whether they are.
        without: The languages that are left out, sorted.
        left_out: How many passages are.
        uncut: Languages in which some long passages came out uncut, written without their spaces perhaps, with how many
            of how many; words do not find those.

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
        without: Collection[str] = (),
        parts: bool = True,
    ) -> None:
        from isogloss.indexing.bm25_matrix import NumberedPassages, bm25_of

        self._segmenters = segmenters or {}
        self.without = tuple(sorted(without))
        self.parts = parts
        self.left_out = 0
        self._vocabulary: dict[str, int] = {}
        ids: list[str] = []
        languages: list[str] = []
        numbers = array("i")
        lengths = array("q")
        known: dict[tuple[str, bool], array[int]] = {}
        cut = _Cut()
        for passage in passages:
            if passage.language in self.without:
                self.left_out += 1
                continue
            found = list(marked_terms(f"{passage.title} {passage.text}", self._segmenters))
            cut.look_at(passage, [term for term, _ in found])
            ids.append(passage.id)
            languages.append(passage.language or "")
            before = len(numbers)
            for term in found:
                if term not in known:
                    known[term] = array("i", [self._number(one) for one in self._with_parts(*term)])
                numbers.extend(known[term])
            lengths.append(len(numbers) - before)
        if not ids:
            raise DataError("There are no passages to index", next_step="Check the corpus and the chosen languages.")
        self._order = PassageOrder(ids)
        self._languages = np.array(languages)
        cut.check()
        self.uncut = cut.uncut()
        known.clear()  # as large as the vocabulary
        if self._vocabulary:
            self._scorer: Any = bm25_of(NumberedPassages(numbers, lengths, self._vocabulary), k1=k1, b=b)

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
        return {query.id: self._results(self._terms(query.text), k, mask) for query in queries}

    def save(self, folder: Path) -> None:
        """Writes the index into a folder that exists."""
        passages = {
            "ids": self._ids(),
            "languages": self._languages.tolist(),
            "terms": len(self._vocabulary),
            "without": list(self.without),
            "parts": self.parts,
            "left_out": self.left_out,
            "uncut": self.uncut,
        }
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
        index.without = tuple(passages.get("without", ()))
        index.parts = passages.get("parts", True)
        index.left_out = passages.get("left_out", 0)
        index.uncut = {language: tuple(counts) for language, counts in passages.get("uncut", {}).items()}
        index._vocabulary = {}
        if passages["terms"]:
            with file_errors(folder, "read"):
                index._scorer = bm25s.BM25.load(folder / SCORES_NAME, mmap=True, show_progress=False)
            index._vocabulary = index._scorer.vocab_dict
        return index

    def _number(self, term: str) -> int:
        return self._vocabulary.setdefault(term, len(self._vocabulary))

    def _terms(self, text: str) -> list[str]:
        return [one for term in marked_terms(text, self._segmenters) for one in self._with_parts(*term)]

    def _with_parts(self, term: str, is_word: bool) -> list[str]:
        return [term, *word_parts(term)] if is_word and self.parts else [term]

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


class _Cut:
    """Counts, by language, the long passages whose text came out uncut: their scores say nothing."""

    def __init__(self) -> None:
        self._long: Counter[str] = Counter()
        self._uncut: Counter[str] = Counter()

    def look_at(self, passage: Text, found: Sequence[str]) -> None:
        if len(passage.text) >= LONG_PASSAGE:
            language = passage.language or "und"
            self._long[language] += 1
            self._uncut[language] += sum(map(len, found)) > UNCUT_LENGTH * len(found) or not found

    def check(self) -> None:
        """Refuses languages in which most are."""
        faults = [
            Fault(language, f"{uncut} of {long} long passages have no terms, or such of over {UNCUT_LENGTH} characters")
            for language, (uncut, long) in self._counts(UNCUT_SHARE).items()
            if long >= FEWEST_LONG
        ]
        options = " ".join(f"--no-words {fault.where}" for fault in faults)
        next_step = f"Leave them out: isogloss index --out INDEX {options}; or install a segmenter for their script."
        raise_faults(DataError, "No tokenizer for these languages", faults, next_step)

    def uncut(self) -> dict[str, tuple[int, int]]:
        """Uncut and all long passages of languages in which some are."""
        return self._counts(TOLD_SHARE)

    def _counts(self, share: float) -> dict[str, tuple[int, int]]:
        found = {language: (self._uncut[language], self._long[language]) for language in sorted(self._long)}
        return {language: (uncut, long) for language, (uncut, long) in found.items() if uncut > share * long}
