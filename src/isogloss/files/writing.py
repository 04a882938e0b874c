"""Writing: everything is built beside its place and renamed when complete, so that nothing is lost or half-written."""

from __future__ import annotations

import glob
import gzip
import io
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TextIO

from isogloss.errors import DataError, Fault, FileError
from isogloss.files.system import PARTIAL, file_errors, what_is

SHOWN_FILES = 5


@dataclass(frozen=True)
class FolderKind:
    """What a folder of one kind holds, so that no other is replaced in its place.

    Attributes:
        name: What it is called, with its article.
        marker: A file that it always has.
        holds: All its other files, as patterns of their paths in it, where `*` stands for folders too.
    """

    name: str
    marker: str
    holds: tuple[str, ...]

    def foreign(self, place: Path) -> list[str]:
        """The files in a folder that are none of this kind."""
        known = (self.marker, *self.holds)
        files = (path.relative_to(place) for path in place.rglob("*") if path.is_symlink() or not path.is_dir())
        return sorted(
            str(file)
            for file in files
            if not any(map(is_leftover, file.parts)) and not any(fnmatch(file.as_posix(), one) for one in known)
        )


def _beside(place: Path, kind: str = PARTIAL) -> Path:
    """A free name in the same folder; the ending stays, since NumPy and others add or choose by it."""
    return place.with_name(f"{kind}{secrets.token_hex(4)}-{place.name}")


def _settle(path: Path) -> None:
    """Waits until the content is on the disk: a rename must not overtake it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, overwrite: bool = True) -> Iterator[Path]:
    """Gives a path to write to, in the same folder and with the same ending, and renames it to `path` at the end.

    An exception inside the block removes what was written and leaves `path` as it was. Missing folders are made.

    Args:
        path: The file to make. A symbolic link is followed.
        overwrite: Whether an existing file is replaced.

    Raises:
        FileError: If the system refuses, or the file exists and `overwrite` is false, or nothing was written.
    """
    place = Path(os.path.realpath(path))
    if place.is_dir():
        raise FileError(f"cannot write {path}: it is a folder", next_step="Give the path of a file.")
    if place.exists() and not overwrite:
        raise FileError(f"cannot write {path}: it exists already", next_step="Choose another name, or remove it first.")
    partial = _beside(place)
    with file_errors(path, "write"):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            _settle(partial)
            partial.replace(place)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(
    path: str | os.PathLike[str], *, overwrite: bool = False, kind: FolderKind | None = None
) -> Iterator[Path]:
    """Gives an empty folder beside `path` to fill, and renames it to `path` at the end.

    An exception inside the block removes what was written and leaves `path` as it was. An empty folder at `path` counts
    as nothing.

    Args:
        path: The folder to make.
        overwrite: Whether an existing folder is replaced, as a whole.
        kind: The only kind of folder that is.

    Raises:
        FileError: If the system refuses, or `path` holds something and `overwrite` is false, or something else.
    """
    place = Path(os.path.realpath(path))
    _refuse_taken(path, overwrite=overwrite, kind=kind)
    partial = _beside(place)
    with file_errors(path, "write"):
        try:
            partial.mkdir(parents=True)
            yield partial
            usual = stat.S_IMODE(partial.stat().st_mode) & 0o666
            for file in partial.rglob("*"):
                if file.is_file():
                    file.chmod(usual)  # some libraries write files that nobody else may read
                    _settle(file)
            _refuse_taken(path, overwrite=overwrite, kind=kind)
            _swap(partial, place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def is_leftover(path: str | os.PathLike[str]) -> bool:
    """Whether a writer that was killed, or that still runs, made this file or folder; by its name."""
    return Path(path).name.startswith(PARTIAL)


def remove_leftovers(folder: str | os.PathLike[str], name: str = "") -> None:
    """Removes what writers that were killed left in `folder`; a writer that still runs there fails at its end.

    Args:
        folder: Where they wrote.
        name: Only what would have become this file or folder.
    """
    ending = f"{'?' * 8}-{glob.escape(name)}" if name else "*"
    for leftover in Path(folder).glob(f"{PARTIAL}{ending}"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def refuse_occupied(
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    kind: FolderKind | None = None,
    inputs: Iterable[str | os.PathLike[str]] = (),
) -> None:
    """Checks that a folder can be made at `path`: nothing is there, or an empty folder, or it may be replaced.

    The current folder and those that hold it are never replaced, nor what the same command reads, and with a `kind`
    nothing that is not of it.

    Args:
        path: The folder to make.
        overwrite: Whether an existing folder may be replaced.
        kind: The only kind of folder that may.
        inputs: What the command reads; names that are no paths are passed over.

    Raises:
        FileError: If something is there, or the system lets nobody make a folder there.
    """
    _refuse_taken(path, overwrite=overwrite, kind=kind)
    _refuse_inputs(path, inputs)
    refuse_unmakeable(path)


def refuse_unmakeable(path: str | os.PathLike[str]) -> None:
    """Checks that the system lets a folder be made at `path`, or be filled that is there, by making one.

    Only the attempt tells: what permissions say is not what root may, or what a disk takes that is read-only.

    Raises:
        FileError: If it does not.
    """
    place = Path(os.path.realpath(path))
    with file_errors(path, "write"):
        there = next(folder for folder in (place, *place.parents) if os.path.lexists(folder))
        if not there.is_dir():
            raise FileError(
                f"cannot write {path}: {there} is {what_is(there)}, not a folder",
                next_step="Choose another name for the folder.",
            )
        probe = _beside(there / (place.parts[len(there.parts)] if there != place else place.name))
        try:
            probe.mkdir()
        except FileNotFoundError:  # what /proc and its like say
            raise FileError(
                f"cannot write {path}: {there} takes no folders", next_step="Choose another place."
            ) from None
        probe.rmdir()


def _refuse_taken(path: str | os.PathLike[str], *, overwrite: bool, kind: FolderKind | None) -> None:
    if not os.fspath(path):
        raise FileError("cannot write '': the name of the folder is empty", next_step="Give a name for the folder.")
    place = Path(os.path.realpath(path))
    with file_errors(path, "write"):
        if place.exists() and not place.is_dir():
            raise FileError(
                f"cannot write {path}: it is {what_is(place)}", next_step="Choose another name for the folder."
            )
        if not place.is_dir():
            return
        empty = not any(place.iterdir())
        if not empty and not overwrite:
            raise FileError(
                f"cannot write {path}: the folder exists and is not empty",
                next_step="Choose another folder, or remove it first.",
            )
        # An empty one too: a folder takes the place of another, and a shell stays in the one that is gone.
        if Path(os.path.realpath(Path.cwd())).is_relative_to(place):
            raise FileError(
                f"cannot replace {path}: it is the current folder, or holds it", next_step="Choose another folder."
            )
        if kind is not None and not empty:
            _refuse_other_kinds(path, place, kind)


def _refuse_inputs(path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]]) -> None:
    place = Path(os.path.realpath(path))
    for one in inputs:
        if os.fspath(one) and Path(os.path.realpath(Path(one).expanduser())).is_relative_to(place) and place.exists():
            raise FileError(
                f"cannot replace {path}: {one}, which this command reads, is it or lies in it",
                next_step="Choose another folder.",
            )


def _refuse_other_kinds(path: str | os.PathLike[str], place: Path, kind: FolderKind) -> None:
    if not (place / kind.marker).exists():
        raise FileError(
            f"cannot replace {path}: it is no folder of {kind.name}, for it has no {kind.marker}",
            next_step="Choose another folder, or remove it yourself.",
        )
    foreign = kind.foreign(place)
    if foreign:
        more = f" and {len(foreign) - SHOWN_FILES} more" if len(foreign) > SHOWN_FILES else ""
        raise FileError(
            f"cannot replace {path}: beside {kind.name} it holds {', '.join(foreign[:SHOWN_FILES])}{more}",
            next_step="Choose another folder, or move these away.",
        )


def _swap(partial: Path, place: Path) -> None:
    """Renames the finished folder into place; what was there is put back if that fails."""
    if not place.exists():
        partial.rename(place)
        return
    former = _beside(place, ".former-")
    place.rename(former)
    try:
        partial.rename(place)
    except OSError:
        former.rename(place)
        raise
    shutil.rmtree(former, ignore_errors=True)


@contextmanager
def writing_text(path: str | os.PathLike[str], *, overwrite: bool = True) -> Iterator[TextIO]:
    """Opens a UTF-8 file to write, compressed where the name ends in `.gz`; it takes its place when complete.

    Compressed bytes carry neither name nor time, so that equal content gives equal files.

    Raises:
        FileError: If the system refuses, or the file exists and `overwrite` is false.
    """
    with atomic_path(path, overwrite=overwrite) as partial, partial.open("wb") as raw:
        if partial.suffix == ".gz":
            with (
                gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=3) as packed,
                io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as stream,
            ):
                yield stream
        else:
            with io.TextIOWrapper(raw, encoding="utf-8", newline="\n") as stream:
                yield stream


def write_text(path: str | os.PathLike[str], text: str, *, overwrite: bool = True) -> None:
    """Writes a text file, whole or not at all.

    Raises:
        FileError: If the system refuses.
        DataError: If `text` holds half of a surrogate pair.
    """
    try:
        with writing_text(path, overwrite=overwrite) as stream:
            stream.write(text)
    except UnicodeEncodeError as error:
        raise _unwritable(path, error) from error


def write_json(path: str | os.PathLike[str], value: Any, *, overwrite: bool = True) -> None:
    """Writes one JSON value, indented, whole or not at all.

    Raises:
        FileError: If the system refuses.
        DataError: If a string holds half of a surrogate pair.
    """
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n", overwrite=overwrite)


def write_jsonl(path: str | os.PathLike[str], records: Iterable[Mapping[str, Any]], *, overwrite: bool = True) -> int:
    """Writes one JSON object per line, the whole file or nothing.

    Args:
        path: Compressed where its name ends in `.gz`.
        records: The objects; they may come from a generator.
        overwrite: Whether an existing file is replaced.

    Returns:
        How many lines were written.

    Raises:
        FileError: If the system refuses.
        DataError: If a string holds half of a surrogate pair.
    """
    count = 0
    try:
        with writing_text(path, overwrite=overwrite) as stream:
            for record in records:
                count += 1
                stream.write(json.dumps(record, ensure_ascii=False) + "\n")
    except UnicodeEncodeError as error:
        raise _unwritable(path, error) from error
    return count


def _unwritable(path: str | os.PathLike[str], error: UnicodeEncodeError) -> DataError:
    offending = str(error.object)[error.start : error.start + 1]
    fault = Fault(str(path), f"half of a surrogate pair, {offending!r}, cannot be written as UTF-8")
    return DataError(f"cannot write {path}", faults=[fault], next_step="Clean the text; what was there is unchanged.")
