"""Pooling without torch: token vectors become the vector of a text, as the sentence-transformers module does it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import ModelError

LEGACY_POOLING_KEYS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Pooling:
    """Modes of pooling, whose vectors are joined in their order.

    Attributes:
        modes: Among the keys of `LEGACY_POOLING_KEYS`.
        include_prompt: Whether the tokens of the prompt count.
    """

    modes: tuple[str, ...] = ("mean",)
    include_prompt: bool = True

    @classmethod
    def load(cls, folder: Path) -> Pooling:
        """Reads the `config.json` of a sentence-transformers `Pooling` folder, as any release writes it.

        Raises:
            ModelError: If it cannot be read, or names a mode that is unknown.
        """
        path = folder / "config.json"
        try:
            config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as broken:
            raise ModelError(f"{path} cannot be read: {broken}", next_step="Copy the whole model again.") from broken
        named = config.get("pooling_mode")
        if named is None:
            modes = tuple(mode for mode, key in LEGACY_POOLING_KEYS.items() if config.get(key))
        else:
            modes = (named,) if isinstance(named, str) else tuple(named)
        unknown = [mode for mode in modes if mode not in LEGACY_POOLING_KEYS]
        if unknown or not modes:
            raise ModelError(
                f"{path} has the pooling {', '.join(unknown) or 'none'}",
                next_step=f"Known are: {', '.join(LEGACY_POOLING_KEYS)}.",
            )
        return cls(modes, bool(config.get("include_prompt", True)))

    def pool(self, tokens: Floats, mask: NDArray[np.int64]) -> Floats:
        """Vectors of shape (texts, dimension times modes).

        Args:
            tokens: Token vectors of shape (texts, length, dimension).
            mask: 1 for tokens that count, 0 for padding, of shape (texts, length); each row has a token.
        """
        vectors = [_MODES[mode](tokens, mask) for mode in self.modes]
        return vectors[0] if len(vectors) == 1 else np.concatenate(vectors, axis=1)


def _sum(tokens: Floats, weights: Floats) -> Floats:
    added: Floats = np.matmul(weights[:, None, :], tokens)[:, 0, :]
    return added


def _over(sums: Floats, divisors: Floats) -> Floats:
    quotients: Floats = sums / divisors[:, None]
    return quotients


def _mean(tokens: Floats, mask: NDArray[np.int64]) -> Floats:
    weights = mask.astype(np.float32)
    return _over(_sum(tokens, weights), weights.sum(axis=1))


def _mean_by_root(tokens: Floats, mask: NDArray[np.int64]) -> Floats:
    weights = mask.astype(np.float32)
    return _over(_sum(tokens, weights), np.sqrt(weights.sum(axis=1)))


def _mean_by_place(tokens: Floats, mask: NDArray[np.int64]) -> Floats:
    """Later tokens weigh more (Muennighoff 2022, SGPT, eq. 2)."""
    weights = (mask * np.arange(1, mask.shape[1] + 1)).astype(np.float32)
    return _over(_sum(tokens, weights), weights.sum(axis=1))


def _largest(tokens: Floats, mask: NDArray[np.int64]) -> Floats:
    largest: Floats = np.where(mask[:, :, None] > 0, tokens, np.float32(-np.inf)).max(axis=1)
    return largest


def _at(tokens: Floats, places: NDArray[np.intp]) -> Floats:
    found: Floats = tokens[np.arange(len(tokens)), places]
    return found


def _first(tokens: Floats, mask: NDArray[np.int64]) -> Floats:
    return _at(tokens, mask.argmax(axis=1))


def _last(tokens: Floats, mask: NDArray[np.int64]) -> Floats:
    return _at(tokens, mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1))


_MODES: Mapping[str, Callable[[Floats, NDArray[np.int64]], Floats]] = {
    "cls": _first,
    "max": _largest,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_by_root,
    "weightedmean": _mean_by_place,
    "lasttoken": _last,
}


def unit_rows(vectors: Floats) -> Floats:
    """The rows scaled to unit length; rows of zeros stay."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return unit


def padded(rows: Sequence[Sequence[int]], filler: int) -> NDArray[np.int64]:
    """Lists of numbers as one array of shape (rows, longest), filled up at the end."""
    array = np.full((len(rows), max(map(len, rows))), filler, dtype=np.int64)
    for place, row in zip(array, rows, strict=True):
        place[: len(row)] = row
    return array
