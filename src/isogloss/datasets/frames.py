"""Tables in memory where a path may stand: data sets of Hugging Face, frames of pandas and polars, lists of objects.

Nothing of these libraries is imported: a table is known by what it can do. A table becomes records, those become files
in a temporary folder, and the reader of files checks them, so that a table has the same faults as a file.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from isogloss.errors import DataError, UsageError
from isogloss.files import write_jsonl, write_text
from isogloss.files.trec import QRELS_HEADER

SET_TABLES = ("corpus", "queries", "qrels")


def is_table(value: object) -> bool:
    """Whether a value is a table of records rather than a path."""
    return hasattr(value, "to_dict") or hasattr(value, "to_dicts") or hasattr(value, "column_names") or _is_list(value)


def is_set_of_tables(value: object) -> bool:
    """Whether a value is an evaluation set as a mapping of its three tables, such as a `DatasetDict`."""
    return isinstance(value, Mapping) and set(SET_TABLES) <= set(value)


def records(table: Any) -> Iterator[dict[str, Any]]:
    """The records of a table; what is missing (None, NaN, NaT) is left out, as JSON lines leave it out.

    Raises:
        UsageError: If the value is no table, or its records are no objects.
    """
    if hasattr(table, "to_dicts"):  # polars
        rows: Iterable[Any] = table.to_dicts()
    elif hasattr(table, "iloc"):  # pandas
        rows = table.to_dict(orient="records")
    elif hasattr(table, "column_names") or _is_list(table):  # a data set of Hugging Face yields its rows
        rows = table
    else:
        raise UsageError(f"{type(table).__name__} is no table", next_step="Give a path, a data set or a data frame.")
    for row in rows:
        if not isinstance(row, Mapping):
            raise UsageError(
                f"a row is no object but {type(row).__name__}", next_step="Give a table with named columns."
            )
        yield {str(key): _plain(value) for key, value in row.items() if not _is_missing(value)}


@contextmanager
def as_file(table: Any, name: str) -> Iterator[Path]:
    """A JSON-lines file with the records of a table, for as long as the block runs; a path is given back as it is."""
    if not is_table(table):
        yield Path(table)
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / f"{name}.jsonl"
        _write(place, table)
        yield place


@contextmanager
def as_beir_folder(tables: Mapping[str, Any]) -> Iterator[Path]:
    """A BEIR folder with the tables `corpus`, `queries` and `qrels`, for as long as the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        for name in SET_TABLES[:2]:
            _write(Path(folder) / f"{name}.jsonl", tables[name])
        lines = ["\t".join(QRELS_HEADER)]
        for number, record in enumerate(records(tables["qrels"]), start=1):
            missing = [key for key in QRELS_HEADER if key not in record]
            if missing:
                raise DataError(f"qrels row {number} lacks {', '.join(missing)}", next_step="Mend the table.")
            grade = record[QRELS_HEADER[2]]
            whole = int(grade) if isinstance(grade, float) and grade.is_integer() else grade
            lines.append(f"{record[QRELS_HEADER[0]]}\t{record[QRELS_HEADER[1]]}\t{whole}")
        write_text(Path(folder) / "qrels" / "test.tsv", "".join(f"{line}\n" for line in lines))
        yield Path(folder)


def _write(place: Path, table: Any) -> None:
    try:
        write_jsonl(place, records(table))
    except TypeError as error:
        raise DataError(
            f"the table {place.stem} holds what JSON has not: {error}", next_step="Mend the table."
        ) from error


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(row, Mapping) for row in value)


def _is_missing(value: object) -> bool:
    # NaT, pandas.NA and NaN are the values that do not equal themselves, or do not say whether they do.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and math.isnan(value)


def _plain(value: Any) -> Any:
    """Arrays and scalars of NumPy as Python values."""
    return value.tolist() if hasattr(value, "tolist") else value
