"""Files in and out: text and JSON lines (gz by suffix), TREC and BEIR judgements and runs, and atomic writes.

Nothing is half-written: a file or folder is built beside its place and renamed when it is complete. Every fault of
the system (a full disk, a missing file, a permission) becomes a `FileError` that names the path and a next step; every
fault of the content becomes part of one `DataError` with the file and the line.
"""

from __future__ import annotations

from isogloss.files.reading import check_file, check_folder, open_text, read_json, read_jsonl, read_lines
from isogloss.files.system import file_errors
from isogloss.files.trec import read_qrels, read_run, write_qrels, write_run
from isogloss.files.writing import (
    FolderKind,
    atomic_folder,
    atomic_path,
    is_leftover,
    refuse_occupied,
    refuse_unmakeable,
    remove_leftovers,
    write_json,
    write_jsonl,
    write_text,
)

__all__ = [
    "FolderKind",
    "atomic_folder",
    "atomic_path",
    "check_file",
    "check_folder",
    "file_errors",
    "is_leftover",
    "open_text",
    "read_json",
    "read_jsonl",
    "read_lines",
    "read_qrels",
    "read_run",
    "refuse_occupied",
    "refuse_unmakeable",
    "remove_leftovers",
    "write_json",
    "write_jsonl",
    "write_qrels",
    "write_run",
    "write_text",
]
