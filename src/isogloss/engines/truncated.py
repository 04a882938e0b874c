"""Vectors cut to their first dimensions and scaled to unit length again, for models trained on nested dimensions.

What `SentenceTransformer(…, truncate_dim=n)` gives has the same directions. Source of such models: Kusupati et al. 2022
(2205.13147).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from isogloss.engines.protocol import Encoded, Engine, Progress, SavedModule
from isogloss.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TruncatedEngine:
    """The first dimensions of another engine's vectors.

    Args:
        engine: The engine.
        dimension: How many dimensions are kept.

    Raises:
        UsageError: If the engine has not as many.
    """

    def __init__(self, engine: Engine, dimension: int) -> None:
        if not 1 <= dimension <= engine.dimension:
            raise UsageError(f"dimension: {dimension} (allowed: 1 to {engine.dimension}, what the model has)")
        self.engine = engine
        self.dimension = dimension

    @property
    def max_length(self) -> int | None:
        """Most tokens of a text that enter its vector; None is no limit."""
        return self.engine.max_length

    @property
    def prompt(self) -> str:
        """What is put before every text."""
        return self.engine.prompt

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> Encoded:
        """Vectors of `texts`, each with the prompt before it."""
        encoded = self.engine.encode(texts, progress=progress)
        return Encoded(first_dimensions(encoded.vectors, self.dimension), encoded.token_counts, encoded.truncated)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, those that would be cut off included."""
        return self.engine.count_tokens(texts)

    def with_prompt(self, prompt: str) -> TruncatedEngine:
        """The same weights with another prompt."""
        return TruncatedEngine(self.engine.with_prompt(prompt), self.dimension)

    def copy(self) -> TruncatedEngine:
        """An engine that shares no weights with this one."""
        return TruncatedEngine(self.engine.copy(), self.dimension)

    def fingerprint_parts(self) -> Mapping[str, str]:
        """What decides the vectors, by name."""
        return {**self.engine.fingerprint_parts(), "dimension": str(self.dimension)}

    def saved_modules(self) -> list[SavedModule]:
        """The modules of the whole engine: the folder keeps all dimensions and says how many are used."""
        return self.engine.saved_modules()


def first_dimensions(vectors: NDArray[np.float32], dimension: int) -> NDArray[np.float32]:
    """The first dimensions of vectors of shape (texts, dim), unit length; a zero vector stays one."""
    cut = np.ascontiguousarray(vectors[:, :dimension])
    length = np.linalg.norm(cut, axis=1, keepdims=True)
    np.divide(cut, length, out=cut, where=length > 0)
    return cut


def whole_engine(engine: Engine) -> Engine:
    """The engine with all its dimensions."""
    return engine.engine if isinstance(engine, TruncatedEngine) else engine
