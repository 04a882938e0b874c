"""Encoding for many callers: texts of one role go through the model together, each caller gets its own vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from isogloss.models.retriever import Retriever
from isogloss.records import Role
from isogloss.service.batching import Batcher
from isogloss.service.failures import RefusalError
from isogloss.service.metrics import Metrics
from isogloss.service.settings import ServiceSettings

_SHOWN_TEXTS = 20


@dataclass(frozen=True)
class EncodedTexts:
    """Vectors of one caller's texts.

    Attributes:
        vectors: float32 of shape (texts, dimension), unit length.
        tokens: Tokens that entered the vectors, prompts included.
        texts_cut: Texts that lost tokens.
        tokens_cut: Tokens that they lost.
        prompt: What was put before every text.
    """

    vectors: NDArray[np.float32]
    tokens: int
    texts_cut: int
    tokens_cut: int
    prompt: str

    def headers(self, role: Role, *, chosen: bool) -> dict[str, str]:
        """What was done to the texts, as headers.

        Args:
            role: Role of the texts.
            chosen: Whether the caller named the role.
        """
        return {
            "X-Isogloss-Input-Type": role if chosen else f"{role}; default",
            "X-Isogloss-Prompt": quote(self.prompt),  # percent-encoded: a prompt may hold line breaks and any script
            "X-Isogloss-Texts-Cut": str(self.texts_cut),
            "X-Isogloss-Tokens-Cut": str(self.tokens_cut),
        }

    def shortened(self, dimensions: int) -> EncodedTexts:
        """The leading values of each vector, scaled to unit length again."""
        leading = self.vectors[:, :dimensions]
        norms = np.linalg.norm(leading, axis=1, keepdims=True)
        return replace(self, vectors=np.divide(leading, norms, out=np.zeros_like(leading), where=norms > 0))


class _UnreadableError(RefusalError):
    """Texts of which the model knows no token, by their places."""

    def __init__(self, places: Sequence[int]) -> None:
        super().__init__(400, "A text has no token that the model knows.", code="empty_text")
        self.places = places

    def of(self, field: str) -> RefusalError:
        """The same, with the field that holds the texts; never with a text."""
        shown = ", ".join(f"{field}.{place}" for place in self.places[:_SHOWN_TEXTS])
        more = f" and {len(self.places) - _SHOWN_TEXTS} more" if len(self.places) > _SHOWN_TEXTS else ""
        message = f"{shown}{more}: no token that the model knows."
        return RefusalError(400, message, code=self.code, parameter=field)


_Job = tuple[Role, list[str]]


class Encoder:
    """The towers of a retriever behind a queue.

    Args:
        retriever: Its towers encode; several threads may call it (`for_threads`).
        settings: Limits.
        metrics: Counts texts and tokens.
    """

    def __init__(self, retriever: Retriever, settings: ServiceSettings, metrics: Metrics) -> None:
        self.retriever = retriever
        self._settings = settings
        self._metrics = metrics
        self.queue: Batcher[_Job, EncodedTexts] = Batcher(
            "encoding",
            self._encode_jobs,
            max_batch=settings.max_batch_texts,
            max_waiting=settings.max_waiting_texts,
            wait_seconds=settings.batch_wait_seconds,
            on_batch=lambda weight, seconds: metrics.batch_done("encoding", weight, seconds),
        )
        metrics.watch_queue("encoding", lambda: self.queue.waiting)

    async def encode(self, texts: list[str], role: Role, *, field: str) -> EncodedTexts:
        """Vectors of `texts`.

        Args:
            texts: Texts of one caller, without prompts.
            role: Role of all of them.
            field: Field of the request that holds them, for refusals.

        Raises:
            RefusalError: 400 for too many, too long or empty texts; 429 where the queue is full.
        """
        self._check(texts, field)
        try:
            return await self.queue.submit((role, texts), len(texts))
        except _UnreadableError as refusal:
            raise refusal.of(field) from None

    def _check(self, texts: list[str], field: str) -> None:
        limits = self._settings
        if len(texts) > limits.max_texts:
            message = f"{field}: {len(texts)} texts (at most {limits.max_texts} a request)."
            raise RefusalError(400, message, code="too_many_texts", parameter=field)
        most = limits.max_text_characters
        faults = [
            (f"{field}.{place}: {len(text)} characters (at most {most} a text).", "text_too_long")
            if len(text) > most
            else (f"{field}.{place} is empty.", "empty_text")
            for place, text in enumerate(texts)
            if len(text) > most or not text.strip()
        ]
        if faults:
            more = f" And {len(faults) - _SHOWN_TEXTS} more." if len(faults) > _SHOWN_TEXTS else ""
            message = " ".join(fault for fault, _ in faults[:_SHOWN_TEXTS]) + more
            raise RefusalError(400, message, code=faults[0][1], parameter=field)

    def _encode_jobs(self, jobs: Sequence[_Job]) -> list[EncodedTexts]:
        for role, texts in jobs:
            self._check_tokens(role, texts)
        found: dict[int, EncodedTexts] = {}
        for role in ("query", "passage"):
            numbers = [number for number, job in enumerate(jobs) if job[0] == role]
            found |= dict(zip(numbers, self._encode_role(role, [jobs[number][1] for number in numbers]), strict=True))
        return [found[number] for number in range(len(jobs))]

    def _check_tokens(self, role: Role, texts: list[str]) -> None:
        limit = self._settings.max_request_tokens
        # No tokenizer makes more tokens than bytes, so that most requests need no counting.
        if sum(len(text.encode()) for text in texts) <= limit:
            return
        count = sum(self.retriever.tower(role).engine.count_tokens(texts))
        if count > limit:
            raise RefusalError(
                400, f"The texts have {count} tokens (at most {limit} a request).", code="too_many_tokens"
            )

    def _encode_role(self, role: Role, groups: list[list[str]]) -> list[EncodedTexts]:
        texts = [text for group in groups for text in group]
        if not texts:
            return []
        tower = self.retriever.tower(role)
        # Not refused there, whose message quotes the texts.
        encoded = self.retriever.encode_with_counts(texts, role=role, unreadable="zeros")
        unreadable = np.flatnonzero(np.asarray(encoded.token_counts) == 0).tolist()
        if unreadable:  # of several callers' texts, each is asked for once more by itself
            raise _UnreadableError(unreadable)
        cut = np.zeros(len(texts), dtype=np.int64)
        cut_rows = np.flatnonzero(encoded.truncated)
        if cut_rows.size:
            whole = tower.engine.count_tokens([texts[row] for row in cut_rows])
            cut[cut_rows] = np.asarray(whole) - encoded.token_counts[cut_rows]
        self._metrics.texts.labels(role).inc(len(texts))
        self._metrics.tokens.labels(role).inc(int(encoded.token_counts.sum()))
        self._metrics.tokens_cut.labels(role).inc(int(cut.sum()))
        ends = np.cumsum([len(group) for group in groups])
        return [
            EncodedTexts(
                vectors=encoded.vectors[end - len(group) : end],
                tokens=int(encoded.token_counts[end - len(group) : end].sum()),
                texts_cut=int(encoded.truncated[end - len(group) : end].sum()),
                tokens_cut=int(cut[end - len(group) : end].sum()),
                prompt=tower.prompt,
            )
            for group, end in zip(groups, ends.tolist(), strict=True)
        ]
