"""Rows for CLEAR: a question, its passage, the question in another language, and questions that the passage leaves.

The translated question never meets a negative passage, and a negative query is one that the row's passage does not
answer. Negative queries are mined as the method's file proposes (ours): the questions in the language of the translated
one are ranked by similarity to the passage, those that it answers are dropped, and a window of ranks is drawn from.
Source of the method: Lee et al. 2026 (2604.05821).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from isogloss.errors import DataError
from isogloss.indexing.exact import VectorTable, search
from isogloss.models.retriever import Retriever
from isogloss.records import ParallelRow, Row, Text
from isogloss.training.mining.known_answers import KNOWN_ANSWER, NEAR_DUPLICATE, overlaps, text_key
from isogloss.training.mining.passages import Vectors, paired_scores, row_key
from isogloss.training.mining.selection import Selection, select_negatives
from isogloss.training.mining.settings import MiningSettings


def pair_questions(rows: Sequence[Row], translations: Iterable[ParallelRow]) -> list[Row]:
    """Gives each question its translations: one row for each of them.

    A row that has a `translated_query` stays as it is; of the others, those are taken whose question is in the language
    of their passage. A question is found in either column of a translation, whatever its case, spaces and signs.

    Args:
        rows: Questions with their passages.
        translations: Translation pairs of questions.

    Returns:
        The rows that have a translation, in their order, translations in the order of the pairs, none twice.

    Raises:
        DataError: If no question has a translation.
    """
    by_question: dict[tuple[bytes, str | None], list[tuple[str, str]]] = defaultdict(list)
    for pair in translations:
        source, target = (pair.parallel_source, pair.source_language), (pair.parallel_target, pair.target_language)
        for (text, language), other in ((source, target), (target, source)):
            by_question[text_key(text), language].append(other)
    paired = list(_paired(rows, by_question))
    if not paired:
        raise DataError(
            f"none of {len(rows)} questions has a translation",
            next_step="Give files of these very questions and their translations, or rows with translated_query.",
        )
    return paired


def _paired(rows: Sequence[Row], by_question: dict[tuple[bytes, str | None], list[tuple[str, str]]]) -> Iterator[Row]:
    seen = set()
    for row in rows:
        own = [(row.translated_query, row.translated_query_language)] if row.translated_query else []
        within_language = row.query_language == row.passage_language
        found = by_question.get((text_key(row.query), row.query_language), []) if within_language else []
        for text, language in own or found:
            new = replace(row, translated_query=text, translated_query_language=language)
            if row_key(new) not in seen:
                seen.add(row_key(new))
                yield new if own else replace(new, row_id=f"{row.row_id}.{language}")


@dataclass
class _Question:
    """A question of the pool, and the passages that are known to answer it."""

    text: str
    passages: dict[bytes, str] = field(default_factory=dict)


class QueryMiner:
    """Mines negative queries for rows with translated queries.

    The pool of a language is every question in it, plain or translated, of the rows it is made from.

    Args:
        retriever: The miner; queries keep their role although they are what is ranked here.
        rows: The rows with translated queries, and all others whose questions may serve.
        settings: How many, and which.
    """

    def __init__(self, retriever: Retriever, rows: Sequence[Row], settings: MiningSettings) -> None:
        self.retriever = retriever
        self.settings = settings
        self._questions: dict[str, _Question] = {}
        self._tables: dict[str | None, VectorTable] = {}
        ids_by_language: dict[str | None, list[str]] = defaultdict(list)
        for row in rows:
            for text, language in _askings(row):
                name = f"{language} {text_key(text).hex()}"
                if name not in self._questions:
                    self._questions[name] = _Question(text)
                    ids_by_language[language].append(name)
                self._questions[name].passages[text_key(row.passage)] = row.passage
        self._link(rows)
        wanted = {row.translated_query_language for row in rows if row.translated_query}
        for language in sorted(wanted, key=str):
            names = ids_by_language[language]
            texts = [Text(name, self._questions[name].text, language) for name in names]
            self._tables[language] = VectorTable(names, retriever.encode_query(texts))

    def mine(self, rows: Sequence[Row], passage_vectors: Vectors) -> list[Selection]:
        """The negative queries of each row, best first; `Negative.id` is for `text`.

        Args:
            rows: Rows with translated queries.
            passage_vectors: Vectors of their passages, shape (rows, dimension).
        """
        scores: Sequence[float | None] = [None] * len(rows)
        rule = self.settings.query_rule()
        if rule.needs_positive_score:
            translated = self.retriever.encode_query([row.translated_query or row.query for row in rows])
            scores = paired_scores(translated, passage_vectors)
        ranked: dict[int, list[tuple[str, float]]] = {}
        for language, table in self._tables.items():
            places = [place for place, row in enumerate(rows) if row.translated_query_language == language]
            names = [str(place) for place in places]
            run = search(passage_vectors[places], names, table, k=rule.last_rank, block=self.settings.block)
            ranked.update({place: list(run[name].items()) for place, name in zip(places, names, strict=True)})
        return [
            select_negatives(
                ranked[place],
                self.settings.negative_queries,
                rule,
                key=row_key(row),
                positive_score=scores[place],
                reason_against=partial(self._reason_against, row),
            )
            for place, row in enumerate(rows)
        ]

    def text(self, name: str) -> str:
        """The question of a `Negative.id`."""
        return self._questions[name].text

    def _link(self, rows: Sequence[Row]) -> None:
        """Lets a question and its translation share the passages that answer them."""
        for row in rows:
            names = [f"{language} {text_key(text).hex()}" for text, language in _askings(row)]
            together: dict[bytes, str] = {}
            for name in names:
                together |= self._questions[name].passages
            for name in names:
                self._questions[name].passages |= together

    def _reason_against(self, row: Row, name: str) -> str | None:
        answers = self._questions[name].passages
        if text_key(row.passage) in answers:
            return KNOWN_ANSWER
        limit = self.settings.near_duplicate
        if limit <= 1 and any(overlaps(row.passage, passage, limit) for passage in answers.values()):
            return NEAR_DUPLICATE
        return None


def _askings(row: Row) -> list[tuple[str, str | None]]:
    """A row's question in each language that it has it in."""
    translated = [(row.translated_query, row.translated_query_language)] if row.translated_query else []
    return [(row.query, row.query_language), *translated]
