"""What a service can be told: its limits, its defaults, and who may call it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from isogloss.records import Role

MEBIBYTE = 1024 * 1024


class ServiceSettings(BaseModel):
    """Limits and defaults of a service; every limit that a caller meets is named in the answer.

    Attributes:
        max_body_bytes: Largest body of one request.
        max_bodies_bytes: Largest sum of all bodies that are being read or worked on.
        max_connections: Open connections; more are turned away.
        max_texts: Texts of one request.
        max_text_characters: Characters of one text.
        max_request_tokens: Tokens of one request, before any is cut.
        max_hits: Largest `k` of a search.
        max_batch_texts: Texts that are encoded together.
        max_waiting_texts: Texts that may wait to be encoded; more are answered with 429.
        max_waiting_searches: Searches that may wait; more are answered with 429.
        batch_wait_seconds: How long the first text of a batch waits for others.
        body_timeout_seconds: Time for headers and for a body to arrive.
        request_timeout_seconds: Time for the whole answer.
        shutdown_seconds: Time that running requests have after a signal to stop.
        default_input_type: Role of embedded texts whose request names none.
        default_mode: Way of searching where a request names none; an index that lacks it uses what it has.
        rerank_depth: Hits that the cross-encoder of `--rerank` reads for a query.
        facet_hits: Best hits over which the languages of an answer are counted.
        log_queries: Whether queries are written into the log.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_body_bytes: int = Field(default=4 * MEBIBYTE, ge=1024)
    max_bodies_bytes: int = Field(default=64 * MEBIBYTE, ge=1024)
    max_connections: int = Field(default=2048, ge=1)
    max_texts: int = Field(default=2048, ge=1)
    max_text_characters: int = Field(default=100_000, ge=1)
    max_request_tokens: int = Field(default=500_000, ge=1)
    max_hits: int = Field(default=100, ge=1)
    max_batch_texts: int = Field(default=256, ge=1)
    max_waiting_texts: int = Field(default=4096, ge=1)
    max_waiting_searches: int = Field(default=256, ge=1)
    batch_wait_seconds: float = Field(default=0.002, ge=0, le=1)
    body_timeout_seconds: float = Field(default=10.0, gt=0)
    request_timeout_seconds: float = Field(default=30.0, gt=0)
    shutdown_seconds: int = Field(default=10, ge=0)
    default_input_type: Role = "passage"
    default_mode: Literal["dense", "lexical", "hybrid"] = "hybrid"
    rerank_depth: int = Field(default=30, ge=1)
    facet_hits: int = Field(default=100, ge=1)
    log_queries: bool = False
