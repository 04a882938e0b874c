"""Chosen rows of some tensors of a safetensors file, copied as bytes: any precision, no torch, one tensor at a time."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import ModelError

LENGTH = struct.Struct("<Q")
LONGEST_HEADER = 100_000_000
COPIED_AT_ONCE = 1 << 20


def read_header(path: Path) -> dict[str, Any]:
    """Name to `dtype`, `shape` and `data_offsets` of each tensor, without the metadata.

    Raises:
        ModelError: If the file is broken.
    """
    with path.open("rb") as file:
        header, _ = _header(file, path)
    header.pop("__metadata__", None)
    return header


def copy_rows(source: Path, target: Path, rows: Mapping[str, NDArray[np.int64]]) -> None:
    """Writes the file anew with the given rows of the tensors named and all of the others.

    Raises:
        ModelError: If the file is broken.
    """
    with source.open("rb") as file, target.open("wb") as out:
        header, start = _header(file, source)
        written: dict[str, Any] = {"__metadata__": header.pop("__metadata__")} if "__metadata__" in header else {}
        names = sorted(header, key=lambda name: int(header[name]["data_offsets"][0]))
        place = 0
        for name in names:
            tensor = dict(header[name])
            begin, end = tensor["data_offsets"]
            size = end - begin
            if name in rows:
                size = size // max(1, tensor["shape"][0]) * len(rows[name])
                tensor["shape"] = [len(rows[name]), *tensor["shape"][1:]]
            written[name] = {**tensor, "data_offsets": [place, place + size]}
            place += size
        text = json.dumps(written, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        out.write(LENGTH.pack(len(text)) + text)
        for name in names:
            begin, end = header[name]["data_offsets"]
            file.seek(start + begin)
            if name in rows:
                width = (end - begin) // max(1, header[name]["shape"][0])
                table = np.frombuffer(file.read(end - begin), dtype=np.uint8).reshape(-1, width)
                out.write(np.ascontiguousarray(table[rows[name]]).data)
            else:
                _copy(file, out, end - begin)


def _header(file: BinaryIO, path: Path) -> tuple[dict[str, Any], int]:
    """The header and where the data begins."""
    try:
        (length,) = LENGTH.unpack(file.read(LENGTH.size))
        if length > LONGEST_HEADER:
            raise ValueError("its header is too long")
        header: dict[str, Any] = json.loads(file.read(length))
    except (struct.error, ValueError) as broken:
        raise ModelError(f"{path} cannot be read: {broken}", next_step="Copy the whole model folder again.") from broken
    return header, LENGTH.size + length


def _copy(file: BinaryIO, out: BinaryIO, size: int) -> None:
    while size:
        block = file.read(min(size, COPIED_AT_ONCE))
        if not block:
            raise ModelError(f"{file.name} ends too early", next_step="Copy the whole model folder again.")
        out.write(block)
        size -= len(block)
