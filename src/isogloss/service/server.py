"""The HTTP server: uvicorn, with a time limit for callers who are slow to say what they want."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from isogloss.errors import FileError
from isogloss.service.keys import ApiKeys, check_address
from isogloss.service.logs import log_config
from isogloss.service.settings import ServiceSettings

LARGEST_HEADERS = 16 * 1024


def protocol_with_header_timeout(seconds: float) -> type[asyncio.Protocol]:
    """The protocol of uvicorn, closing connections on which no request began in time.

    uvicorn limits the time between requests of a connection, not that before the first: without this, callers who send
    a header a minute could hold all connections.
    """

    class Protocol(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._patience = asyncio.get_running_loop().call_later(seconds, self._give_up)

        def connection_lost(self, exc: Exception | None) -> None:
            self._patience.cancel()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None:
                self._patience.cancel()

        def _give_up(self) -> None:
            if self.cycle is None and not self.transport.is_closing():
                self.transport.close()

    return Protocol


def server_config(app: ASGIApp, settings: ServiceSettings) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        app,
        http=protocol_with_header_timeout(settings.body_timeout_seconds),
        ws="none",
        lifespan="on",
        log_config=log_config(),
        access_log=False,
        server_header=False,
        # Nobody in front is believed about where a request came from.
        proxy_headers=False,
        limit_concurrency=settings.max_connections,
        backlog=settings.max_connections,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        h11_max_incomplete_event_size=LARGEST_HEADERS,
    )


def listening(host: str, port: int, keys: ApiKeys) -> socket.socket:
    """A socket that waits for callers; its `getsockname` says which port was taken where `port` is 0.

    Raises:
        UsageError: If other machines could call without a key.
        FileError: If the system refuses, say because another process listens there.
    """
    check_address(host, keys)
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as refused:
        raise FileError(
            f"cannot listen at {host}:{port}: {(refused.strerror or str(refused)).lower()}",
            next_step="Give another --port (0 takes a free one), or stop what listens there.",
        ) from refused


def url_of(listener: socket.socket) -> str:
    """The address of a socket as a browser takes it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def run_server(app: ASGIApp, listener: socket.socket, settings: ServiceSettings) -> None:
    """Serves until a signal says to stop; running requests are answered first."""
    with listener:
        uvicorn.Server(server_config(app, settings)).run(sockets=[listener])
