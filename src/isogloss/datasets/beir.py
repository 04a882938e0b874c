"""BEIR folders, with or without languages.

    corpus.jsonl[.gz]   {"_id", "title", "text", "lang"?, "pair"?, "metadata"?}
    queries.jsonl[.gz]  {"_id", "text", "lang"?, "metadata"?}
    qrels/<split>.tsv   query-id, corpus-id, score

The same records may lie in other files, such as parquet, or in those of several languages: see `beir_files`.

`lang` is our addition. Texts are translations of each other where `metadata.parallel_id` says so, or where their ids
differ only in an ending `.<lang>` that equals the record's own `lang`. Passages with a `pair` are a pool of their own:
a query looks only among those whose `pair` is its own, or its language.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from isogloss.datasets.beir_files import beir_files, complete_files, missing_file
from isogloss.datasets.collecting import MEND, Judgements, Languages, Texts, finish, read_id, read_string
from isogloss.datasets.parquet import RECORD_ENDINGS, read_records
from isogloss.datasets.shipped import shipped_folder
from isogloss.errors import DataError, Fault, UnknownLanguageError, raise_faults
from isogloss.files import check_file, check_folder
from isogloss.files.trec import QRELS_HEADER, collect_grades, located_qrels
from isogloss.languages import normalize
from isogloss.records import EvalSet, Text

_OWN_KEYS = frozenset(("_id", "id", "title", "text", "lang", "language", "pair", "metadata"))
_ID = ("_id", "id")
_EXPECTED = (
    'A corpus is a file of lines such as {"_id": "1", "text": "…", "lang": "de"}, one passage a line, '
    "in .jsonl, .jsonl.gz or .parquet."
)


def read_beir(path: Path, *, split: str | None = None) -> EvalSet:
    """Reads a BEIR folder.

    Args:
        path: The folder.
        split: Name of the file in `qrels/`; by default `test`, or the only one.

    Raises:
        FileError: If a file is missing or cannot be read.
        DataError: With all faults of all files.
        MissingExtraError: If files are parquet and `pyarrow` is not installed.
    """
    folder = check_folder(path)
    languages = Languages([])
    queries, passages = Texts("query", languages.faults), Texts("passage", languages.faults)
    judgements = Judgements(languages.faults)
    chosen = complete_files(folder, split)
    for files in chosen:
        language = languages.read(files.language, str(folder))
        # One id may stand in several languages, for texts that are no translations of each other.
        ending = f".{language or files.language}" if len(chosen) > 1 else ""
        _add_texts(passages, files.corpus, languages, language, ending)
        _add_texts(queries, files.queries, languages, language, ending)
        for place in files.qrels:
            judged = _located_qrels(place, languages.faults)
            # Where nothing was read that is one fault, and not one more for each judgement.
            if queries.found and passages.found:
                judgements.add_file(judged, place, queries, passages, ending)
    _assign_pools(queries, passages)
    return finish(folder.resolve().name, folder, queries, passages, judgements.qrels, languages.faults)


def read_corpus(path: str | Path) -> list[Text]:
    """Reads passages alone.

    Args:
        path: A `corpus.jsonl[.gz]` or parquet file, a BEIR folder with passages in one language or with languages of
            their own, or the name of a set that comes with isogloss.

    Raises:
        FileError: If the file is missing or cannot be read.
        DataError: With all its faults.
    """
    place = shipped_folder(str(path)) or Path(path)
    languages = Languages([])
    texts = Texts("passage", languages.faults)
    _add_texts(texts, _corpus(place), languages)
    if not texts.found and place.is_file() and _is_other_text(languages.faults):
        raise DataError(f"{place} holds no JSON lines", faults=languages.faults[:1], next_step=_EXPECTED)
    raise_faults(DataError, str(place), languages.faults, MEND)
    return list(texts.found.values())


def _is_other_text(faults: list[Fault]) -> bool:
    """Whether every line of a file failed as JSON: it is of another kind, and to list its lines would not help."""
    return bool(faults) and all(fault.message.startswith(("broken JSON", "no JSON object")) for fault in faults)


def _corpus(place: Path) -> tuple[Path, ...]:
    if not place.is_dir():
        return (check_file(place),)
    corpus = next((files.corpus for files in beir_files(place) if not files.language), ())
    if not corpus:
        raise missing_file(place, "corpus")
    return corpus


def _located_qrels(place: Path, faults: list[Fault]) -> list[tuple[str, dict[str, int], dict[str, int]]]:
    if place.name.endswith(RECORD_ENDINGS):
        return collect_grades(place, _written_grades(place, faults), faults)
    return located_qrels(place, faults=faults)


def _written_grades(place: Path, faults: list[Fault]) -> Iterator[tuple[int, str, str, str]]:
    for number, record in read_records(place, [(key,) for key in QRELS_HEADER], faults):
        where = f"{place}:{number}"
        query, passage = (read_id(record, (key,), where, faults) for key in QRELS_HEADER[:2])
        grade = record.get(QRELS_HEADER[2])
        if grade is None:
            faults.append(Fault(where, f"'{QRELS_HEADER[2]}' is missing"))
        elif query is not None and passage is not None:
            yield number, query, passage, str(grade)


def _add_texts(
    texts: Texts, places: Iterable[Path], languages: Languages, language: str | None = None, ending: str = ""
) -> None:
    """Adds the texts of files.

    Args:
        texts: Where to.
        places: JSON lines or parquet.
        languages: Reader of their tags.
        language: The language of those that name none.
        ending: What their ids are to have beyond those in the files.
    """
    for text, where in stream_texts(places, languages):
        if language is not None:
            text = replace(text, id=text.id + ending, language=text.language or language)
        texts.add(text, where)


def stream_texts(places: Iterable[Path], languages: Languages) -> Iterator[tuple[Text, str]]:
    """Yields the texts of files and their places; what is no text becomes a fault of `languages`.

    Args:
        places: JSON lines or parquet.
        languages: Reader of their tags.
    """
    for place in places:
        for number, record in read_records(place, (_ID, ("text",)), languages.faults):
            where = f"{place}:{number}"
            text = _text(record, where, languages)
            if text is not None:
                yield text, where


def _text(record: dict[str, Any], where: str, languages: Languages) -> Text | None:
    faults = languages.faults
    identifier = read_id(record, _ID, where, faults)
    content = read_string(record, ("text",), where, faults)
    title = "" if record.get("title") is None else record["title"]
    if not isinstance(title, str):
        faults.append(Fault(where, f"'title' is no string but {type(title).__name__}"))
        return None
    metadata = {} if record.get("metadata") is None else record["metadata"]
    if not isinstance(metadata, dict):
        faults.append(Fault(where, f"'metadata' is no object but {type(metadata).__name__}"))
        return None
    if identifier is None or content is None:
        return None
    written = record.get("lang", record.get("language"))
    language = languages.read(written, where)
    extra = {key: value for key, value in record.items() if key not in _OWN_KEYS}
    return Text(
        id=identifier,
        text=content,
        language=language,
        title=title,
        parallel_id=_parallel_id(identifier, written, language, metadata),
        pool=_pool(record.get("pair")),
        metadata={**metadata, **extra} or None,
    )


def _parallel_id(identifier: str, written: object, language: str | None, metadata: dict[str, Any]) -> str | None:
    if metadata.get("parallel_id") is not None:
        return str(metadata["parallel_id"])
    stem, dot, ending = identifier.rpartition(".")
    return stem if dot and stem and language is not None and ending in (written, language) else None


def _pool(pair: object) -> str | None:
    """The pool's name; a language in any spelling, so that a query's own language finds it."""
    if pair is None or pair == "":
        return None
    try:
        return normalize(str(pair))
    except UnknownLanguageError:
        return str(pair)


def _assign_pools(queries: Texts, passages: Texts) -> None:
    pools = {passage.pool for passage in passages.found.values()} - {None}
    if not pools:
        return
    for identifier, query in queries.found.items():
        if query.pool is None and query.language in pools:
            queries.found[identifier] = replace(query, pool=query.language)
