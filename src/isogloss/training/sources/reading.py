"""Files of a source: one, several, or all that a pattern matches."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from isogloss import datasets
from isogloss.datasets import parallel
from isogloss.errors import DataError
from isogloss.files import file_errors
from isogloss.languages import normalize
from isogloss.records import ParallelRow, Row


def expand(paths: Sequence[str]) -> list[str]:
    """The files that paths and patterns such as `data/*.tsv.gz` name, patterns in the order of the names.

    Raises:
        DataError: If there is no path, or a pattern matches nothing.
    """
    if not paths:
        raise DataError("a source has no path", next_step="Give it: --set sources.NAME.path=FILE")
    files: list[str] = []
    for path in paths:
        if Path(path).exists() or not glob.has_magic(path):
            files.append(path)
            continue
        pattern = Path(path)
        found = sorted(str(match) for match in Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))
        if not found:
            raise DataError(f"no file matches '{path}'", next_step=f"Relative paths start in {Path.cwd()}.")
        files.extend(found)
    return files


def file_hashes(paths: Sequence[str]) -> dict[str, str]:
    """SHA-256 of each file that paths and patterns name."""
    found = {}
    for path in expand(paths) if paths else []:
        digest = hashlib.sha256()
        with file_errors(path, "read"), Path(path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        found[path] = digest.hexdigest()
    return found


def read_rows(paths: Sequence[str]) -> Iterator[Row]:
    """Training rows of all files."""
    for path in expand(paths):
        yield from datasets.read_rows(path)


def read_parallel(paths: Sequence[str], pairs: Sequence[tuple[str, str]]) -> Iterator[ParallelRow]:
    """Translation pairs of all files; of many languages a line, English with each other one by default."""
    chosen = [(normalize(first), normalize(second)) for first, second in pairs]
    for path in expand(paths):
        if ".tsv" in Path(path).suffixes[-2:]:
            yield from parallel.read_parallel(path)
            continue
        for identifier, texts in parallel.read_multiway(path):
            for first, second in chosen or [("en", other) for other in texts if other != "en"]:
                if first in texts and second in texts:
                    yield ParallelRow(texts[first], texts[second], first, second, pair_id=identifier, source=path)
