"""Digests of weights and tokenizers that do not depend on how they are stored.

A tensor counts in the narrowest of float16 and float32 that holds it exactly, so a half-precision folder and its
float32 copy in memory have one digest, and training one tower leaves the digest of the other alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def tensor_digest(tensors: Mapping[str, NDArray[np.generic]]) -> str:
    """SHA-256 over names, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = narrowest(tensors[name])
        digest.update(f"{name}|{values.dtype.str}|{values.shape}|".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def narrowest(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """The values in float16 where that loses nothing, else as they are."""
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
