"""Digests of weights and tokenizers that do not depend on how they are stored.

A tensor counts in the narrowest form that holds it exactly: a table of bytes, float16 or float32. So a folder of a
half or a quarter of the size and its float32 copy in memory have one digest, and training one tower leaves the digest
of the other alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.byte_table import ByteTable, as_bytes


def tensor_digest(tensors: Mapping[str, NDArray[np.generic] | ByteTable]) -> str:
    """SHA-256 over names, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = narrowest(tensors[name])
        parts = (values.codes, values.scales) if isinstance(values, ByteTable) else (values,)
        for part in parts:
            digest.update(f"{name}|{part.dtype.str}|{part.shape}|".encode())
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def narrowest(values: NDArray[np.generic] | ByteTable) -> NDArray[np.generic] | ByteTable:
    """The values as a table of bytes or in float16 where that loses nothing, else as they are."""
    if isinstance(values, ByteTable):
        return values
    in_bytes = as_bytes(values)
    if in_bytes is not None:
        return in_bytes
    if values.dtype not in (np.float32, np.float64):
        return values
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if np.array_equal(half.astype(values.dtype), values):
        return half
    single = values.astype(np.float32)
    return single if np.array_equal(single.astype(values.dtype), values) else values


def tokenizer_digest(tokenizer_json: str) -> str:
    """SHA-256 of a `tokenizers` file without truncation and padding, which calls change."""
    parts = json.loads(tokenizer_json)
    parts.pop("truncation", None)
    parts.pop("padding", None)
    return text_digest(json.dumps(parts, sort_keys=True, ensure_ascii=False))


def parts_digest(parts: Mapping[str, str]) -> str:
    """SHA-256 over named parts."""
    return text_digest(json.dumps(dict(parts), sort_keys=True, ensure_ascii=False))


def text_digest(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()
