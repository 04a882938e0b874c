"""Likelihoods on disk, so that nothing is computed twice: by checkpoint, prompt as rendered, and query.

One SQLite file may hold the scores of several generators. A key is a hash of the checkpoint, the tokens of the rendered
prompt and the tokens of the query; so another template, language, length or generator never finds a wrong entry, and
`length_norm` and `count_eos` are applied to what is found. Entries are written in batches that survive a kill.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from isogloss.errors import FileError
from isogloss.files import file_errors
from isogloss.generation.likelihood import Likelihood

_ASKED_AT_ONCE = 500
_SCHEMA = "CREATE TABLE IF NOT EXISTS likelihoods (key BLOB PRIMARY KEY, tokens REAL, ending REAL, count INTEGER)"


def score_key(checkpoint: str, source: Sequence[int], query: Sequence[int]) -> bytes:
    """Key of a query given a rendered prompt, both in tokens, under one checkpoint."""
    content = json.dumps([checkpoint, list(source), list(query)], separators=(",", ":"))
    return hashlib.sha256(content.encode()).digest()


class ScoreCache:
    """An open cache; `open_cache` makes one.

    Args:
        connection: The database.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        with connection:
            connection.execute(_SCHEMA)

    def find(self, keys: Sequence[bytes]) -> dict[bytes, Likelihood]:
        """The entries that there are."""
        found: dict[bytes, Likelihood] = {}
        for first in range(0, len(keys), _ASKED_AT_ONCE):
            asked = keys[first : first + _ASKED_AT_ONCE]
            marks = ",".join("?" * len(asked))
            query = f"SELECT key, tokens, ending, count FROM likelihoods WHERE key IN ({marks})"  # noqa: S608 - marks only
            for key, tokens, end, count in self._connection.execute(query, asked):
                found[bytes(key)] = Likelihood(tokens, end, count)
        return found

    def add(self, entries: Iterable[tuple[bytes, Likelihood]]) -> None:
        """Writes entries, all of them or none."""
        rows = [(key, entry.tokens, entry.end, entry.count) for key, entry in entries]
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO likelihoods VALUES (?, ?, ?, ?)", rows)


@contextmanager
def open_cache(path: Path | None) -> Iterator[ScoreCache]:
    """Opens a cache file, made where there is none; without a path it lives in memory.

    Raises:
        FileError: If the file is no cache, or the system refuses.
    """
    if path is not None:
        with file_errors(path, "write"):
            path.parent.mkdir(parents=True, exist_ok=True)
    try:
        connection = sqlite3.connect(":memory:" if path is None else path)
        try:
            yield ScoreCache(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise FileError(
            f"{path} cannot be used as a cache of scores: {error}", next_step="Choose another file."
        ) from error
