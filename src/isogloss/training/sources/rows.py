"""Training rows: a query, the passage that answers it, and its negative passages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from isogloss.recipe import SourceSettings
from isogloss.records import Row
from isogloss.training.sources.base import ENCODED_AS, Source, SourceContext, TableSource, ragged, source_kind
from isogloss.training.sources.languages import Languages
from isogloss.training.texts import Ids


@source_kind("rows")
@dataclass(frozen=True)
class RowsKind:
    """Options of a source of rows.

    Attributes:
        languages: Languages of the query that are taken; all where it is left out.
        exclude: Languages of the query that are not taken.
        language_exponent: Exponent on a language's rows when languages are drawn; 1 is in proportion.
        batch_language: `one` fills each batch from one language, `mixed` from all.
        negatives: Most negative passages of a row.
        negative_pick: Which of them: the first, or some drawn by the seed, once for the run.
        limit: Most rows that are taken, the first ones.
    """

    languages: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    language_exponent: float = 1.0
    batch_language: Literal["one", "mixed"] = "mixed"
    negatives: int = 7
    negative_pick: Literal["first", "random"] = "first"
    limit: int | None = None

    def open(self, settings: SourceSettings, context: SourceContext) -> Source:
        """Reads the files and keeps the rows of the wanted languages."""
        from isogloss.training.sources.reading import read_rows

        return self.table(read_rows(settings.paths), settings, context)

    def table(self, rows: Iterable[Row], settings: SourceSettings, context: SourceContext) -> TableSource:
        """A source over rows that are at hand."""
        languages = Languages(context, self.languages, self.exclude)
        queries: list[int] = []
        passages: list[int] = []
        negatives: list[list[int]] = []
        groups: list[int] = []
        generator = np.random.default_rng((context.seed, context.index, 2))
        for row in rows:
            group = languages.group(row.query_language)
            if group is None:
                continue
            if self.limit is not None and len(queries) >= self.limit:
                break
            queries.append(context.texts.add(row.query))
            passages.append(context.texts.add(context.passage_text(row.title, row.passage)))
            negatives.append([context.texts.add(text) for text in self._picked(row.negative_passages, generator)])
            groups.append(group)
        languages.check(len(queries), settings)
        columns: dict[str, Ids] = {
            "query": np.asarray(queries, dtype=np.int64),
            "passage": np.asarray(passages, dtype=np.int64),
        }
        width = max((len(row) for row in negatives), default=0)
        if width:
            columns["negative_passages"] = ragged(negatives, width)
        return TableSource(
            context.name,
            columns,
            roles={role: ENCODED_AS[role] for role in columns},
            groups=np.asarray(groups, dtype=np.int64),
            group_names=languages.names,
            batch=settings.batch,
            seed=(context.seed, context.index),
            by_group=self.batch_language == "one",
            exponent=self.language_exponent,
        )

    def _picked(self, negatives: tuple[str, ...], generator: np.random.Generator) -> list[str]:
        if len(negatives) <= self.negatives:
            return list(negatives)
        if self.negative_pick == "first":
            return list(negatives[: self.negatives])
        chosen = np.sort(generator.choice(len(negatives), size=self.negatives, replace=False))
        return [negatives[place] for place in chosen.tolist()]
