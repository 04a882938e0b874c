"""What the retriever asks of an engine, whatever computes the vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from isogloss.progress import EncodingProgress

Compute = Literal["float32", "bfloat16"]
"""What numbers are computed in."""

Progress = EncodingProgress
"""Takes the numbers of texts and of tokens finished since its last call."""


@dataclass(frozen=True)
class Encoded:
    """Vectors of some texts, in the order of the texts.

    Attributes:
        vectors: float32 of shape (texts, dimension), unit length; a text without tokens has the zero vector.
        token_counts: int64 of shape (texts,), tokens that entered the vector, prompt and special tokens included.
        truncated: bool of shape (texts,), whether tokens were cut off.
    """

    vectors: NDArray[np.float32]
    token_counts: NDArray[np.int64]
    truncated: NDArray[np.bool_]


@dataclass(frozen=True)
class SavedModule:
    """One module of a sentence-transformers folder.

    Attributes:
        kind: Class name, such as `Transformer`.
        write: Writes the files of the module into a folder that exists.
        identity: Modules of one identity are one module, shared by two towers.
    """

    kind: str
    write: Callable[[Path], None]
    identity: int


class Engine(Protocol):
    """Computes the vectors of one tower."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    @property
    def max_length(self) -> int | None:
        """Most tokens of a text that enter its vector; None is no limit."""

    @property
    def prompt(self) -> str:
        """What is put before every text."""

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> Encoded:
        """Vectors of `texts`, each with the prompt before it."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as `encode` counts them, those that it would cut off included."""

    def with_prompt(self, prompt: str) -> Engine:
        """The same weights with another prompt."""

    def copy(self) -> Engine:
        """An engine that shares no weights with this one."""

    def fingerprint_parts(self) -> Mapping[str, str]:
        """What decides the vectors, by name; equal parts mean equal vectors."""

    def saved_modules(self) -> list[SavedModule]:
        """The modules of the sentence-transformers layout, in order."""


@runtime_checkable
class Proving(Protocol):
    """An engine with a quick way that is held to the exact one on the first texts of every language."""

    def prove(self, texts: Sequence[str], languages: Iterable[str | None]) -> None:
        """Compares the two on texts of languages that are new, and gives the quick one up where they differ."""
