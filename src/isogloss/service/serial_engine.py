"""An engine that several threads may call: tokenizers of transformers fail when two set their limits."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from isogloss.engines.protocol import Encoded, Engine, Progress, Proving, SavedModule
from isogloss.engines.static import StaticEngine
from isogloss.engines.truncated import whole_engine
from isogloss.models.retriever import Retriever


class SerialEngine:
    """Lets one thread at a time through to an engine.

    Args:
        engine: What computes the vectors.
        lock: Shared by engines that share a tokenizer.
    """

    def __init__(self, engine: Engine, lock: threading.Lock) -> None:
        self._engine = engine
        self._lock = lock

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._engine.dimension

    @property
    def max_length(self) -> int | None:
        """Most tokens of a text; None is no limit."""
        return self._engine.max_length

    @property
    def prompt(self) -> str:
        """What is put before every text."""
        return self._engine.prompt

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> Encoded:
        """Vectors of `texts`."""
        with self._lock:
            return self._engine.encode(texts, progress=progress)

    def prove(self, texts: Sequence[str], languages: Iterable[str | None]) -> None:
        """Compares a quick way with the exact one, where the engine has one."""
        engine = whole_engine(self._engine)
        if isinstance(engine, Proving):
            with self._lock:
                engine.prove(texts, languages)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text before any is cut."""
        with self._lock:
            return self._engine.count_tokens(texts)

    def with_prompt(self, prompt: str) -> SerialEngine:
        """The same weights with another prompt, behind the same lock."""
        return SerialEngine(self._engine.with_prompt(prompt), self._lock)

    def copy(self) -> Engine:
        """An engine that shares no weights with this one."""
        return self._engine.copy()

    def fingerprint_parts(self) -> Mapping[str, str]:
        """What decides the vectors, by name."""
        return self._engine.fingerprint_parts()

    def saved_modules(self) -> list[SavedModule]:
        """The modules of the sentence-transformers layout."""
        return self._engine.saved_modules()


def for_threads(retriever: Retriever) -> Retriever:
    """The retriever with engines that several threads may call; overlong texts are cut without a warning.

    What an engine puts off is done now, so that no caller waits for it.
    """
    lock = threading.Lock()
    for tower in (retriever.query, retriever.passage):
        engine = whole_engine(tower.engine)
        if isinstance(engine, StaticEngine):
            engine.read_tokenizer()
    return replace(
        retriever,
        query=replace(retriever.query, engine=SerialEngine(retriever.query.engine, lock)),
        passage=replace(retriever.passage, engine=SerialEngine(retriever.passage.engine, lock)),
        on_overflow="ignore",
    )
