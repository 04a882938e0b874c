"""The application: routes, queues that start and stop with it, and the guard around all."""

from __future__ import annotations

import importlib.resources
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from isogloss.models.retriever import Retriever
from isogloss.service.corpus import Corpus
from isogloss.service.encoding import Encoder
from isogloss.service.endpoints import Endpoint, Endpoints
from isogloss.service.failures import RefusalError, error_response
from isogloss.service.guard import NOTES, Guard
from isogloss.service.keys import ApiKeys
from isogloss.service.metrics import Metrics
from isogloss.service.openapi import openapi_document
from isogloss.service.reports import read_reports
from isogloss.service.searching import Searcher
from isogloss.service.settings import ServiceSettings

_PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/report.js": ("report.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
}


def create_app(
    retriever: Retriever,
    corpus: Corpus | None = None,
    *,
    model_name: str = "isogloss",
    settings: ServiceSettings | None = None,
    keys: ApiKeys | None = None,
    report: Path | None = None,
) -> ASGIApp:
    """The service as an ASGI application.

    Args:
        retriever: Encodes, in several threads (`for_threads`); its passage tower made the corpus.
        corpus: What `/search` searches; without one, the service embeds and reranks.
        model_name: Name under which the model is served.
        settings: Limits and defaults.
        keys: Who may call. Without keys, only requests that name a loopback host are served.
        report: Folder of `isogloss evaluate`, for the page's report.

    Raises:
        DataError: The report cannot be read.
    """
    settings = settings or ServiceSettings()
    metrics = Metrics()
    encoder = Encoder(retriever, settings, metrics)
    searcher = Searcher(corpus, encoder, settings, metrics) if corpus is not None else None
    endpoints = Endpoints(model_name, encoder, searcher, settings, metrics)
    pages = _page_files()
    app = Starlette(
        routes=[*_interface(endpoints, read_reports(report)), *(_fixed(path, *page) for path, page in pages.items())],
        exception_handlers={RefusalError: _refused, HTTPException: _http_error, Exception: _failed},
        lifespan=partial(_lifespan, encoder, searcher),
    )
    return Guard(app, settings, keys or ApiKeys(), frozenset({*pages, "/health"}), metrics)


def _interface(endpoints: Endpoints, reports: bytes) -> list[Route]:
    routes = [
        _route("/v1/embeddings", "POST", endpoints.embeddings),
        _route("/v1/rerank", "POST", endpoints.rerank),
        _route("/v1/models", "GET", endpoints.models),
        _route("/search", "POST", endpoints.search),
        _route("/corpus", "GET", endpoints.corpus),
        _route("/health", "GET", endpoints.health),
        _route("/metrics", "GET", endpoints.metrics),
    ]
    json = "application/json"
    return [*routes, _fixed("/reports", reports, json), _fixed("/openapi.json", openapi_document(), json)]


def _route(path: str, method: str, endpoint: Endpoint) -> Route:
    async def named(request: Request) -> Response:
        request.scope[NOTES]["route"] = path
        return await endpoint(request)

    return Route(path, named, methods=[method])


def _fixed(path: str, content: bytes, media_type: str) -> Route:
    headers = {"Content-Type": media_type, **(_PAGE_HEADERS if path in _PAGE else {})}

    async def fixed(request: Request) -> Response:
        return Response(content, headers=headers)

    return _route(path, "GET", fixed)


def _page_files() -> dict[str, tuple[bytes, str]]:
    folder = importlib.resources.files("isogloss.service") / "page"
    return {path: ((folder / name).read_bytes(), kind) for path, (name, kind) in _PAGE.items()}


@asynccontextmanager
async def _lifespan(encoder: Encoder, searcher: Searcher | None, app: Starlette) -> AsyncIterator[None]:
    queues: list[Any] = [encoder.queue, *([searcher.queue] if searcher else [])]
    for queue in queues:
        queue.start()
    # A daemon, for a lexical index of many passages takes longer to make than anybody waits for a service to stop.
    preparing = threading.Thread(target=searcher.corpus.prepare, daemon=True) if searcher else None
    if preparing is not None:
        preparing.start()
    try:
        yield
    finally:
        for queue in queues:
            await queue.stop()
        if searcher is not None and preparing is not None and not preparing.is_alive():
            searcher.corpus.close()


async def _refused(request: Request, refusal: Exception) -> Response:
    return refusal.response() if isinstance(refusal, RefusalError) else error_response(500, "The service failed.")


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    known: dict[int, tuple[str, str]] = {
        404: ("There is nothing at this address; GET /openapi.json lists what there is.", "not_found"),
        405: ("This address does not take this method; GET /openapi.json lists what it takes.", "method_not_allowed"),
    }
    message, code = known.get(status, ("The request could not be served.", "http_error"))
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return error_response(status, message, code, headers=headers)


async def _failed(request: Request, error: Exception) -> Response:
    return error_response(500, "The service failed; its log has the reason under this X-Request-Id.", "internal_error")
