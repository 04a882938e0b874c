"""Reading text: lines, JSON lines and JSON, in UTF-8, compressed where the name ends in `.gz`."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from isogloss.errors import DataError, Fault, FileError, did_you_mean, raise_faults
from isogloss.files.system import file_errors, what_is

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_GZIP_MARK = b"\x1f\x8b"
_SHOWN_CHARACTERS = 60


def check_file(path: str | os.PathLike[str]) -> Path:
    """Returns `path` if it is a file.

    Raises:
        FileError: If there is nothing, a folder, or what can be read once only.
    """
    place = Path(path)
    with file_errors(place, "read"):
        if place.is_dir():
            raise FileError(f"cannot read {place}: it is a folder", next_step="Give the path of a file inside it.")
        if not place.exists():
            raise _missing(place)
        if not place.is_file():
            raise _passing(place)
    return place


def check_folder(path: str | os.PathLike[str]) -> Path:
    """Returns `path` if it is a folder.

    Raises:
        FileError: If there is nothing, or a file.
    """
    place = Path(path)
    with file_errors(place, "read"):
        if place.exists() and not place.is_file() and not place.is_dir():
            raise _passing(place)
        if place.is_file():
            raise FileError(f"cannot read {place}: it is a file", next_step="Give the path of a folder.")
        if not place.exists():
            raise _missing(place)
    return place


def _passing(place: Path) -> FileError:
    """What is neither a file nor a folder: files are looked into, and then read, more than once."""
    return FileError(
        f"cannot read {place}: it is {what_is(place)}, whose content passes once",
        next_step="Write the content to a file first, and give the path of that.",
    )


def _missing(place: Path) -> FileError:
    if place.is_symlink():
        target = Path(os.path.realpath(place))
        lost = "a loop of links" if target.is_symlink() else f"a link to {target}, where nothing is"
        return FileError(f"cannot read {place}: it is {lost}", next_step=f"See where it leads: ls -l '{place}'")
    known = next(parent for parent in place.absolute().parents if parent.is_dir())
    hint = ""
    if known == place.absolute().parent:
        hint = did_you_mean(place.name, sorted(entry.name for entry in known.iterdir()))
    return FileError(
        f"cannot read {place}: there is no such file or folder{hint}",
        next_step=f"The path exists as far as {known}: see what is there with ls.",
    )


def open_binary(path: str | os.PathLike[str]) -> BinaryIO:
    """Opens a file for reading, decompressed where its name ends in `.gz`.

    Raises:
        FileError: If the file cannot be opened, or its name and its content disagree about compression.
    """
    place = check_file(path)
    compressed = place.suffix == ".gz"
    with file_errors(place, "read"):
        with place.open("rb") as raw:
            start = raw.read(2)
        if start and compressed != (start == _GZIP_MARK):
            wrong = "its name ends in .gz but it is not compressed" if compressed else "it is compressed with gzip"
            raise FileError(
                f"cannot read {place}: {wrong}", next_step="Rename it: the ending .gz decides how it is read."
            )
        return cast(BinaryIO, gzip.open(place, "rb")) if compressed else place.open("rb")


def open_text(path: str | os.PathLike[str]) -> TextIO:
    """Opens a UTF-8 file for reading, decompressed where its name ends in `.gz`.

    Raises:
        FileError: If the file cannot be opened.
    """
    return io.TextIOWrapper(open_binary(path), encoding="utf-8-sig", newline="\n")


def read_lines(path: str | os.PathLike[str], *, faults: list[Fault] | None = None) -> Iterator[tuple[int, str]]:
    """Yields the lines that are not blank, with their numbers from 1, without their ends.

    Only line feeds end a line: other separators of Unicode occur within JSON strings and sentences.

    Args:
        path: A UTF-8 file, compressed where its name ends in `.gz`.
        faults: Where to add lines that are no UTF-8. With None they are raised together at the end of the file, and
            nothing is yielded after the first.

    Raises:
        FileError: If the file cannot be opened or read to its end.
        DataError: If lines are no UTF-8 and `faults` is None.
    """
    place = Path(path)
    own: list[Fault] = []
    found = own if faults is None else faults
    with file_errors(place, "read"), open_binary(place) as stream:
        for number, raw in enumerate(stream, start=1):
            if number == 1 and raw.startswith(_UTF16_MARKS):
                raise DataError(
                    f"{place} is encoded in UTF-16", next_step=f"Convert it: iconv -f UTF-16 -t UTF-8 '{place}'"
                )
            line = raw.removeprefix(_BYTE_ORDER_MARK) if number == 1 else raw
            try:
                text = line.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                offending = line[error.start : error.start + 4]
                found.append(Fault(f"{place}:{number}", f"byte {error.start + 1} is no UTF-8: {offending!r}"))
                continue
            if text.strip() and not own:
                yield number, text
    raise_faults(DataError, str(place), own, "Save the file as UTF-8.")


def read_jsonl(
    path: str | os.PathLike[str], *, faults: list[Fault] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the objects of a JSON-lines file with their line numbers.

    Args:
        path: One JSON object per line, in UTF-8; compressed where its name ends in `.gz`.
        faults: Where to add broken lines. With None they are raised together at the end of the file, and nothing is
            yielded after the first.

    Raises:
        FileError: If the file cannot be opened or read to its end.
        DataError: If lines are broken and `faults` is None.
    """
    own: list[Fault] = []
    found = own if faults is None else faults
    for number, line in read_lines(path, faults=found):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            found.append(Fault(f"{path}:{number}", f"broken JSON: {_json_reason(error)}: {shorten(line)}"))
            continue
        if not isinstance(value, dict):
            found.append(Fault(f"{path}:{number}", f"no JSON object: {shorten(line)}", 'a line looks like {"_id": …}'))
            continue
        if "\\u" in line and not _encodable(line, value):
            found.append(Fault(f"{path}:{number}", "half of a surrogate pair in an escape \\ud800 … \\udfff"))
            continue
        if not own:
            yield number, value
    raise_faults(DataError, str(path), own, "Mend these lines; nothing was kept of this file.")


def _encodable(line: str, value: dict[str, Any]) -> bool:
    """Whether all strings can be written as UTF-8 again; lone surrogates break tokenizers much later."""
    if "\\ud" not in line.lower():
        return True
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _json_reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos + 1}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def read_json(path: str | os.PathLike[str]) -> Any:
    """Reads one JSON value.

    Raises:
        FileError: If the file cannot be read.
        DataError: If it holds no UTF-8 or no JSON.
    """
    place = Path(path)
    with file_errors(place, "read"), open_binary(place) as stream:
        content = stream.read()
    try:
        return json.loads(content.removeprefix(_BYTE_ORDER_MARK).decode("utf-8"))
    except json.JSONDecodeError as error:
        fault = Fault(f"{place}:{error.lineno}", f"broken JSON: {error.msg} at column {error.colno}")
    except UnicodeDecodeError as error:
        fault = Fault(f"{place}:{content.count(10, 0, error.start) + 1}", f"byte {error.start + 1} is no UTF-8")
    except (ValueError, RecursionError) as error:
        fault = Fault(str(place), f"broken JSON: {_json_reason(error)}")
    raise DataError(f"{place} is no JSON file", faults=[fault], next_step="Mend the file or fetch it again.")


def shorten(text: str) -> str:
    """The beginning of `text`, quoted, to show in an error."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")
