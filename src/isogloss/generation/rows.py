"""The labelled rows of a generator: who is held out, and which rows a step takes."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isogloss.datasets import read_rows
from isogloss.errors import DataError, Fault, RecipeError, raise_faults
from isogloss.generation.settings import RowsSettings
from isogloss.languages import normalize
from isogloss.records import Row
from isogloss.training.sources.reading import expand


@dataclass(frozen=True)
class LabelledRows:
    """Rows to learn from and rows held out; no passage is on both sides."""

    training: tuple[Row, ...]
    held_out: tuple[Row, ...]

    def counts(self) -> dict[str, int]:
        """Training rows by language of the query."""
        return dict(sorted(Counter(language_of(row) for row in self.training).items()))


def language_of(row: Row) -> str:
    """Language of a row's query."""
    return row.query_language or ""


def labelled_rows(settings: RowsSettings, *, seed: int, need_negatives: bool) -> LabelledRows:
    """Reads the rows of a recipe.

    Args:
        settings: The recipe's `rows`.
        seed: Seed of the draws.
        need_negatives: Whether every row must have a negative passage.

    Raises:
        DataError: If files are faulty, a query has no language, or no row is left.
        RecipeError: If a language that is asked for has no row.
    """
    rows = [row for path in expand(settings.paths) for row in read_rows(path)]
    faults = [
        Fault(row.row_id, "its query has no language, which the prompt must name", "lang or query_language")
        for row in rows
        if not row.query_language
    ]
    if need_negatives:
        faults += [
            Fault(row.row_id, "has no negative passages, which the ranking stage compares", "isogloss mine finds them")
            for row in rows
            if not row.negative_passages
        ]
    raise_faults(DataError, "rows", faults, "Nothing was started.")
    chosen = _per_language(_of_languages(rows, settings), settings.per_language, seed)
    held_out = {row.row_id for row in _held_out(chosen, settings)}
    training = tuple(row for row in chosen if row.row_id not in held_out)
    if not training:
        raise DataError("no row is left to train with", next_step="Lower rows.development_share or give more rows.")
    return LabelledRows(training, tuple(row for row in chosen if row.row_id in held_out))


def _of_languages(rows: Sequence[Row], settings: RowsSettings) -> list[Row]:
    if settings.languages is None:
        return list(rows)
    wanted = [normalize(language) for language in settings.languages]
    has = {language_of(row) for row in rows}
    faults = [
        Fault("rows.languages", f"'{tag}' has no row", f"there are: {', '.join(sorted(has))}")
        for tag in wanted
        if tag not in has
    ]
    raise_faults(RecipeError, "recipe", faults, "Nothing was started.")
    return [row for row in rows if language_of(row) in wanted]


def _per_language(rows: Sequence[Row], most: int | None, seed: int) -> list[Row]:
    if most is None:
        return list(rows)
    places: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        places[language_of(row)].append(place)
    generator = np.random.default_rng((seed, 7))
    kept = [
        members if len(members) <= most else generator.choice(members, size=most, replace=False).tolist()
        for _, members in sorted(places.items())
    ]
    return [rows[place] for place in sorted(place for members in kept for place in members)]


def _held_out(rows: Sequence[Row], settings: RowsSettings) -> list[Row]:
    """Rows whose passages a hash chooses, so that adding rows moves no passage to the other side."""
    threshold = settings.development_share * 2**64
    chosen = [row for row in rows if _hash(row.passage) < threshold]
    return chosen[: settings.development_rows]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
