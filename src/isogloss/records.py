"""The records that flow through isogloss: texts with a language, training rows, and evaluation sets.

Field names are the roles of the five methods. Texts are stored without prompts; a tower adds them by role.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from isogloss.errors import Fault, UsageError, raise_faults

Role = Literal["query", "passage"]
Qrels = Mapping[str, Mapping[str, int]]
Run = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Text:
    """A query or a passage of a collection.

    Attributes:
        id: Identifier, unique among the queries or the passages of its collection.
        text: The text, without a prompt.
        language: Normalised language tag, or None where the collection does not say.
        title: Title of the passage, empty where there is none.
        parallel_id: Texts with one parallel id are translations of each other.
        pool: A query is searched only among the passages of its pool; None is the pool of all that name none.
        metadata: Anything else that the source says of the text.
    """

    id: str
    text: str
    language: str | None = None
    title: str = ""
    parallel_id: str | None = None
    pool: str | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class GeneratedQuery:
    """A query that a generator wrote for a passage.

    Attributes:
        text: The query.
        language: The language that it was asked for in.
        weight: How much a method trusts it, from 0 to 1.
        provenance: Generator, seed, decoding and what filters found.
    """

    text: str
    language: str
    weight: float = 1.0
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """A training row: a query, a passage that answers it, and what a method needs beside them.

    Attributes:
        answers: Short answers to the query, which a passage that is no answer does not contain.
        teacher_scores: A teacher's scores of the candidates: the passage first, then the negative passages in order.
        generated_queries: Queries that a generator wrote for the passage.
        values: Further numbers by name: one, or as many as there are `teacher_scores`.
    """

    query: str
    passage: str
    query_language: str | None = None
    passage_language: str | None = None
    row_id: str = ""
    passage_id: str = ""
    title: str = ""
    negative_passages: tuple[str, ...] = ()
    negative_passage_ids: tuple[str, ...] = ()
    translated_query: str | None = None
    translated_query_language: str | None = None
    negative_queries: tuple[str, ...] = ()
    source: str = ""
    task_type: str = "question"
    answers: tuple[str, ...] = ()
    teacher_scores: tuple[float, ...] = ()
    generated_queries: tuple[GeneratedQuery, ...] = ()
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ParallelRow:
    """A translation pair: two sentences with one meaning in two languages."""

    parallel_source: str
    parallel_target: str
    source_language: str
    target_language: str
    pair_id: str = ""
    source: str = ""


@dataclass(frozen=True)
class EvalSet:
    """Queries, passages and relevance judgements, with any pair of languages to be had from them.

    Attributes:
        name: Short name, used in file names and tables.
        queries: Queries, ids unique.
        passages: Passages, ids unique.
        qrels: Grades by query id and passage id; a grade above 0 is relevant.
        licence: Licence of the texts, empty where unknown.
    """

    name: str
    queries: tuple[Text, ...]
    passages: tuple[Text, ...]
    qrels: Qrels
    licence: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def query_languages(self) -> tuple[str, ...]:
        """Languages of the queries, sorted."""
        return tuple(sorted({text.language for text in self.queries if text.language}))

    @property
    def passage_languages(self) -> tuple[str, ...]:
        """Languages of the passages, sorted."""
        return tuple(sorted({text.language for text in self.passages if text.language}))

    def pair(self, query_language: str, passage_language: str) -> EvalSet:
        """The set with queries of one language and passages of one language.

        A passage is relevant if it is judged so, or if it is the translation of one that is. Queries without a relevant
        passage in `passage_language` are left out and counted in `notes`.
        """
        passages = tuple(text for text in self.passages if text.language == passage_language)
        queries = tuple(text for text in self.queries if text.language == query_language)
        return self._restricted(f"{self.name}.{query_language}-{passage_language}", queries, passages)

    def mixed_pool(self) -> EvalSet:
        """The set with all queries over all passages, every translation of a relevant passage being relevant."""
        return self._restricted(f"{self.name}.mixed", self.queries, self.passages)

    def select(
        self, *, query_languages: Collection[str] | None = None, passage_languages: Collection[str] | None = None
    ) -> EvalSet:
        """The set with only some languages.

        Args:
            query_languages: Normalised languages of the queries to keep; all where None.
            passage_languages: Normalised languages of the passages to keep. Every translation among them of a relevant
                passage is then relevant. Where None, passages and judgements stay as they are.

        Raises:
            UsageError: If the set has none of a language asked for.
        """
        faults = [
            Fault(f"{role}_languages", f"'{tag}' has no text in {self.name}", f"it has: {', '.join(has)}")
            for role, wanted, has in (
                ("query", query_languages, self.query_languages),
                ("passage", passage_languages, self.passage_languages),
            )
            for tag in wanted or ()
            if tag not in has
        ]
        raise_faults(UsageError, self.name, faults, "Choose among the languages that it has.")
        queries = self.queries
        if query_languages is not None:
            queries = tuple(text for text in queries if text.language in query_languages)
        if passage_languages is None:
            return replace(self, queries=queries, qrels={text.id: self.qrels[text.id] for text in queries})
        passages = tuple(text for text in self.passages if text.language in passage_languages)
        return self._restricted(self.name, queries, passages)

    def _restricted(self, name: str, queries: tuple[Text, ...], passages: tuple[Text, ...]) -> EvalSet:
        kept = {passage.id for passage in passages}
        translations: dict[str, list[str]] = defaultdict(list)
        for passage in passages:
            if passage.parallel_id is not None:
                translations[passage.parallel_id].append(passage.id)
        parallel_id = {passage.id: passage.parallel_id for passage in self.passages}
        qrels: dict[str, dict[str, int]] = {}
        for query in queries:
            grades = _translated_grades(self.qrels.get(query.id, {}), kept, parallel_id, translations)
            if any(grade > 0 for grade in grades.values()):
                qrels[query.id] = grades
        answered = tuple(query for query in queries if query.id in qrels)
        dropped = len(queries) - len(answered)
        notes = (f"{dropped} of {len(queries)} queries have no relevant passage here",) if dropped else ()
        return replace(self, name=name, queries=answered, passages=passages, qrels=qrels, notes=notes)


def _translated_grades(
    grades: Mapping[str, int],
    kept: set[str],
    parallel_id: Mapping[str, str | None],
    translations: Mapping[str, list[str]],
) -> dict[str, int]:
    """Grades of the kept passages: those judged, and the translations of those judged, which inherit the grade."""
    found: dict[str, int] = {}
    for passage_id, grade in grades.items():
        family = parallel_id.get(passage_id)
        targets = translations.get(family, []) if family is not None else []
        for target in (*targets, *([passage_id] if passage_id in kept else [])):
            found[target] = max(grade, found.get(target, grade))
    return found
