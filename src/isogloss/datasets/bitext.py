"""Sentence retrieval between any two languages of a multi-way file (FLORES, Tatoeba rows): find the translation."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from isogloss.datasets.parallel import read_multiway
from isogloss.errors import DataError
from isogloss.records import EvalSet, Text


def read_bitext(
    path: Path,
    *,
    split: str | None = None,
    query_languages: Collection[str] | None = None,
    passage_languages: Collection[str] | None = None,
) -> EvalSet:
    """Reads a multi-way file as queries and passages.

    Args:
        path: A file as `read_parallel` takes it.
        split: These files have none; it must be None.
        query_languages: Normalised languages of the queries; all by default.
        passage_languages: Normalised languages of the passages; all by default.

    Raises:
        FileError: If the file cannot be read.
        DataError: With all broken lines, or if a split is asked for.
    """
    if split is not None:
        raise DataError(f"{path} has no splits", next_step="Leave the split out.")
    queries: list[Text] = []
    passages: list[Text] = []
    qrels: dict[str, dict[str, int]] = {}
    for identifier, texts in read_multiway(path):
        answering = [lang for lang in texts if passage_languages is None or lang in passage_languages]
        asking = [lang for lang in texts if query_languages is None or lang in query_languages]
        by_language = {lang: Text(f"{identifier}.{lang}", texts[lang], lang, parallel_id=identifier) for lang in texts}
        passages.extend(by_language[language] for language in answering)
        if answering:
            queries.extend(by_language[language] for language in asking)
        for language in asking if answering else ():
            # One passage stands for its translations: an evaluation set finds the others by their parallel id.
            answer = by_language[language if language in answering else answering[0]]
            qrels[by_language[language].id] = {answer.id: 1}
    name = path.name.removesuffix(".gz").removesuffix(".jsonl")
    note = "a sentence and its copy in the same language are one text: scores within a language are 1"
    return EvalSet(name, tuple(queries), tuple(passages), qrels, notes=(note,))
