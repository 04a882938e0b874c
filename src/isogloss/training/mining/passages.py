"""Negative passages: every row's query searches the bank, and `select_negatives` chooses in the ranked list.

The search is the exact one, block by block over the bank, once for each set of languages that rows ask for. Memory
grows with the rows and ranks that are mined at once, not with the bank's vectors.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.bank import Bank
from isogloss.indexing.exact import search
from isogloss.indexing.fixed_point import exact_pair_scores, fixed_point
from isogloss.indexing.ranking import PassageOrder
from isogloss.models.retriever import Retriever
from isogloss.records import Row, Text
from isogloss.training.mining.known_answers import CACHED_TEXTS, KnownAnswers, letters, text_key
from isogloss.training.mining.selection import Negative, Selection, select_negatives, shares
from isogloss.training.mining.settings import MiningSettings

ALREADY_CHOSEN = "chosen already"
UNREADABLE = "query without a known token"
Vectors = NDArray[np.float32]


class PassageMiner:
    """Mines negative passages for rows, a part of them at a time.

    Args:
        retriever: The miner; its passage tower made the bank.
        bank: The passages.
        known: What answers the rows' questions.
        settings: How many, and which.
    """

    def __init__(self, retriever: Retriever, bank: Bank, known: KnownAnswers, settings: MiningSettings) -> None:
        self.retriever = retriever
        self.bank = bank
        self.known = known
        self.settings = settings
        self.text = lru_cache(maxsize=CACHED_TEXTS)(bank.text)
        self._counts = _counts(settings)
        self._order = PassageOrder(bank.ids)
        languages = [language or "" for language in bank.languages]
        self._numbers = {language: number for number, language in enumerate(sorted(set(languages)))}
        self._codes = np.asarray([self._numbers[language] for language in languages], dtype=np.int32)

    def mine(self, rows: Sequence[Row]) -> list[Selection]:
        """The negative passages of each row, best score first; none for a query that the tokenizer knows nothing of."""
        # One such query among a million is no reason to stop after hours.
        queries = self.retriever.encode([row.query for row in rows], role="query", unreadable="zeros")
        readable: list[bool] = np.any(queries != 0, axis=1).tolist()
        rule = self.settings.passage_rule()
        scores = self._positive_scores(rows, queries) if rule.needs_positive_score else [None] * len(rows)
        chosen: list[list[Negative]] = [[] for _ in rows]
        excluded: list[Counter[str]] = [Counter() if known else Counter({UNREADABLE: 1}) for known in readable]
        for name, count in self._counts.items():
            for place, ranked in self._ranked(rows, queries, readable, name).items():
                row = rows[place]
                taken = {negative.id for negative in chosen[place]}
                selection = select_negatives(
                    ranked,
                    count,
                    rule,
                    key=row_key(row),
                    positive_score=scores[place],
                    reason_against=partial(self._reason_against, row, taken),
                    reason_against_drawn=partial(self._reason_against_drawn, row),
                )
                chosen[place] += selection.negatives
                excluded[place].update(selection.excluded)
        return [
            Selection(tuple(sorted(negatives, key=lambda found: -found.score)), counts)
            for negatives, counts in zip(chosen, excluded, strict=True)
        ]

    def whole_text(self, passage: Text) -> str:
        """A passage as a row has its negatives: with its title before it."""
        return self.retriever.passage.whole_text(passage)

    def passage_vectors(self, rows: Sequence[Row]) -> Vectors:
        """Vectors of the rows' passages, shape (rows, dimension): the stored ones where the bank has these texts."""
        places = [self.known.places.get(text_key(row.passage)) for row in rows]
        vectors = np.empty((len(rows), self.bank.dimension), dtype=np.float32)
        stored = [number for number, place in enumerate(places) if place is not None]
        missing = [number for number, place in enumerate(places) if place is None]
        if stored:
            vectors[stored] = self.bank.get([place for place in places if place is not None])
        if missing:
            texts = [Text(row_key(row), row.passage, row.passage_language, row.title) for row in rows]
            missed = [texts[number] for number in missing]
            vectors[missing] = self.retriever.encode(missed, role="passage", unreadable="zeros")
        return vectors

    def _positive_scores(self, rows: Sequence[Row], queries: Vectors) -> Sequence[float]:
        return paired_scores(queries, self.passage_vectors(rows))

    def _reason_against(self, row: Row, taken: set[str], candidate: str) -> str | None:
        return ALREADY_CHOSEN if candidate in taken else self.known.labelled_reason(row, self.text(candidate))

    def _reason_against_drawn(self, row: Row, candidate: str) -> str | None:
        return self.known.copied_reason(row, self.text(candidate))

    def _ranked(
        self, rows: Sequence[Row], queries: Vectors, readable: Sequence[bool], name: str
    ) -> dict[int, list[tuple[str, float]]]:
        """Ids and scores of the best passages for each readable row's place, among those of its languages."""
        groups: dict[tuple[str, bool], list[int]] = defaultdict(list)
        for place, row in enumerate(rows):
            if readable[place]:
                groups[_wanted(row, name)].append(place)
        ranked: dict[int, list[tuple[str, float]]] = {}
        for (language, inside), places in groups.items():
            allowed = None if name == "any" else (self._codes == self._numbers.get(language, -1)) == inside
            run = search(
                queries[places],
                [str(place) for place in places],
                self.bank,
                k=self.settings.ranks[1],
                block=self.settings.block,
                allowed=allowed,
                order=self._order,
            )
            ranked.update({place: list(run[str(place)].items()) for place in places})
        return ranked


def searched(rows: Sequence[Row], passages: Mapping[str, int], settings: MiningSettings) -> list[float]:
    """Passages that a row is compared with on average, for each set of languages that rows search.

    Args:
        rows: The rows.
        passages: How many there are of each language.
        settings: Which sets.
    """
    total = sum(passages.values())
    means = []
    for name in _counts(settings):
        wanted = Counter(_wanted(row, name) for row in rows)
        compared = sum(
            times
            * (total if name == "any" else passages.get(language, 0) if inside else total - passages.get(language, 0))
            for (language, inside), times in wanted.items()
        )
        means.append(compared / max(len(rows), 1))
    return means


def _counts(settings: MiningSettings) -> dict[str, int]:
    """Negatives of a row from each set of languages."""
    return {name: part for name, part in shares(settings.negatives, settings.languages).items() if part}


def row_key(row: Row) -> str:
    """What a row's draw depends on: its texts alone, so that neither its place nor its file changes it."""
    return "\n".join((letters(row.query), letters(row.passage), letters(row.translated_query or "")))


def paired_scores(queries: Vectors, passages: Vectors) -> list[float]:
    """Dot product of each pair of rows, float32, with the very bits that a search gives it."""
    scores: list[float] = exact_pair_scores(fixed_point(queries), fixed_point(passages)).tolist()
    return scores


def _wanted(row: Row, name: str) -> tuple[str, bool]:
    """A language, and whether passages in it are wanted or all others."""
    if name == "any":
        return "", False
    if name in ("same", "other"):
        return row.passage_language or "", name == "same"
    return (row.query_language or "" if name == "query" else name), True
