"""Training rows: a query, the passage that answers it, and whatever else a method has beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from isogloss.recipe import SourceSettings
from isogloss.records import GeneratedQuery, Row
from isogloss.training.sources.base import (
    ENCODED_AS,
    Source,
    SourceContext,
    TableSource,
    ragged,
    ragged_values,
    source_kind,
)
from isogloss.training.sources.generated import GeneratedQueries, GeneratedSource
from isogloss.training.sources.languages import Languages
from isogloss.training.texts import MISSING, Ids

Side = Literal["query", "translated_query", "passage"]


@source_kind("rows")
@dataclass(frozen=True)
class RowsKind:
    """Options of a source of rows.

    Attributes:
        languages: Languages that are taken; all where it is left out.
        exclude: Languages that are not taken.
        language_of: Which text's language `languages`, `exclude`, `batch_language` and the reports mean.
        language_exponent: Exponent on a language's rows when languages are drawn; 1 is in proportion.
        batch_language: `one` fills each batch from one language, `mixed` from all.
        batch_source: `one` fills each batch from one data set, as the rows' field `source` or their file names it.
        distinct: Two rows with the same text in this role never share a batch: with `passage`, translations of one
            question are no negatives of each other.
        negatives: Most negative passages of a row.
        negative_pick: Which of them: the first, or some drawn by the seed, once for the run.
        negative_queries: Most negative queries of a row, the first ones.
        values: Names of the rows' numbers that are taken along; those of each candidate follow `negative_pick`.
        generated_languages: Languages of the generated queries that are taken; all but the query's own by default.
        generated_share: Probability that a row gets one of its generated queries in a step.
        generated_ramp_steps: Steps over which that probability rises from 0; half of the run is the method's (ours).
        limit: Most rows that are taken, the first ones.
    """

    languages: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    language_of: Side = "query"
    language_exponent: float = 1.0
    batch_language: Literal["one", "mixed"] = "mixed"
    batch_source: Literal["one", "mixed"] = "mixed"
    distinct: Literal["none", "query", "passage"] = "none"
    negatives: int = 7
    negative_pick: Literal["first", "random"] = "first"
    negative_queries: int = 7
    values: tuple[str, ...] = ("teacher_scores",)
    generated_languages: tuple[str, ...] | None = None
    generated_share: float = 1.0
    generated_ramp_steps: int = 0
    limit: int | None = None

    def open(self, settings: SourceSettings, context: SourceContext) -> Source:
        """Reads the files and keeps the rows of the wanted languages."""
        from isogloss.training.sources.reading import read_rows

        return self.table(context.apart.rows(read_rows(settings.paths)), settings, context)

    def table(self, rows: Iterable[Row], settings: SourceSettings, context: SourceContext) -> TableSource:
        """A source over rows that are at hand."""
        languages = Languages(context, self.languages, self.exclude)
        taken = _Taken(self, context)
        for row in rows:
            group = languages.group(_language(row, self.language_of))
            if group is None:
                continue
            if self.limit is not None and len(taken.groups) >= self.limit:
                break
            taken.add(row, group)
        languages.check(len(taken.groups), settings)
        taken.check()
        columns = taken.columns()
        arguments: dict[str, Any] = {
            "roles": {role: ENCODED_AS[role] for role in columns},
            "groups": np.asarray(taken.groups, dtype=np.int64),
            "group_names": languages.names,
            "batch": settings.batch,
            "seed": (context.seed, context.index),
            "by_group": "one" in (self.batch_language, self.batch_source),
            "exponent": self.language_exponent,
            "values": {name: ragged_values(found) for name, found in taken.values.items() if any(found)},
            "distinct": None if self.distinct == "none" else columns[self.distinct],
            "units": taken.units(),
        }
        generated = taken.generated_queries()
        if generated is None:
            return TableSource(context.name, columns, **arguments)
        return GeneratedSource(context.name, columns, generated=generated, **arguments)


def _language(row: Row, side: Side) -> str | None:
    """Language of one of a row's texts."""
    by_side = {"query": row.query_language, "passage": row.passage_language}
    return by_side.get(side, row.translated_query_language)


@dataclass
class _Taken:
    """The rows that a source takes, column by column."""

    options: RowsKind
    context: SourceContext
    groups: list[int] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    texts: dict[str, list[int]] = field(default_factory=lambda: {"query": [], "passage": [], "translated_query": []})
    lists: dict[str, list[list[int]]] = field(default_factory=lambda: {"negative_passages": [], "negative_queries": []})
    values: dict[str, list[tuple[float, ...]]] = field(default_factory=dict)
    generated: list[list[GeneratedQuery]] = field(default_factory=list)
    misfits: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._generator = np.random.default_rng((self.context.seed, self.context.index, 2))
        self._generated_in = Languages(self.context, self.options.generated_languages, (), option="generated_languages")

    def add(self, row: Row, group: int) -> None:
        """Takes a row."""
        add = self.context.texts.add
        self.groups.append(group)
        self.sources.append(row.source)
        self.texts["query"].append(add(row.query))
        self.texts["passage"].append(add(self.context.passage_text(row.title, row.passage)))
        self.texts["translated_query"].append(MISSING if row.translated_query is None else add(row.translated_query))
        picked = self._picked(len(row.negative_passages))
        self.lists["negative_passages"].append([add(row.negative_passages[place]) for place in picked])
        queries = row.negative_queries[: self.options.negative_queries]
        self.lists["negative_queries"].append([add(text) for text in queries])
        for name in self.options.values:
            found = row.teacher_scores if name == "teacher_scores" else row.values.get(name, ())
            self.values.setdefault(name, []).append(self._of_candidates(name, found, row, picked))
        self.generated.append(self._other_languages(row))

    def check(self) -> None:
        """Notes languages that no generated query has, and values that are neither one a row nor one a candidate."""
        self._generated_in.check_seen()
        for name, count in self.misfits.items():
            allowed = "one number, or one for the passage and one for each negative passage"
            self.context.fault("values", f"'{name}' has another length in {count:,} rows", allowed)

    def columns(self) -> dict[str, Ids]:
        """Role to text numbers, for the roles that any row has."""
        columns: dict[str, Ids] = {}
        for role, numbers in self.texts.items():
            array = np.asarray(numbers, dtype=np.int64)
            if role != "translated_query" or (array != MISSING).any():
                columns[role] = array
        for role, rows in self.lists.items():
            width = max(map(len, rows), default=0)
            if width:
                columns[role] = ragged(rows, width)
        return columns

    def units(self) -> Ids:
        """What a homogeneous batch holds one of: a language, a data set, or a language of a data set."""
        one_language, one_source = self.options.batch_language == "one", self.options.batch_source == "one"
        found: dict[tuple[int, str], int] = {}
        keys = (
            (0 if one_source and not one_language else group, source if one_source else "")
            for group, source in zip(self.groups, self.sources, strict=True)
        )
        return np.asarray([found.setdefault(key, len(found)) for key in keys], dtype=np.int64)

    def generated_queries(self) -> GeneratedQueries | None:
        """The generated queries of all rows, or None where no row has one."""
        width = max(map(len, self.generated), default=0)
        if not width:
            return None
        numbers = [[self.context.texts.add(query.text) for query in row] for row in self.generated]
        return GeneratedQueries(
            ragged(numbers, width),
            ragged_values([[query.weight for query in row] for row in self.generated]),
            share=self.options.generated_share,
            ramp_steps=self.options.generated_ramp_steps,
        )

    def _picked(self, count: int) -> Sequence[int]:
        """Places of the negative passages that are taken."""
        most = self.options.negatives
        if count <= most or self.options.negative_pick == "first":
            return range(min(count, most))
        chosen: list[int] = np.sort(self._generator.choice(count, size=most, replace=False)).tolist()
        return chosen

    def _of_candidates(self, name: str, found: tuple[float, ...], row: Row, picked: Sequence[int]) -> tuple[float, ...]:
        """A row's numbers for the candidates that are taken."""
        if len(found) <= 1:
            return found
        if len(found) != 1 + len(row.negative_passages):
            self.misfits[name] = self.misfits.get(name, 0) + 1
            return ()
        return (found[0], *(found[1 + place] for place in picked))

    def _other_languages(self, row: Row) -> list[GeneratedQuery]:
        """Generated queries in languages that are wanted, never in that of the query itself."""
        taken = [query for query in row.generated_queries if self._generated_in.group(query.language) is not None]
        return [query for query in taken if query.language != row.query_language]
