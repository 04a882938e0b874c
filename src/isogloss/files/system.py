"""Faults of the operating system, told in the user's terms."""

from __future__ import annotations

import errno
import gzip
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from isogloss.errors import FileError

PARTIAL = ".partial-"  # how the names begin of what is being written
_NEXT_STEPS = {
    errno.ENOENT: "Check the path; relative paths start in {cwd}.",
    errno.EACCES: "Check who may use it: ls -ld '{there}'",
    errno.EPERM: "Check who may use it: ls -ld '{there}'",
    errno.EROFS: "Choose a place on a disk that can be written to.",
    errno.ENOSPC: "Free space on the disk (df -h '{disk}') or choose another place; nothing was lost.",
    errno.EDQUOT: "Free some of your quota or choose another place; nothing was lost.",
    errno.EEXIST: "A file has the name of a folder that is needed: choose another place.",
    errno.EISDIR: "Give the path of a file; this one is a folder.",
    errno.ENOTDIR: "Part of the path is a file, not a folder: check it.",
    errno.ENAMETOOLONG: "Give a shorter name.",
    errno.EMFILE: "Too many files are open: raise the limit (ulimit -n).",
}

# safetensors tells faults of the system in words only: "… No space left on device (os error 28)".
_NUMBER_IN_WORDS = re.compile(r"\(os error (\d+)\)")
# NumPy says how much of an array the disk took, and not why.
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
_KINDS = (
    (stat.S_ISREG, "a file"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def what_is(place: Path) -> str:
    """What is at a path, with its article: a file, a folder, a pipe or another.

    Raises:
        OSError: If nothing is, or the system refuses.
    """
    mode = place.stat().st_mode
    return next((name for holds, name in _KINDS if holds(mode)), "something else")


def as_file_error(error: OSError | EOFError | zlib.error, path: Path, action: str) -> FileError:
    """The `FileError` that tells what `error` means for `path`.

    Args:
        error: What the system said.
        path: The file in question, used unless the error names another.
        action: What was being tried: `read`, `write`, …
    """
    if isinstance(error, (gzip.BadGzipFile, zlib.error)) or (isinstance(error, EOFError) and path.suffix == ".gz"):
        return FileError(
            f"cannot {action} {path}: the compressed data are damaged or cut off ({error})",
            next_step=f"Fetch or write the file again; check it with: gzip -t '{path}'",
        )
    if isinstance(error, EOFError):
        return FileError(f"cannot {action} {path}: it is cut off ({error})", next_step="Fetch or write the file again.")
    if error.errno is None:
        if _SHORT_WRITE.search(str(error)):
            return FileError(
                f"cannot {action} {path}: no space left on device, or a limit was reached ({error})",
                next_step=_filled(_NEXT_STEPS[errno.ENOSPC], path),
            )
        return FileError(
            f"cannot {action} {path}: {error or type(error).__name__}", next_step="Check the path and the disk."
        )
    named = error.filename if isinstance(error.filename, (str, os.PathLike)) and error.filename else path
    # What is being written has a name of its own, which is gone when this is read.
    place = path if any(part.startswith(PARTIAL) for part in Path(named).parts) else Path(named)
    reason = (os.strerror(error.errno) if error.errno else str(error)).lower()
    step = _NEXT_STEPS.get(error.errno, "Check the path and the disk.")
    return FileError(f"cannot {action} {place}: {reason}", next_step=_filled(step, place))


def _filled(step: str, path: Path) -> str:
    """A next step with its paths, which are as near to `path` as there is something: nobody can look at the rest."""
    there = next((one for one in (path, *path.parents) if os.path.lexists(one)), Path.cwd())
    disk = next((one for one in path.parents if os.path.lexists(one)), Path.cwd())
    return step.format(there=there, disk=disk, cwd=Path.cwd())


@contextmanager
def file_errors(path: str | os.PathLike[str], action: str) -> Iterator[None]:
    """Turns faults of the system inside the block into a `FileError` about `path`.

    Args:
        path: The file or folder that the block is about.
        action: What the block does: `read`, `write`, …

    Raises:
        FileError: Where the block raises an `OSError` or finds damaged compressed data.
    """
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise as_file_error(error, Path(path), action) from error
    except SafetensorError as error:
        number = _NUMBER_IN_WORDS.search(str(error))
        if number is None:
            raise
        raise as_file_error(OSError(int(number[1]), str(error)), Path(path), action) from error
