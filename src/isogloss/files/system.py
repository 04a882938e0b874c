"""Faults of the operating system, told in the user's terms."""

from __future__ import annotations

import errno
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from isogloss.errors import FileError

_NEXT_STEPS = {
    errno.ENOENT: "Check the path; relative paths start in {cwd}.",
    errno.EACCES: "Check who may use it: ls -ld '{path}'",
    errno.EPERM: "Check who may use it: ls -ld '{path}'",
    errno.EROFS: "Choose a place on a disk that can be written to.",
    errno.ENOSPC: "Free space on the disk (df -h '{folder}') or choose another place; nothing was lost.",
    errno.EDQUOT: "Free some of your quota or choose another place; nothing was lost.",
    errno.EISDIR: "Give the path of a file; this one is a folder.",
    errno.ENOTDIR: "Part of the path is a file, not a folder: check it.",
    errno.ENAMETOOLONG: "Give a shorter name.",
    errno.EMFILE: "Too many files are open: raise the limit (ulimit -n).",
}

# safetensors tells faults of the system in words only: "… No space left on device (os error 28)".
_NUMBER_IN_WORDS = re.compile(r"\(os error (\d+)\)")


def as_file_error(error: OSError | EOFError | zlib.error, path: Path, action: str) -> FileError:
    """The `FileError` that tells what `error` means for `path`.

    Args:
        error: What the system said.
        path: The file in question, used unless the error names another.
        action: What was being tried: `read`, `write`, …
    """
    if not isinstance(error, OSError) or error.errno is None:
        return FileError(
            f"cannot {action} {path}: the compressed data are damaged or cut off ({error})",
            next_step=f"Fetch or write the file again; check it with: gzip -t '{path}'",
        )
    named = error.filename if isinstance(error.filename, (str, os.PathLike)) and error.filename else path
    place = Path(named)
    reason = (os.strerror(error.errno) if error.errno else str(error)).lower()
    step = _NEXT_STEPS.get(error.errno, "Check the path and the disk.")
    return FileError(
        f"cannot {action} {place}: {reason}",
        next_step=step.format(path=place, folder=place.parent, cwd=Path.cwd()),
    )


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
