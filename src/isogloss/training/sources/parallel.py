"""Translation pairs: two sentences of one meaning in two languages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from isogloss.recipe import SourceSettings
from isogloss.records import ParallelRow, Role
from isogloss.training.sources.base import Source, SourceContext, TableSource, source_kind
from isogloss.training.sources.languages import Languages


@source_kind("parallel")
@dataclass(frozen=True)
class ParallelKind:
    """Options of a source of translation pairs.

    Attributes:
        languages: Languages that are paired with English; all of the files where it is left out.
        exclude: Languages that are not taken.
        pairs: Pairs of languages to take from files with many, such as [de, fr]; English with each by default.
        batch_language: `one_pair` fills each batch from one pair of languages, so that meaning and not language tells
            the negatives from the translation; `mixed` from all.
        language_exponent: Exponent on a pair's rows when pairs of languages are drawn; 1 is in proportion, 0 uniform.
        encode_as: Tower that encodes both sides.
        limit: Most rows that are taken of each pair of languages, the first ones.
    """

    languages: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    batch_language: Literal["one_pair", "mixed"] = "one_pair"
    language_exponent: float = 0.5
    encode_as: Role = "query"
    limit: int | None = None

    def open(self, settings: SourceSettings, context: SourceContext) -> Source:
        """Reads the files and keeps the pairs of the wanted languages."""
        from isogloss.training.sources.reading import read_parallel

        return self.table(context.apart.pairs(read_parallel(settings.paths, self.pairs)), settings, context)

    def table(self, rows: Iterable[ParallelRow], settings: SourceSettings, context: SourceContext) -> TableSource:
        """A source over pairs that are at hand."""
        languages = Languages(context, self.languages, self.exclude)
        sources: list[int] = []
        targets: list[int] = []
        groups: list[int] = []
        taken: dict[int, int] = {}
        for row in rows:
            group = languages.pair_group(row.source_language, row.target_language)
            if group is None or (self.limit is not None and taken.get(group, 0) >= self.limit):
                continue
            taken[group] = taken.get(group, 0) + 1
            sources.append(context.texts.add(row.parallel_source))
            targets.append(context.texts.add(row.parallel_target))
            groups.append(group)
        languages.check(len(sources), settings)
        return TableSource(
            context.name,
            {
                "parallel_source": np.asarray(sources, dtype=np.int64),
                "parallel_target": np.asarray(targets, dtype=np.int64),
            },
            roles={"parallel_source": self.encode_as, "parallel_target": self.encode_as},
            groups=np.asarray(groups, dtype=np.int64),
            group_names=languages.names,
            group_languages=languages.pairs,
            batch=settings.batch,
            seed=(context.seed, context.index),
            by_group=self.batch_language == "one_pair",
            exponent=self.language_exponent,
        )
