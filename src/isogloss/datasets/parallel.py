"""Parallel text: translation pairs from two-column files and from files with many languages per line.

en-de.tsv[.gz]  no header; text in the first language, a tab, text in the second
*.jsonl[.gz]    {"_id": …, "en": …, "de": …, …}; keys that begin with `_` are no languages (`id` is Indonesian)
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from isogloss.datasets.collecting import MEND, Languages
from isogloss.datasets.frames import as_file, is_table
from isogloss.datasets.rows import KEYS_OF_ROWS
from isogloss.errors import DataError, Fault, UsageError, raise_faults
from isogloss.files import read_jsonl, read_lines
from isogloss.files.reading import shorten
from isogloss.languages import normalize
from isogloss.records import ParallelRow

_FILE_NAME = re.compile(r"(?:.*\.)?([a-z]{2,3}(?:_[A-Za-z]{4})?)-([a-z]{2,3}(?:[-_][A-Za-z]{2,4})?)\.tsv(?:\.gz)?$")


def read_parallel(
    path: Any,
    *,
    pairs: Iterable[tuple[str, str]] | None = None,
    source: str | None = None,
) -> list[ParallelRow]:
    """Reads translation pairs.

    Args:
        path: A two-column TSV or a multi-way JSON-lines file, compressed where its name ends in `.gz`; or a data set of
            Hugging Face, a data frame, or a list of objects, with a column for each language.
        pairs: (source language, target language), which a multi-way file needs unless English to all others is meant.
            For a TSV one pair: the languages of its columns, by default those of its name (`en-de.tsv`).
        source: Name recorded in each row; by default the file's name.

    Returns:
        The rows; for a multi-way file line by line, pairs in the order given, missing sentences left out.

    Raises:
        FileError: If the file cannot be read.
        DataError: With all broken lines and unknown languages, or if no row has one of the pairs.
        UnknownLanguageError: If a pair names no known language.
    """
    if is_table(path):
        with as_file(path, source or "table") as written:
            return read_parallel(written, pairs=pairs, source=source)
    place = Path(path)
    chosen = None if pairs is None else [(normalize(first), normalize(second)) for first, second in pairs]
    if ".tsv" in place.suffixes[-2:]:
        name = source if source is not None else f"{place.resolve().parent.name}/{place.name.split('.tsv')[0]}"
        return _read_columns(place, _columns(place, chosen), name)
    name = source if source is not None else place.name.removesuffix(".gz").removesuffix(".jsonl")
    return _read_multiway(place, chosen, name)


def _columns(place: Path, pairs: Sequence[tuple[str, str]] | None) -> tuple[str, str]:
    if pairs is not None:
        if len(pairs) != 1:
            raise UsageError(f"{place} holds one pair of languages, not {len(pairs)}", next_step="Give one pair.")
        return pairs[0]
    match = _FILE_NAME.match(place.name)
    if match is None:
        raise UsageError(
            f"the name of {place} does not say which languages it holds",
            next_step="Name it like en-de.tsv.gz, or give pairs=[('en', 'de')].",
        )
    return normalize(match[1]), normalize(match[2])


def _read_columns(place: Path, languages: tuple[str, str], name: str) -> list[ParallelRow]:
    faults: list[Fault] = []
    rows = []
    for number, line in read_lines(place, faults=faults):
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) != 2 or not all(columns):
            fault = "a side is empty" if len(columns) == 2 else f"{len(columns)} column{'s' * (len(columns) != 1)}"
            faults.append(Fault(f"{place}:{number}", f"{fault}: {shorten(line)}", "two texts with a tab between"))
        else:
            rows.append(ParallelRow(columns[0], columns[1], *languages, pair_id=f"{name}:{number}", source=name))
    raise_faults(DataError, str(place), faults, MEND)
    return _not_empty(rows, place, [languages])


def _read_multiway(place: Path, pairs: Sequence[tuple[str, str]] | None, name: str) -> list[ParallelRow]:
    rows = []
    present: set[str] = set()
    for identifier, texts in read_multiway(place):
        present.update(texts)
        wanted = pairs if pairs is not None else [("en", other) for other in texts if other != "en"]
        for first, second in wanted:
            if first in texts and second in texts:
                pair_id = f"{identifier}.{first}-{second}"
                rows.append(ParallelRow(texts[first], texts[second], first, second, pair_id=pair_id, source=name))
    missing = sorted({language for pair in pairs or () for language in pair} - present)
    if missing:
        raise DataError(
            f"{place} has nothing in: {', '.join(missing)}", next_step=f"It has: {', '.join(sorted(present))}."
        )
    return _not_empty(rows, place, pairs or [("en", "any other")])


def _not_empty(rows: list[ParallelRow], place: Path, pairs: Sequence[tuple[str, str]]) -> list[ParallelRow]:
    if not rows:
        named = ", ".join(f"{first}–{second}" for first, second in pairs)
        raise DataError(f"{place} has no pair of {named}", next_step="Check the file, or choose other languages.")
    return rows


def read_multiway(path: str | os.PathLike[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields the id and the texts by normalised language of each line of a multi-way file.

    The whole file is checked before the first line is yielded.

    Raises:
        FileError: If the file cannot be read.
        DataError: With all broken lines, empty texts, duplicate ids and unknown languages.
    """
    faults: list[Fault] = []
    languages = Languages(faults)
    lines: dict[str, dict[str, str]] = {}
    for number, record in read_jsonl(path, faults=faults):
        if not lines:
            _refuse_other_kinds(path, record)
        where = f"{path}:{number}"
        identifier = str(record.get("_id", number))
        texts = _line_texts(record, where, languages)
        if identifier in lines:
            faults.append(Fault(where, f"id '{identifier}' is taken already"))
        lines[identifier] = texts
    raise_faults(DataError, str(path), faults, MEND)
    yield from lines.items()


def _refuse_other_kinds(path: str | os.PathLike[str], record: dict[str, Any]) -> None:
    """Raises where a line is one of another kind of file, whose keys would be taken for languages one by one."""
    if isinstance(record.get("text"), str):
        raise DataError(
            f"{path} holds one text a line (_id, text): it is a corpus or queries alone, not a whole evaluation set",
            next_step="A set is a folder of corpus.jsonl, queries.jsonl and qrels/test.tsv (query-id, corpus-id, "
            "score): give the folder. A line of parallel text has a text for each language: "
            '{"_id": "1", "en": "…", "de": "…"}.',
        )
    if KEYS_OF_ROWS & record.keys() and {"query", "anchor"} & record.keys():
        raise DataError(
            f"{path} holds training rows ({', '.join(list(record)[:4])}), not an evaluation set or parallel text",
            next_step="Train on it: isogloss init --rows PATH. An evaluation set is a folder of corpus.jsonl, "
            "queries.jsonl and qrels/test.tsv.",
        )


def _line_texts(record: dict[str, Any], where: str, languages: Languages) -> dict[str, str]:
    texts: dict[str, str] = {}
    for key, text in record.items():
        if key.startswith("_"):
            continue
        language = languages.read(key, where)
        if not isinstance(text, str) or not text.strip():
            problem = "is empty" if isinstance(text, str) else f"is no string but {type(text).__name__}"
            languages.faults.append(Fault(where, f"the text in '{key}' {problem}"))
        elif language in texts:
            languages.faults.append(Fault(where, f"'{key}' is '{language}', which this line has already"))
        elif language is not None:
            texts[language] = text
    return texts


def read_synonyms(path: str | os.PathLike[str]) -> Iterator[tuple[str, str, str]]:
    """Yields the English word, the language and the further word for each entry of `_also` in a lexicon.

    Raises:
        FileError: If the file cannot be read.
        DataError: With all broken lines and unknown languages.
    """
    faults: list[Fault] = []
    languages = Languages(faults)
    found: list[tuple[str, str, str]] = []
    for number, record in read_jsonl(path, faults=faults):
        english, also = record.get("en"), record.get("_also")
        if not isinstance(english, str) or not isinstance(also, dict):
            continue
        for key, words in also.items():
            language = languages.read(key, f"{path}:{number}")
            if language is not None and language != "en":
                found.extend((english, language, word) for word in words if isinstance(word, str) and word.strip())
    raise_faults(DataError, str(path), faults, MEND)
    yield from found
