"""The command `isogloss`, also as `python -m isogloss`: what may go wrong before a verb begins, or where none can tell.

The program is imported inside, for an interrupt during its imports is no error.
"""

from __future__ import annotations

import errno
import os
import sys

_INTERRUPTED = 130
_UNWRITABLE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EPIPE, errno.EFBIG, errno.EBADF))


def main() -> None:
    """Entry point of the console script."""
    try:
        from isogloss.cli.main import main as program

        program()
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped.\n")
        sys.exit(_INTERRUPTED)
    except OSError as error:
        told = _told(error)
        if not told:
            raise
        sys.stderr.write(f"{told}\n")
        # What is still buffered cannot be written either, and would be complained of once more at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)


def _told(error: OSError) -> str:
    """What a user can do about an error that not even its message could be written of; empty for a bug."""
    try:
        os.getcwd()  # noqa: PTH109  # pathlib would be one more import before the program's own
    except OSError:
        return 'The current folder does not exist any more.\nChange to another one: cd "$HOME"'
    if error.errno in _UNWRITABLE:
        return f"Cannot write to standard output: {(error.strerror or str(error)).lower()}.\nSend it elsewhere."
    return ""


if __name__ == "__main__":
    main()
