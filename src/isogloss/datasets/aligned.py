"""Sentence retrieval from line-aligned text files: line n of each file is a translation of line n of the others.

    flores200_dataset/devtest/deu_Latn.devtest      FLORES-200: one folder for each split
    NTREX-128/newstest2019-ref.deu.txt              NTREX: the English source is newstest2019-src.eng.txt
    tatoeba.deu-eng.deu, tatoeba.deu-eng.eng        Tatoeba of LASER: each language with its own English sentences

Measured by accuracy (`Success@1`), from and to English or between any two languages of FLORES and NTREX. In Tatoeba a
sentence is searched only among those of its own two files, in both directions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from isogloss.datasets.collecting import Languages
from isogloss.errors import DataError, Fault, FileError, raise_faults
from isogloss.files import file_errors, read_lines
from isogloss.records import EvalSet, Text

_CODE = r"[a-z]{2,3}(?:[-_][A-Za-z]{2,4}(?:[-_][A-Za-z]{2,4})?)?"
_FLORES = re.compile(rf"(?P<language>{_CODE})\.(?P<split>dev|devtest)$")
_NTREX = re.compile(rf"newstest2019-(?:src|ref)\.(?P<language>{_CODE})\.txt$")
_TATOEBA = re.compile(r"tatoeba\.(?P<pair>[a-z]{3})-eng\.(?P<language>[a-z]{3})$")
SAME_LANGUAGE_NOTE = "a sentence and its copy in the same language are one text: scores within a language are 1"


@dataclass(frozen=True)
class _File:
    """A file: its language, and the group of files whose lines it shares."""

    place: Path
    language: str
    group: str
    split: str = ""


def aligned_files(path: Path) -> list[_File]:
    """The line-aligned files in a folder, or in its folders `dev` and `devtest`."""
    if not path.is_dir():
        return []
    with file_errors(path, "read"):
        places = sorted([*path.iterdir(), *path.glob("dev/*"), *path.glob("devtest/*"), *path.glob("NTREX-128/*")])
        return [found for place in places if (found := _described(place)) and place.is_file()]


def read_aligned(path: Path, *, split: str | None = None) -> EvalSet:
    """Reads FLORES, NTREX or LASER's Tatoeba as queries and passages.

    Args:
        path: The folder.
        split: Of FLORES, `dev` or `devtest`; `devtest` by default, as published scores have it.

    Raises:
        FileError: If there are no such files or split.
        DataError: With all files whose lines do not match, empty lines and unknown languages.
    """
    files = _of_split(path, aligned_files(path), split)
    faults: list[Fault] = []
    languages = Languages(faults)
    groups: dict[str, dict[str, list[str]]] = {}
    for file in files:
        language = languages.read(file.language, str(file.place))
        if language is not None:
            groups.setdefault(file.group, {})[language] = list(_sentences(file.place, faults))
    for group, texts in groups.items():
        counts = {language: len(lines) for language, lines in texts.items()}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{language} {count}" for language, count in counts.items())
            faults.append(Fault(str(path), f"files of '{group}' differ in their number of lines: {listed}"))
    raise_faults(DataError, str(path), faults, "Fetch the files again; nothing was loaded.")
    if not any(len(texts) > 1 for texts in groups.values()):
        raise DataError(f"{path} has one language only", next_step="Put the files of two or more languages there.")
    found = [text for group, texts in groups.items() for text in _texts(group, texts, len(groups) > 1)]
    return both_roles(path.resolve().name, tuple(found))


def both_roles(name: str, texts: tuple[Text, ...]) -> EvalSet:
    """The set in which every text is a query and a passage, and translations answer each other."""
    qrels = {text.id: {text.id: 1} for text in texts}
    return EvalSet(name, texts, texts, qrels, notes=(SAME_LANGUAGE_NOTE,))


def both_ways(eval_set: EvalSet) -> EvalSet:
    """The set with each passage as a query too, and each query as a passage of the same pool.

    For bitexts that are stored one way, such as sentence → English translation: it can then be asked from English too.

    Raises:
        DataError: If the set is no bitext: a query has several answers, or they share one.
    """
    queries = {text.id: text for text in eval_set.queries}
    passages = {text.id: text for text in eval_set.passages}
    pairs = [(query, passage) for query, grades in eval_set.qrels.items() for passage in grades]
    if len({passage for _, passage in pairs}) != len(pairs) or len(pairs) != len(eval_set.qrels):
        raise DataError(f"{eval_set.name} is no bitext", next_step="Each query needs one passage of its own.")
    texts = []
    for query, passage in pairs:
        pool = passages[passage].pool
        texts += [replace(found, parallel_id=query, pool=pool) for found in (queries[query], passages[passage])]
    return replace(both_roles(f"{eval_set.name}-both-ways", tuple(texts)), licence=eval_set.licence)


def _described(place: Path) -> _File | None:
    match = _FLORES.match(place.name)
    if match is not None:
        return _File(place, match["language"], "flores", match["split"])
    match = _NTREX.match(place.name)
    if match is not None:
        return _File(place, match["language"], "ntrex")
    match = _TATOEBA.match(place.name)
    return _File(place, match["language"], match["pair"]) if match is not None else None


def _of_split(path: Path, files: list[_File], split: str | None) -> list[_File]:
    splits = sorted({file.split for file in files if file.split})
    wanted = split or ("devtest" if "devtest" in splits else next(iter(splits), ""))
    chosen = [file for file in files if file.split == wanted]
    if not chosen:
        has = (
            f"It has: {', '.join(splits)}."
            if splits
            else "Files are named like deu_Latn.devtest or tatoeba.deu-eng.deu."
        )
        raise FileError(f"{path} has no aligned files{f' of the split {wanted}' if wanted else ''}", next_step=has)
    return chosen


def _sentences(place: Path, faults: list[Fault]) -> Iterator[str]:
    """The lines of a file; an empty one would shift all that follow, and is a fault."""
    expected = 1
    for number, line in read_lines(place, faults=faults):
        if number != expected:
            faults.append(Fault(f"{place}:{expected}", "the line is empty"))
        expected = number + 1
        yield line.strip()


def _texts(group: str, by_language: dict[str, list[str]], several: bool) -> Iterator[Text]:
    for language, lines in by_language.items():
        for number, line in enumerate(lines):
            parallel_id = f"{group}-{number:04d}"
            yield Text(
                f"{parallel_id}.{language}", line, language, parallel_id=parallel_id, pool=group if several else None
            )
