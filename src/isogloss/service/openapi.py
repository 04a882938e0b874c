"""The interface described as OpenAPI 3.1, from the classes that check the requests."""

from __future__ import annotations

import json
from typing import Any

from pydantic.json_schema import models_json_schema

import isogloss
from isogloss.service.schemas import EmbeddingsRequest, RerankRequest, SearchRequest

_REFERENCE = "#/components/schemas/{model}"
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_REFUSALS = {
    "400": "The request does not fit; the message names the field and what is allowed.",
    "401": "No valid API key.",
    "404": "No such model, or no corpus.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The body is not application/json.",
    "421": "Without an API key, only requests to a loopback host are served.",
    "429": "Too much waits already; Retry-After says when to come back.",
    "503": "The service is stopping.",
    "504": "No answer in time.",
}
_NUMBERS = {"type": "array", "items": {"type": "number"}}


def openapi_document() -> bytes:
    """The document as JSON."""
    requests = (EmbeddingsRequest, SearchRequest, RerankRequest)
    _, definitions = models_json_schema([(kind, "validation") for kind in requests], ref_template=_REFERENCE)
    paths = {
        "/v1/embeddings": {"post": _posted("Vectors of texts", EmbeddingsRequest, _embeddings())},
        "/v1/rerank": {"post": _posted("Documents by similarity to a query", RerankRequest, _results())},
        "/search": {"post": _posted("The best passages of the corpus", SearchRequest, _hits())},
        "/v1/models": {"get": _gotten("The served model", _object(object="string", data="array"))},
        "/corpus": {"get": _gotten("What is searched", _object(name="string", passages="integer", languages="array"))},
        "/health": {"get": _gotten("Whether the service works", _object(status="string", model="string"))},
        "/metrics": {"get": _gotten("Counters for Prometheus", {"type": "string"}, "text/plain")},
    }
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Isogloss", "version": isogloss.__version__, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"] | {"Error": _ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }
    return json.dumps(document).encode()


def _posted(summary: str, kind: type[Any], answer: dict[str, Any]) -> dict[str, Any]:
    body = {"$ref": _REFERENCE.format(model=kind.__name__)}
    request = {"required": True, "content": {"application/json": {"schema": body}}}
    return {"summary": summary, "requestBody": request, "responses": _responses(answer)}


def _gotten(summary: str, answer: dict[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    return {"summary": summary, "responses": _responses(answer, media_type)}


def _responses(answer: dict[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    refusal = {"application/json": {"schema": {"$ref": _REFERENCE.format(model="Error")}}}
    answers = {"200": {"description": "Done.", "content": {media_type: {"schema": answer}}}}
    return answers | {status: {"description": text, "content": refusal} for status, text in _REFUSALS.items()}


def _object(**kinds: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(kinds),
        "properties": {name: {"type": kind} for name, kind in kinds.items()},
    }


def _list_of(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def _embeddings() -> dict[str, Any]:
    item = _object(object="string", index="integer")
    item["properties"]["embedding"] = {"anyOf": [_NUMBERS, {"type": "string", "contentEncoding": "base64"}]}
    answer = _object(object="string", model="string", usage="object")
    answer["properties"]["data"] = _list_of(item)
    return answer


def _results() -> dict[str, Any]:
    answer = _object(model="string", usage="object")
    answer["properties"]["results"] = _list_of(_object(index="integer", relevance_score="number"))
    return answer


def _hits() -> dict[str, Any]:
    answer = _object(mode="string", hits="array")
    answer["properties"]["hits"] = _list_of(
        _object(rank="integer", id="string", score="number", text="string", ranks="object", scores="object")
    )
    answer["properties"]["not_by_words"] = _list_of({"type": "string"})
    return answer
