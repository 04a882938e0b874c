"""Files with one meaning in many languages a line: translation pairs, or sentences sought among passages.

Each batch takes one file and one pair of languages, so that its negatives are told apart by meaning and not by
language. With `neighbours` the passages are neighbouring lines of the file, and the query is one of these lines in the
other language: the inverse cloze task (Lee et al. 2019, 1906.00300), across languages; that use of it is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import DataError, Fault, UnknownLanguageError
from isogloss.languages import normalize
from isogloss.recipe import SourceSettings
from isogloss.records import Role
from isogloss.training.sources.base import Drawn, Source, SourceContext, source_kind
from isogloss.training.sources.multiway_files import MultiwayFile, read_multiway_files
from isogloss.training.texts import MISSING, Ids, unique_numbers

LEAST_ROWS = 32


@source_kind("multiway")
@dataclass(frozen=True)
class MultiwayKind:
    """Options of a source over files with many languages a line.

    Attributes:
        languages: Languages that are taken; all of the files where it is left out.
        exclude: Languages that are not taken.
        favoured: Languages that are drawn `favour` times as often as their texts alone would have it.
        favour: That factor.
        english_share: Share of the pairs of two languages that are made to contain English.
        same_language_share: Share of the batches whose query and passage are in one language; for `neighbours`.
        neighbours: Fewest and most lines of a passage; translation pairs where it is left out.
        language_exponent: Exponent on the lines of a language when languages of a file are drawn; 1 is in proportion, 0
            uniform.
        file_exponent: Exponent on a file's texts when files are drawn; 1 is in proportion, 0 uniform.
        file_weights: Factors on files by the beginning of their names, 1 for those not named.
        synonyms: Whether `_also`, further words for the same meaning, becomes pairs too.
        longest: Most characters of a line.
    """

    languages: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    favoured: tuple[str, ...] = ()
    favour: float = 3.0
    english_share: float = 0.5
    same_language_share: float = 0.0
    neighbours: tuple[int, int] | None = None
    language_exponent: float = 0.5
    file_exponent: float = 0.5
    file_weights: Mapping[str, float] = field(default_factory=dict)
    synonyms: bool = False
    longest: int = 700

    def open(self, settings: SourceSettings, context: SourceContext) -> Source:
        """Reads the files; each keeps the languages that have enough lines."""
        wanted = None if self.languages is None else set(_normal(context, "languages", self.languages))
        excluded = set(_normal(context, "exclude", self.exclude))
        favoured = set(_normal(context, "favoured", self.favoured))
        neighbours = self.neighbours
        if neighbours is not None and not 1 <= neighbours[0] <= neighbours[1]:
            context.fault("neighbours", f"{list(neighbours)} is no range of lines", "such as [2, 6]")
            neighbours = None
        files = read_multiway_files(
            settings.paths,
            takes=lambda language: (wanted is None or language in wanted) and language not in excluded,
            synonyms=self.synonyms,
            longest=self.longest,
            apart=context.apart,
        )
        generator = np.random.default_rng((context.seed, context.index, 3))
        tables = []
        for file in files:
            table = _Table.of(file, context, neighbours, generator)
            if table is not None:
                tables.append(table)
        if not tables:
            context.fault("path", f"{', '.join(settings.paths) or 'no file'} gave no lines in two languages")
        return MultiwaySource(context.name, tables, self, favoured, settings.batch, (context.seed, context.index))


def _normal(context: SourceContext, option: str, tags: Iterable[str]) -> list[str]:
    found = []
    for tag in tags:
        try:
            found.append(normalize(tag))
        except UnknownLanguageError as error:
            context.fault(option, error.message)
    return found


@dataclass(frozen=True)
class _Table:
    """One file as text numbers.

    Attributes:
        name: Stem of the file.
        languages: Languages, in the order of the columns.
        sentences: Shape (lines, languages), `MISSING` where a line lacks a language.
        passages: Shape (passages, languages), or None for translation pairs.
        starts: First line of each passage, and the end of the last one.
    """

    name: str
    languages: tuple[str, ...]
    sentences: Ids
    passages: Ids | None = None
    starts: Ids | None = None

    @classmethod
    def of(
        cls,
        file: MultiwayFile,
        context: SourceContext,
        neighbours: tuple[int, int] | None,
        generator: np.random.Generator,
    ) -> _Table | None:
        """The table of a file, or None where no two languages have enough lines."""
        languages = tuple(language for language, column in file.columns.items() if sum(map(bool, column)) >= LEAST_ROWS)
        if len(languages) < 2:
            return None
        add = context.texts.add
        columns = [[add(text) if text else MISSING for text in file.columns[language]] for language in languages]
        sentences = np.asarray(columns, dtype=np.int64).T
        if neighbours is None:
            return cls(file.name, languages, sentences)
        starts = _cuts(len(sentences), neighbours, generator)
        passages = np.full((len(starts) - 1, len(languages)), MISSING, dtype=np.int64)
        for place, language in enumerate(languages):
            column = file.columns[language]
            for row, (start, end) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)):
                lines = [line for line in column[start:end] if line]
                if len(lines) >= 2:
                    passages[row, place] = add(" ".join(lines))
        return cls(file.name, languages, sentences, passages, starts)


def _cuts(lines: int, neighbours: tuple[int, int], generator: np.random.Generator) -> Ids:
    """Where passages of random length begin; the last entry is the end of the last one."""
    fewest, most = neighbours
    lengths = generator.integers(fewest, most + 1, size=lines // max(fewest, 1) + 1)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    kept: Ids = starts[starts <= lines].astype(np.int64)
    return kept


class MultiwaySource:
    """Draws a file, a pair of languages and rows that have both; see `MultiwayKind` for the options."""

    def __init__(
        self,
        name: str,
        tables: Sequence[_Table],
        options: MultiwayKind,
        favoured: set[str],
        batch: int,
        seed: Sequence[int],
    ) -> None:
        self.name = name
        self.batch = batch
        self._tables = tables
        self._options = options
        self._seed = tuple(seed)
        self._file_chances = _chances([self._file_weight(table) for table in tables])
        self._language_chances = [self._languages_of(table, favoured) for table in tables]
        names = sorted(
            {f"{first}-{second}" for table in tables for first in table.languages for second in table.languages}
        )
        self.group_names = tuple(names)
        self._groups = {group: number for number, group in enumerate(names)}
        self._rows_with = lru_cache(maxsize=4096)(self._find_rows)

    @property
    def rows(self) -> int:
        """Lines, or passages, of all files."""
        return sum(len(self._queried(table)) for table in self._tables)

    @property
    def roles(self) -> Mapping[str, Role]:
        """Roles of its texts, each with the tower that encodes it."""
        if self._options.neighbours is None:
            return {"parallel_source": "query", "parallel_target": "query"}
        return {"query": "query", "passage": "passage"}

    def numbers(self, role: str) -> Ids:
        """Numbers of all texts that may come in a role, ascending."""
        if role not in self.roles:
            return unique_numbers([])
        return unique_numbers(
            [self._queried(table) if role == "passage" else table.sentences for table in self._tables]
        )

    def draw(self, step: int) -> Drawn:
        """The rows of a step."""
        generator = np.random.default_rng((*self._seed, 1, step))
        for _ in range(1000):
            place = int(generator.choice(len(self._tables), p=self._file_chances))
            first, second = self._pair(place, generator)
            rows = self._rows_with(place, first, second)
            if len(rows) >= LEAST_ROWS:
                drawn = self._drawn(place, first, second, rows, generator)
                if len(drawn.groups):
                    return drawn
        raise DataError(
            f"source '{self.name}': no two languages share {LEAST_ROWS} lines",
            faults=[Fault(f"sources.{self.name}.path", ", ".join(table.name for table in self._tables))],
        )

    def _drawn(self, place: int, first: int, second: int, rows: Ids, generator: np.random.Generator) -> Drawn:
        table = self._tables[place]
        chosen = generator.choice(rows, size=min(self.batch, len(rows)), replace=False)
        group = self._groups[f"{table.languages[first]}-{table.languages[second]}"]
        groups = np.full(len(chosen), group, dtype=np.int64)
        if table.passages is None or table.starts is None:
            columns = {
                "parallel_source": table.sentences[chosen, first],
                "parallel_target": table.sentences[chosen, second],
            }
            return Drawn(columns, groups)
        begin, end = table.starts[chosen], table.starts[chosen + 1]
        lines = begin + (generator.random(len(chosen)) * (end - begin)).astype(np.int64)
        queries = table.sentences[lines, first]
        there = queries != MISSING
        passages = table.passages[chosen, second]
        return Drawn({"query": queries[there], "passage": passages[there]}, groups[there])

    def _pair(self, place: int, generator: np.random.Generator) -> tuple[int, int]:
        chances = self._language_chances[place]
        if generator.random() < self._options.same_language_share:
            only = int(generator.choice(len(chances), p=chances))
            return only, only
        first, second = (int(one) for one in generator.choice(len(chances), size=2, replace=False, p=chances))
        languages = self._tables[place].languages
        if "en" in languages and generator.random() < self._options.english_share:
            english = languages.index("en")
            if english not in (first, second):
                return (english, second) if generator.random() < 0.5 else (first, english)
        return first, second

    def _find_rows(self, place: int, first: int, second: int) -> Ids:
        table = self._tables[place]
        if table.passages is None or table.starts is None:
            both = (table.sentences[:, first] != MISSING) & (table.sentences[:, second] != MISSING)
            return np.flatnonzero(both)
        # A line that lacks the query's language is left out when it is drawn.
        return np.flatnonzero((table.passages[:, first] != MISSING) & (table.passages[:, second] != MISSING))

    def _queried(self, table: _Table) -> Ids:
        return table.sentences if table.passages is None else table.passages

    def _file_weight(self, table: _Table) -> float:
        texts = float((table.sentences != MISSING).sum())
        named = [weight for start, weight in self._options.file_weights.items() if table.name.startswith(start)]
        return float(texts**self._options.file_exponent) * float(named[0] if named else 1.0)

    def _languages_of(self, table: _Table, favoured: set[str]) -> NDArray[np.float64]:
        shares = (table.sentences != MISSING).mean(axis=0) ** self._options.language_exponent
        favours = [self._options.favour if language in favoured else 1.0 for language in table.languages]
        return _chances(shares * np.asarray(favours))


def _chances(weights: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    array = np.asarray(weights, dtype=np.float64)
    total = float(array.sum())
    return array / total if total else array
