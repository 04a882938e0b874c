"""Sentences with their languages, for text that is nobody's translation. The form is told by name and keys.

sw.txt, wiki.sw.txt.gz  one sentence a line, its language in the name
*.jsonl, *.jsonl.gz     {"nonparallel_sentence" or "text", "language" or "lang"}
                        {"_id", "en": …, "de": …}: one sentence in several languages
en-de.tsv.gz            two columns: both, each in its language
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isogloss.datasets.collecting import MEND, Languages, read_string
from isogloss.datasets.parallel import read_multiway, read_parallel
from isogloss.errors import DataError, Fault, UsageError, raise_faults
from isogloss.files import read_jsonl, read_lines
from isogloss.languages import normalize

_TEXT = ("nonparallel_sentence", "text")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence in one language.

    Attributes:
        text: The sentence.
        language: Normalised language tag.
        translations: The same sentence in other languages, where its line has them.
    """

    text: str
    language: str
    translations: tuple[str, ...] = ()


def read_sentences(path: str | os.PathLike[str]) -> Iterator[Sentence]:
    """Yields the sentences of a file; the whole file is checked before the first.

    Raises:
        FileError: If the file cannot be read.
        DataError: With all broken lines, empty texts and unknown languages.
        UsageError: If the name of a text file does not say its language.
    """
    place = Path(path)
    endings = place.suffixes[-2:]
    if ".tsv" in endings:
        for row in read_parallel(place):
            yield Sentence(row.parallel_source, row.source_language, (row.parallel_target,))
            yield Sentence(row.parallel_target, row.target_language, (row.parallel_source,))
    elif ".txt" in endings:
        yield from _lines(place)
    elif _has_text(place):
        yield from _records(place)
    else:
        for _, texts in read_multiway(place):
            for language, text in texts.items():
                yield Sentence(text, language, tuple(other for other in texts.values() if other is not text))


def _lines(place: Path) -> Iterator[Sentence]:
    name = place.name.split(".txt")[0]
    language = normalize(name.split(".")[-1])
    if not language:
        raise UsageError(f"the name of {place} says no language", next_step="Name it like sw.txt or wiki.sw.txt.gz.")
    faults: list[Fault] = []
    found = [line.strip() for _, line in read_lines(place, faults=faults)]
    raise_faults(DataError, str(place), faults, MEND)
    yield from (Sentence(line, language) for line in found if line)


def _has_text(place: Path) -> bool:
    """Whether the first line holds a sentence and its language, and not a sentence in many languages."""
    first: dict[str, Any] = next((record for _, record in read_jsonl(place, faults=[])), {})
    return any(key in first for key in _TEXT)


def _records(place: Path) -> Iterator[Sentence]:
    faults: list[Fault] = []
    languages = Languages(faults)
    found = []
    for number, record in read_jsonl(place, faults=faults):
        where = f"{place}:{number}"
        text = read_string(record, _TEXT, where, faults)
        tag = record.get("language", record.get("lang"))
        language = languages.read(tag, where)
        if tag is None or tag == "":
            faults.append(Fault(where, "the line names no language", "'language' or 'lang'"))
        if text is not None and not text.strip():
            faults.append(Fault(where, "the sentence is empty"))
        if text is not None and language is not None:
            found.append(Sentence(text.strip(), language))
    raise_faults(DataError, str(place), faults, MEND)
    yield from found
