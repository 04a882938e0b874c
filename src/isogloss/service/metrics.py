"""Counters of a service in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class Metrics:
    """What one service counts; two services in one process count apart."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        at = self._registry
        self.requests = Counter("isogloss_requests", "Answers by route and status.", ["route", "status"], registry=at)
        self.seconds = Histogram(
            "isogloss_request_seconds", "Time to answer.", ["route"], buckets=_SECONDS, registry=at
        )
        self.running = Gauge("isogloss_requests_running", "Requests that are being answered.", registry=at)
        self.body_bytes = Gauge("isogloss_body_bytes", "Bytes of the bodies that are being answered.", registry=at)
        self.texts = Counter("isogloss_texts", "Texts encoded, by role.", ["role"], registry=at)
        self.tokens = Counter("isogloss_tokens", "Tokens that entered vectors, by role.", ["role"], registry=at)
        self.tokens_cut = Counter(
            "isogloss_tokens_cut", "Tokens cut off before encoding, by role.", ["role"], registry=at
        )
        self.searches = Counter("isogloss_searches", "Searches by mode.", ["mode"], registry=at)
        self.batch_size = Histogram("isogloss_batch_size", "Weight of a batch.", ["queue"], buckets=_SIZES, registry=at)
        self.batch_seconds = Histogram(
            "isogloss_batch_seconds", "Time of a batch.", ["queue"], buckets=_SECONDS, registry=at
        )
        self._waiting = Gauge("isogloss_waiting", "What waits in a queue.", ["queue"], registry=at)

    def watch_queue(self, name: str, waiting: Callable[[], int]) -> None:
        """Reports how much waits in a queue whenever somebody looks."""
        self._waiting.labels(name).set_function(waiting)

    def batch_done(self, name: str, weight: int, seconds: float) -> None:
        """Counts one batch of a queue."""
        self.batch_size.labels(name).observe(weight)
        self.batch_seconds.labels(name).observe(seconds)

    def text(self) -> bytes:
        """All of it as Prometheus reads it."""
        return generate_latest(self._registry)
