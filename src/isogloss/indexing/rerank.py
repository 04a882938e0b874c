"""The last, optional stage of a search: a cross-encoder reads query and passage together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import MissingExtraError, ModelError


class Reranker(Protocol):
    """Scores passages for a query."""

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """One score per passage, higher being better."""


class CrossEncoderReranker:
    """Any cross-encoder that sentence-transformers opens; needs torch, which nothing else of a search does.

    Args:
        name: Model folder or hub name.
        batch_size: Pairs read at once.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        ModelError: The model cannot be opened.
    """

    def __init__(self, name: str, *, batch_size: int = 32) -> None:
        try:
            from sentence_transformers import CrossEncoder
        except ImportError as missing:
            raise MissingExtraError("Reranking", "train") from missing
        try:
            self._model: Any = CrossEncoder(name)
        except (OSError, ValueError) as broken:
            raise ModelError(
                f"'{name}' cannot be opened as a cross-encoder: {str(broken).splitlines()[0]}",
                next_step="Give a folder or hub name of a sentence-transformers CrossEncoder.",
            ) from broken
        self._batch_size = batch_size

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """One score per passage, higher being better."""
        pairs = [(query, passage) for passage in passages]
        found = self._model.predict(pairs, batch_size=self._batch_size, show_progress_bar=False)
        return np.asarray(found, dtype=np.float32).reshape(len(passages), -1)[:, -1]
