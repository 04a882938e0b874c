"""What every request passes before it is served: host, key, body limits, time limits; and what is noted of it after."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isogloss.service.failures import RefusalError
from isogloss.service.keys import ApiKeys, is_loopback
from isogloss.service.logs import log_event
from isogloss.service.metrics import Metrics
from isogloss.service.settings import ServiceSettings

NOTES = "isogloss.notes"
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LONGEST_LOGGED_PATH = 200


@dataclass
class _Exchange:
    """What is known of one request and its answer."""

    scope: Scope
    identity: str = field(default_factory=lambda: secrets.token_hex(8))
    started: float = field(default_factory=time.perf_counter)
    status: int = 0
    body_bytes: int = 0


class Guard:
    """Wraps the application.

    Args:
        app: What serves the requests that pass.
        settings: Limits.
        keys: Who may call; without keys, only requests that name a loopback host are served.
        public_paths: Paths that need no key.
        metrics: Counts the answers.
    """

    def __init__(
        self, app: ASGIApp, settings: ServiceSettings, keys: ApiKeys, public_paths: frozenset[str], metrics: Metrics
    ) -> None:
        self._app = app
        self._settings = settings
        self._keys = keys
        self._public_paths = public_paths
        self._metrics = metrics
        self._bytes_held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves, or refuses and says why."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope)
        scope[NOTES] = {}
        with self._observed(exchange):
            await self._serve(exchange, receive, self._sending(exchange, send))

    async def _serve(self, exchange: _Exchange, receive: Receive, send: Send) -> None:
        scope = exchange.scope
        try:
            self._admit(scope)
            body = await self._read_body(exchange, receive)
            with anyio.fail_after(self._settings.request_timeout_seconds):
                await self._app(scope, _replay(body, receive), send)
        except RefusalError as refusal:
            await refusal.response()(scope, receive, send)
        except TimeoutError:
            if exchange.status:
                raise  # half an answer cannot be taken back; the server closes the connection
            seconds = self._settings.request_timeout_seconds
            late = RefusalError(504, f"No answer within {seconds:g} s.", code="timeout", retry_after=seconds)
            await late.response()(scope, receive, send)
        finally:
            self._bytes_held -= exchange.body_bytes

    def _admit(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if not self._keys and not is_loopback(_host_name(headers.get("host", ""))):
            # A page elsewhere may point its own name at this machine (DNS rebinding) to read what is served here.
            raise RefusalError(421, "Without an API key, only requests to a loopback host are served.", code="host")
        closed = bool(self._keys) and scope["path"] not in self._public_paths
        if closed and not self._keys.accept(headers.get("authorization", "").encode("latin-1")):
            raise RefusalError(401, "Send `Authorization: Bearer KEY` with a valid API key.", code="invalid_api_key")
        if scope["method"] == "POST":
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise RefusalError(415, "Send the body as application/json.", code="content_type")

    async def _read_body(self, exchange: _Exchange, receive: Receive) -> bytes:
        limit = self._settings.max_body_bytes
        announced = Headers(scope=exchange.scope).get("content-length", "0")
        if not announced.isdigit() or int(announced) > limit:
            raise _too_large(limit)
        chunks = []
        with anyio.move_on_after(self._settings.body_timeout_seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RefusalError(400, "The body ended early.", code="body_incomplete")
                chunks.append(message.get("body", b""))
                self._hold(exchange, len(chunks[-1]))
                if exchange.body_bytes > limit:
                    raise _too_large(limit)
                if not message.get("more_body", False):
                    return b"".join(chunks)
        seconds = self._settings.body_timeout_seconds
        raise RefusalError(408, f"The body did not arrive within {seconds:g} s.", code="body_timeout")

    def _hold(self, exchange: _Exchange, size: int) -> None:
        if self._bytes_held + size > self._settings.max_bodies_bytes:
            raise RefusalError(
                429, "Too many large requests at once; try again later.", code="bodies_full", retry_after=1
            )
        exchange.body_bytes += size
        self._bytes_held += size
        self._metrics.body_bytes.set(self._bytes_held)

    def _sending(self, exchange: _Exchange, send: Send) -> Send:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = exchange.identity
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if exchange.status in (408, 413):
                    headers["Connection"] = "close"  # the rest of the body is not waited for
            await send(message)

        return send_with_headers

    @contextmanager
    def _observed(self, exchange: _Exchange) -> Iterator[None]:
        self._metrics.running.inc()
        try:
            yield
        finally:
            self._metrics.running.dec()
            self._metrics.body_bytes.set(self._bytes_held)
            seconds = time.perf_counter() - exchange.started
            route = exchange.scope[NOTES].pop("route", "other")
            self._metrics.requests.labels(route, exchange.status).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            log_event(
                "request",
                id=exchange.identity,
                method=exchange.scope["method"][:10],
                path=exchange.scope["path"][:_LONGEST_LOGGED_PATH],
                status=exchange.status,
                milliseconds=round(1000 * seconds, 1),
                bytes=exchange.body_bytes,
                **exchange.scope[NOTES],
            )


def _replay(body: bytes, receive: Receive) -> Receive:
    pending = [body]

    async def receive_again() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return receive_again


def _too_large(limit: int) -> RefusalError:
    return RefusalError(413, f"The body is larger than {limit} bytes.", code="body_too_large")


def _host_name(host: str) -> str:
    """The name in a Host header, without its port."""
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]
