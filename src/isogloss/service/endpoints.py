"""What each address of the interface does."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import numpy as np
from anyio import to_thread
from numpy.typing import NDArray
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from isogloss.records import Role
from isogloss.service.encoding import EncodedTexts, Encoder
from isogloss.service.failures import RefusalError
from isogloss.service.guard import NOTES
from isogloss.service.metrics import CONTENT_TYPE, Metrics
from isogloss.service.schemas import EmbeddingsRequest, RerankRequest, SearchRequest, parse
from isogloss.service.searching import Searcher
from isogloss.service.settings import ServiceSettings

Endpoint = Callable[[Request], Awaitable[Response]]


class Endpoints:
    """The interface over one model and, where there is one, one corpus.

    Args:
        model: Name under which the model is served.
        encoder: The model.
        searcher: The corpus; without one, searches are refused.
        settings: Defaults.
        metrics: What is counted.
    """

    def __init__(
        self, model: str, encoder: Encoder, searcher: Searcher | None, settings: ServiceSettings, metrics: Metrics
    ) -> None:
        self._model = model
        self._encoder = encoder
        self._searcher = searcher
        self._settings = settings
        self._metrics = metrics

    async def embeddings(self, request: Request) -> Response:
        """`POST /v1/embeddings`."""
        asked = parse(EmbeddingsRequest, await request.body())
        self._check_model(asked.model)
        dimension = self._encoder.retriever.dimension
        if asked.dimensions is not None and asked.dimensions > dimension:
            message = f"dimensions: {asked.dimensions} (at most {dimension}, the model's own)."
            raise RefusalError(400, message, code="dimensions", parameter="dimensions")
        texts = [asked.input] if isinstance(asked.input, str) else asked.input
        role: Role = "query" if (asked.input_type or self._settings.default_input_type) == "query" else "passage"
        encoded = await self._encoder.encode(texts, role, field="input")
        _note(request, encoded, texts=len(texts))
        if asked.dimensions is not None:
            encoded = encoded.shortened(asked.dimensions)
        headers = encoded.headers(role, chosen=asked.input_type is not None)
        # Thousands of vectors take a while to write down, in which others must be heard.
        body = await to_thread.run_sync(self._embeddings_body, encoded, asked.encoding_format)
        return Response(body, media_type="application/json", headers=headers)

    def _embeddings_body(self, encoded: EncodedTexts, encoding_format: str) -> bytes:
        vectors = encoded.vectors
        written = [_base64(vector) for vector in vectors] if encoding_format == "base64" else vectors.tolist()
        data = [{"object": "embedding", "index": place, "embedding": value} for place, value in enumerate(written)]
        usage = {"prompt_tokens": encoded.tokens, "total_tokens": encoded.tokens}
        return to_json({"object": "list", "data": data, "model": self._model, "usage": usage})

    async def search(self, request: Request) -> Response:
        """`POST /search`."""
        asked = parse(SearchRequest, await request.body())
        body, encoded = await self._corpus().search(asked)
        if self._settings.log_queries:
            request.scope[NOTES]["query"] = asked.query
        _note(request, encoded, mode=body["mode"], k=asked.k)
        return _json(body, encoded.headers("query", chosen=True))

    async def rerank(self, request: Request) -> Response:
        """`POST /v1/rerank`: documents by the cosine of their vectors and the query's, by the served model."""
        asked = parse(RerankRequest, await request.body())
        self._check_model(asked.model)
        query = await self._encoder.encode([asked.query], "query", field="query")
        documents = await self._encoder.encode(asked.documents, "passage", field="documents")
        _note(request, documents, texts=len(asked.documents))
        scores = documents.vectors @ query.vectors[0]
        order = np.lexsort((np.arange(len(scores)), -scores))[: asked.top_n]
        results: list[dict[str, Any]] = [
            {"index": place, "relevance_score": float(scores[place])} for place in order.tolist()
        ]
        if asked.return_documents:
            results = [result | {"document": {"text": asked.documents[result["index"]]}} for result in results]
        tokens = query.tokens + documents.tokens
        body = {"model": self._model, "results": results, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
        return _json(body, documents.headers("passage", chosen=True))

    async def models(self, request: Request) -> Response:
        """`GET /v1/models`."""
        retriever = self._encoder.retriever
        towers = {
            role: {
                "prompt": retriever.tower(role).prompt,
                "max_length": retriever.tower(role).max_length,
                "fingerprint": retriever.tower(role).fingerprint.digest,
            }
            for role in ("query", "passage")
        }
        model = {
            "id": self._model,
            "object": "model",
            "created": 0,
            "owned_by": "isogloss",
            "dimensions": retriever.dimension,
            "default_input_type": self._settings.default_input_type,
            "towers": towers,
        }
        return _json({"object": "list", "data": [model]})

    async def corpus(self, request: Request) -> Response:
        """`GET /corpus`: what is searched."""
        return _json(self._corpus().about())

    async def health(self, request: Request) -> Response:
        """`GET /health`: answers when the model is loaded and the queues work."""
        return _json({"status": "ok", "model": self._model, "corpus": self._searcher is not None})

    async def metrics(self, request: Request) -> Response:
        """`GET /metrics`."""
        return Response(self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    def _check_model(self, name: str | None) -> None:
        if name is not None and name != self._model:
            message = f"model: this service has '{self._model}' only; GET /v1/models lists it."
            raise RefusalError(404, message, code="model_not_found", parameter="model")

    def _corpus(self) -> Searcher:
        if self._searcher is None:
            raise RefusalError(404, "This service has a model and no corpus.", code="no_corpus")
        return self._searcher


def _note(request: Request, encoded: EncodedTexts, **values: Any) -> None:
    request.scope[NOTES].update(tokens=encoded.tokens, tokens_cut=encoded.tokens_cut, **values)


def _json(body: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(to_json(body), media_type="application/json", headers=dict(headers or {}))


def _base64(vector: NDArray[np.float32]) -> str:
    """Little-endian float32, as OpenAI's clients read it."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
