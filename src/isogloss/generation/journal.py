"""The journal of a generation: every finished task is a line, so that a stopped run asks for nothing twice.

The first line says what the run was; each further line is a task. A line that a kill cut short is dropped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from isogloss.errors import UsageError
from isogloss.files import file_errors, open_text, write_text
from isogloss.generation.tasks import Task, Written

FORMAT = 1


class Journal:
    """What was written so far.

    Args:
        stream: Where further lines go.
        done: Tasks by key.
    """

    def __init__(self, stream: TextIO, done: dict[str, Written]) -> None:
        self._stream = stream
        self.done = done

    def add(self, task: Task, written: Written) -> None:
        """Keeps a finished task; it is on the disk when this returns."""
        line = {"task": task.key, "texts": written.texts, "failure": written.failure}
        self._stream.write(json.dumps({**line, "provenance": dict(written.provenance)}) + "\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self.done[task.key] = written


@contextmanager
def open_journal(path: Path, digest: str) -> Iterator[Journal]:
    """Opens a journal to go on with, or begins one.

    Args:
        path: The file.
        digest: What a run must agree with to go on.

    Raises:
        UsageError: If it is of another run.
        FileError: If the system refuses.
    """
    lines = _complete_lines(path)
    head = _object(lines[0]) if lines else {}
    if lines and (head.get("format") != FORMAT or head.get("run") != digest):
        raise UsageError(
            f"{path} is the journal of another generation: input, languages, settings or generator differ",
            next_step="Give another --out, or remove the journal to begin afresh.",
        )
    kept = [line for line in lines[1:] if "task" in _object(line)]
    # Written anew, so that a line that a kill cut short does not spoil the one after it.
    write_text(path, "".join(line + "\n" for line in [json.dumps({"format": FORMAT, "run": digest}), *kept]))
    done = {}
    for line in kept:
        entry = _object(line)
        done[str(entry["task"])] = Written(tuple(entry["texts"]), str(entry["failure"]), entry["provenance"])
    with file_errors(path, "write"), path.open("a", encoding="utf-8") as stream:
        yield Journal(stream, done)


def _complete_lines(path: Path) -> list[str]:
    if not path.is_file():
        return []
    with file_errors(path, "read"), open_text(path) as stream:
        return [line for line in stream.read().splitlines() if _object(line)]


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
