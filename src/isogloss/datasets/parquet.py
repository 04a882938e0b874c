"""Records of a file, be it JSON lines or parquet: the readers take either, with the number of the line or row.

Repositories on the Hugging Face hub hold parquet in folders that are named as their configurations:

    xquad.de/validation-00000-of-00001.parquet     one split of a configuration, in one file or several
    xquad.de/validation/0000.parquet               the same in the hub's own conversion, revision refs/convert/parquet
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from isogloss.errors import Fault, MissingExtraError
from isogloss.files import check_file, file_errors, read_jsonl

RECORD_ENDINGS = (".jsonl", ".jsonl.gz", ".parquet")

_SHARD = re.compile(r"(?:-\d{5}-of-\d{5}(?:-[0-9a-f]+)?)?(?:\.(?:jsonl|tsv)(?:\.gz)?|\.parquet)$")
_BATCH_ROWS = 4096


def config_and_split(place: Path) -> tuple[str, str]:
    """The configuration and the split that the place of a file says."""
    folder, stem = place.absolute().parent, _SHARD.sub("", place.name)
    return (folder.parent.name, folder.name) if stem.isdigit() else (folder.name, stem)


def read_records(
    place: Path, wanted: Sequence[tuple[str, ...]], faults: list[Fault]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the records of a file with their numbers from 1.

    Args:
        place: JSON lines, compressed where the name ends in `.gz`, or parquet.
        wanted: What a record must have, each by its possible names. A parquet file without such a column is one fault
            and yields nothing; of JSON lines every record is its own, for the caller to check.
        faults: Where to add lines and rows that cannot be read.

    Raises:
        FileError: If the file cannot be read.
        MissingExtraError: If it is parquet and `pyarrow` is not installed.
    """
    return _read_parquet(place, wanted, faults) if place.suffix == ".parquet" else read_jsonl(place, faults=faults)


def _read_parquet(
    place: Path, wanted: Sequence[tuple[str, ...]], faults: list[Fault]
) -> Iterator[tuple[int, dict[str, Any]]]:
    arrow, parquet = _pyarrow()
    check_file(place)
    with file_errors(place, "read"):
        try:
            with parquet.ParquetFile(place) as table:
                absent = _absent_columns(place, table.schema_arrow.names, wanted)
                faults.extend(absent)
                rows = 0
                for batch in table.iter_batches(_BATCH_ROWS) if not absent else ():
                    yield from _rows(batch, rows, place, faults)
                    rows += batch.num_rows
        except (arrow.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            faults.append(Fault(str(place), f"no parquet file that can be read: {reason}", "fetch it again"))


def _absent_columns(place: Path, has: Sequence[str], wanted: Sequence[tuple[str, ...]]) -> list[Fault]:
    return [
        Fault(str(place), f"the column {' or '.join(map(repr, names))} is missing", f"it has: {', '.join(has)}")
        for names in wanted
        if not set(names).intersection(has)
    ]


def _rows(batch: Any, before: int, place: Path, faults: list[Fault]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a batch; a null is left out, as JSON lines leave out what a record has not."""
    for number, record in enumerate(_as_python(batch), start=before + 1):
        if isinstance(record, UnicodeDecodeError):
            byte = record.object[record.start : record.start + 4]
            faults.append(Fault(f"{place}:{number}", f"byte {record.start + 1} of a string is no UTF-8: {byte!r}"))
        else:
            yield number, {key: value for key, value in record.items() if value is not None}


def _as_python(batch: Any) -> list[dict[str, Any] | UnicodeDecodeError]:
    try:
        return list(batch.to_pylist())
    except UnicodeDecodeError as error:
        if batch.num_rows == 1:
            return [error]
    # One row at a time only where that is needed to tell which are broken: it is slow.
    return [record for row in range(batch.num_rows) for record in _as_python(batch.slice(row, 1))]


def _pyarrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtraError("Reading parquet files", "hub") from error
