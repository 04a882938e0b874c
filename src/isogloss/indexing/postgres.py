"""An index in PostgreSQL with the extension pgvector, through `psycopg`.

`postgresql://user@host/database?table=passages`; all other parameters are libpq's, and passwords may come from its
usual places (PGPASSWORD, .pgpass). Any number of processes read and write; a write is a transaction, durable when it
returns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import DataError, FileError, MissingExtraError, UsageError
from isogloss.indexing.base import BaseEngine
from isogloss.indexing.manifest import IndexOptions, about_from_json, about_to_json
from isogloss.indexing.protocol import (
    EVERY_PASSAGE,
    IndexAbout,
    Scores,
    Where,
    ordered,
    refuse_unknown,
)
from isogloss.records import Text

ENGINE = "pgvector"
DEFAULT_TABLE = "isogloss_passages"
LARGEST_EFFORT = 1000
MOST_ROWS_COMPARED = 20_000
ROWS_AT_ONCE = 1024
_TYPES = {"float32": "vector", "float16": "halfvec"}
_COLUMNS = "id, language, title, text, metadata"


class PostgresIndex(BaseEngine):
    """Passages and vectors in a table.

    Args:
        url: Where it is.
        connection: An open psycopg connection in autocommit mode.
        table: Name of the table.
        about: What the table says of itself.
        options: Settings of the graph and the searches.
    """

    def __init__(self, url: str, connection: Any, table: str, about: IndexAbout, options: IndexOptions) -> None:
        # A row is compared with its text beside it, and so more slowly than elsewhere.
        super().__init__(url, about, replace(options, exact_below=min(options.exact_below, MOST_ROWS_COMPARED)))
        self._connection = connection
        self._table = table
        self._type = _TYPES[about.precision]

    @classmethod
    def create(cls, url: str, about: IndexAbout, options: IndexOptions | None = None) -> PostgresIndex:
        """Makes an empty table, and the extension where it is not there yet.

        Raises:
            FileError: The table exists, or the server refuses.
            UsageError: The precision is int8, which pgvector does not have.
        """
        if about.precision not in _TYPES:
            raise UsageError(f"precision: '{about.precision}' (pgvector has: {', '.join(_TYPES)})")
        connection, table = _connected(url)
        index = cls(url, connection, table, replace(about, engine=ENGINE), options or IndexOptions())
        vector = f"{index._type}({about.dimension})"
        with index._transaction() as cursor:
            cursor.execute("SELECT to_regclass(%s)", [table])
            if cursor.fetchone()[0] is not None:
                raise FileError(f"{url}: the table {table} exists already", next_step="Give another one: ?table=name")
            cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
            cursor.execute(
                f"CREATE TABLE {table} (id text PRIMARY KEY, language text, title text NOT NULL, text text NOT NULL,"
                f" metadata jsonb NOT NULL, embedding {vector} NOT NULL)"
            )
            cursor.execute(f"CREATE INDEX ON {table} (language)")
            cursor.execute(f"CREATE INDEX ON {table} USING gin (metadata jsonb_path_ops)")
            cursor.execute(f"CREATE TABLE {table}_about (about jsonb NOT NULL)")
            cursor.execute(f"INSERT INTO {table}_about VALUES (%s)", [json.dumps(about_to_json(index._about))])  # noqa: S608
        return index

    @classmethod
    def open(cls, url: str, options: IndexOptions | None = None) -> PostgresIndex:
        """Opens a table that `create` made.

        Raises:
            FileError: There is no such table, or the server refuses.
        """
        connection, table = _connected(url)
        with _server_errors(url), connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%s)", [f"{table}_about"])
            if cursor.fetchone()[0] is None:
                connection.close()
                raise FileError(
                    f"{url}: there is no index in table {table}",
                    next_step=f"Make it: isogloss index BANK --out '{url}'",
                )
            cursor.execute(f"SELECT about FROM {table}_about")  # noqa: S608
            about = about_from_json(cursor.fetchone()[0], url)
        return cls(url, connection, table, about, options or IndexOptions())

    def delete(self, ids: Sequence[str]) -> None:
        """Removes passages."""
        refuse_unknown(ids, self.known(ids), self.url)
        with self._transaction() as cursor:
            cursor.execute(f"DELETE FROM {self._table} WHERE id = ANY(%s)", [list(ids)])  # noqa: S608

    def passages(self, ids: Sequence[str]) -> list[Text]:
        """The passages with these ids, in their order."""
        with self._transaction() as cursor:
            cursor.execute(f"SELECT {_COLUMNS} FROM {self._table} WHERE id = ANY(%s)", [list(ids)])  # noqa: S608
            found = {row[0]: _text(row) for row in cursor}
        refuse_unknown(ids, set(found), self.url)
        return [found[name] for name in ids]

    def all_passages(self) -> Iterator[Text]:
        """Every passage, in the order of the ids."""
        last = ""
        while True:
            with self._transaction() as cursor:
                cursor.execute(
                    f"SELECT {_COLUMNS} FROM {self._table} WHERE id > %s ORDER BY id LIMIT %s",  # noqa: S608
                    [last, ROWS_AT_ONCE],
                )
                rows = cursor.fetchall()
            if not rows:
                return
            yield from map(_text, rows)
            last = rows[-1][0]

    def known(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that are there."""
        with self._transaction() as cursor:
            cursor.execute(f"SELECT id FROM {self._table} WHERE id = ANY(%s)", [list(ids)])  # noqa: S608
            return {row[0] for row in cursor}

    def count(self, where: Where = EVERY_PASSAGE) -> int:
        """How many passages are allowed."""
        condition, values = _condition(where)
        with self._transaction() as cursor:
            cursor.execute(f"SELECT count(*) FROM {self._table} WHERE {condition}", values)  # noqa: S608
            return int(cursor.fetchone()[0])

    def languages(self) -> dict[str, int]:
        """Passages by language."""
        with self._transaction() as cursor:
            cursor.execute(
                f"SELECT language, count(*) FROM {self._table} WHERE language IS NOT NULL GROUP BY 1"  # noqa: S608
            )
            return dict(sorted(cursor.fetchall()))

    def optimize(self) -> None:
        """Builds the graph where there is none yet; later rows join it as they are written."""
        options = self._options
        with self._transaction() as cursor:
            cursor.execute(
                f"CREATE INDEX IF NOT EXISTS {self._table}_graph ON {self._table} USING hnsw"
                f" (embedding {self._type}_ip_ops)"
                f" WITH (m = {options.server_degree}, ef_construction = {options.build_effort})"
            )
            cursor.execute(f"ANALYZE {self._table}")

    def _write_about(self) -> None:
        with self._transaction() as cursor:
            cursor.execute(f"UPDATE {self._table}_about SET about = %s", [json.dumps(about_to_json(self._about))])  # noqa: S608

    def snapshot(self, path: str) -> None:
        """Is refused: the database has tools of its own."""
        step = f"Use the server's: pg_dump --table '{self._table}*'"
        raise UsageError(f"{self.url} cannot be copied to a folder", next_step=step)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _write(self, passages: Sequence[Text], matrix: NDArray[np.float32]) -> None:
        rows = [
            (
                passage.id,
                passage.language,
                passage.title,
                passage.text,
                json.dumps(dict(passage.metadata or {})),
                _written(vector),
            )
            for passage, vector in zip(passages, matrix, strict=True)
        ]
        replaced = ", ".join(f"{name} = excluded.{name}" for name in [*_COLUMNS.split(", ")[1:], "embedding"])
        with self._transaction() as cursor:
            cursor.executemany(
                f"INSERT INTO {self._table} ({_COLUMNS}, embedding) VALUES (%s, %s, %s, %s, %s, %s)"  # noqa: S608
                f" ON CONFLICT (id) DO UPDATE SET {replaced}",
                rows,
            )

    def _nearest(self, vectors: NDArray[Any], k: int, where: Where, *, exact: bool) -> list[Scores]:
        condition, values = _condition(where)
        distance = f"embedding <#> %s::{self._type}"
        query = (
            f"SELECT id, -({distance}) FROM {self._table} WHERE {condition}"  # noqa: S608
            f" ORDER BY {distance} LIMIT %s"
        )
        found = []
        with self._transaction() as cursor:
            if exact:
                cursor.execute("SET LOCAL enable_indexscan = off")
            else:
                effort = min(LARGEST_EFFORT, max(self._options.search_effort, 2 * k))
                cursor.execute(f"SET LOCAL hnsw.ef_search = {effort}")
                # Off by default, in which a filter is applied to ef candidates only and shortens the result.
                cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
            for vector in np.asarray(vectors, dtype=np.float32):
                written = _written(vector)
                cursor.execute(query, [written, *values, written, k])
                found.append(ordered(dict(cursor.fetchall()), k))
        return found

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        with _server_errors(self.url), self._connection.transaction(), self._connection.cursor() as cursor:
            yield cursor


def _condition(where: Where) -> tuple[str, list[Any]]:
    """SQL and its values for a filter."""
    conditions = ["TRUE"]
    values: list[Any] = []
    if where.languages:
        conditions.append("language = ANY(%s)")
        values.append(list(where.languages))
    for key, wanted in where.wanted().items():
        either = []
        for value in wanted:
            # A list that holds the value counts as well.
            either += ["metadata @> %s::jsonb", "metadata @> %s::jsonb"]
            values += [json.dumps({key: value}), json.dumps({key: [value]})]
        conditions.append(f"({' OR '.join(either) or 'FALSE'})")
    return " AND ".join(conditions), values


def _connected(url: str) -> tuple[Any, str]:
    """Connection and table of a URL."""
    psycopg = _psycopg()
    parts = urlsplit(url)
    parameters = dict(parse_qsl(parts.query))
    table = parameters.pop("table", DEFAULT_TABLE)
    # The name goes into statements, where the protocol takes no values.
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,50}", table):
        raise UsageError(f"table: '{table}' (allowed: small letters, digits and _, at most 51)")
    with _server_errors(url):
        connection = psycopg.connect(urlunsplit(parts._replace(query=urlencode(parameters))), autocommit=True)
    return connection, table


def _written(vector: NDArray[np.float32]) -> str:
    return str(vector.tolist())


def _text(row: Sequence[Any]) -> Text:
    return Text(row[0], row[3], language=row[1], title=row[2], metadata=row[4] or None)


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError as missing:
        raise MissingExtraError("PostgreSQL", "postgres") from missing
    return psycopg


@contextmanager
def _server_errors(url: str) -> Iterator[None]:
    psycopg = _psycopg()
    shown = re.sub(r"//[^@/]*@", "//", url)
    try:
        yield
    except psycopg.OperationalError as error:
        raise FileError(
            f"{shown}: {str(error).splitlines()[0]}", next_step="Check that the server runs, its address and password."
        ) from error
    except psycopg.Error as error:
        raise DataError(
            f"{shown}: {str(error).splitlines()[0]}", next_step="Check that pgvector 0.8 or later is installed there."
        ) from error
