"""Files with many languages as columns of texts: multi-way JSONL, two-column TSV, and lexicons with synonyms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from isogloss.datasets.parallel import read_multiway, read_parallel, read_synonyms
from isogloss.training.sources.apart import Apart
from isogloss.training.sources.reading import expand

Takes = Callable[[str], bool]


@dataclass(frozen=True)
class MultiwayFile:
    """One file.

    Attributes:
        name: Its stem, with the folder's name before it for two-column files.
        columns: Language to the texts of all lines, in order; an empty text where a line lacks the language.
    """

    name: str
    columns: dict[str, list[str]]


def read_multiway_files(
    paths: Sequence[str], *, takes: Takes, synonyms: bool, longest: int, apart: Apart | None = None
) -> Iterator[MultiwayFile]:
    """Reads files one after the other.

    Args:
        paths: Files or patterns.
        takes: Whether a language is wanted.
        synonyms: Whether further words for a meaning become a file of their own, one per language.
        longest: Most characters of a text.
        apart: Texts that are left out.
    """
    files = _read_files(paths, takes, synonyms, longest)
    return files if not apart else (_without(file, apart) for file in files)


def _without(file: MultiwayFile, apart: Apart) -> MultiwayFile:
    """The file with empty texts in the place of those that are kept apart."""
    columns = {
        language: ["" if text and apart.holds(text) else text for text in column]
        for language, column in file.columns.items()
    }
    return MultiwayFile(file.name, columns)


def _read_files(paths: Sequence[str], takes: Takes, synonyms: bool, longest: int) -> Iterator[MultiwayFile]:
    for path in map(Path, expand(paths)):
        if ".tsv" in path.suffixes[-2:]:
            yield _two_columns(path, takes, longest)
            continue
        yield _many_columns(path, takes, longest)
        if synonyms:
            yield from _synonyms(path, takes, longest)


def _two_columns(path: Path, takes: Takes, longest: int) -> MultiwayFile:
    rows = list(read_parallel(path))
    columns: dict[str, list[str]] = {}
    if rows:
        source, target = rows[0].source_language, rows[0].target_language
        if takes(source):
            columns[source] = [row.parallel_source[:longest] for row in rows]
        if takes(target):
            columns[target] = [row.parallel_target[:longest] for row in rows]
    return MultiwayFile(f"{path.parent.name}-{path.name.split('.')[0]}", columns)


def _many_columns(path: Path, takes: Takes, longest: int) -> MultiwayFile:
    columns: dict[str, list[str]] = {}
    lines = 0
    for _, texts in read_multiway(path):
        for language, text in texts.items():
            if takes(language):
                column = columns.setdefault(language, [])
                column.extend([""] * (lines - len(column)))
                column.append(text[:longest])
        lines += 1
    for column in columns.values():
        column.extend([""] * (lines - len(column)))
    return MultiwayFile(path.name.split(".")[0], columns)


def _synonyms(path: Path, takes: Takes, longest: int) -> Iterator[MultiwayFile]:
    pairs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for english, language, synonym in read_synonyms(path):
        if takes(language):
            pairs[language].append((english[:longest], synonym[:longest]))
    for language, found in pairs.items():
        columns = {"en": [english for english, _ in found], language: [synonym for _, synonym in found]}
        yield MultiwayFile(f"{path.name.split('.')[0]}-synonyms-{language}", columns)
