"""Bodies of the requests, as callers may send them."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from isogloss.errors import did_you_mean
from isogloss.service.failures import RefusalError
from isogloss.service.texts import named

Mode = Literal["dense", "lexical", "hybrid"]
InputType = Literal["query", "passage", "document"]
Body = TypeVar("Body", bound=BaseModel)

NonEmpty = Annotated[str, StringConstraints(min_length=1)]
Value = str | Annotated[int, Field(ge=-(2**63), lt=2**63)] | bool
_SHOWN_PROBLEMS = 5
_MOST_KEYS = 16
_MOST_VALUES = 256
_UNFIT_JSON = "json_invalid"


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class EmbeddingsRequest(_Request):
    """`POST /v1/embeddings`, in OpenAI's shape with `input_type` added."""

    input: NonEmpty | Annotated[list[NonEmpty], Field(min_length=1)] = Field(
        description="One text or a list of texts, without prompts."
    )
    model: str | None = Field(default=None, description="Name of the served model; none means that one.")
    input_type: InputType | None = Field(
        default=None, description="What the texts are; it picks tower, prompt and length."
    )
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Leading values to keep; vectors are scaled to unit length again."
    )
    user: str | None = Field(default=None, description="Accepted for OpenAI's clients, and not used.")


class SearchRequest(_Request):
    """`POST /search`."""

    query: NonEmpty
    k: Annotated[int, Field(ge=1)] = Field(default=10, description="Number of hits.")
    mode: Mode | None = Field(default=None, description="Way of searching; none means the service's own.")
    languages: list[NonEmpty] = Field(
        default=[], description="Languages of the passages, in any spelling; none, or an empty list, means all."
    )
    metadata: dict[NonEmpty, Value | Annotated[list[Value], Field(min_length=1, max_length=_MOST_VALUES)]] = Field(
        default={},
        max_length=_MOST_KEYS,
        description="Values that a passage's metadata must have, by key: one, or several of which one.",
    )
    dense_weight: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="Share of the dense ranks in a hybrid search; the rest is the lexical ranks'."
    )
    preference_neutral: bool = Field(
        default=False,
        description="Takes the languages in turn, so that none is preferred: all firsts, then all seconds.",
    )
    rerank: bool = Field(
        default=False, description="Orders the best hits once more by the cross-encoder that the service was given."
    )
    facets: bool = Field(default=False, description="Counts the best hits by language, whatever the filter.")
    snippets: bool = Field(default=False, description="Marks the sentence of each hit that is closest to the query.")


class RerankRequest(_Request):
    """`POST /v1/rerank`, in the shape that Cohere and Jina use."""

    query: NonEmpty
    documents: Annotated[list[NonEmpty], Field(min_length=1)]
    model: str | None = None
    top_n: Annotated[int, Field(ge=1)] | None = None
    return_documents: bool = False


def parse(kind: type[Body], body: bytes) -> Body:
    """The request in a body.

    Raises:
        RefusalError: 400, with the first problems, each with its field, and with the value that was sent if that is a
            number, or stands for one of a few words; never with a text.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(kind, error) from None


def _refusal(kind: type[BaseModel], error: ValidationError) -> RefusalError:
    problems = error.errors(include_url=False, include_context=False)
    if problems[0]["type"] == _UNFIT_JSON:
        return RefusalError(400, "The body is no JSON object in UTF-8.", code="invalid_json")
    parts = []
    for problem in problems[:_SHOWN_PROBLEMS]:
        field = _field(problem["loc"])
        hint = did_you_mean(field, kind.model_fields) if problem["type"] == "extra_forbidden" else ""
        parts.append(f"{field or 'body'}: {problem['msg']}{_given(problem)}{hint}")
    if any("int" in map(str, problem["loc"]) or _looks_like_tokens(problem) for problem in problems):
        parts.append("Send texts, not token ids: the ids of another tokenizer mean nothing to this model.")
    return RefusalError(400, "; ".join(parts), code="invalid_request", parameter=_field(problems[0]["loc"])[:60])


def _given(problem: Any) -> str:
    value = problem["input"]
    if problem["type"] == "literal_error" and isinstance(value, str):
        return f", not '{named(value)}'"
    # Digits without end would take long to write, and say no more.
    small = isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**20)
    return f", not {json.dumps(value)}" if small else ""


def _looks_like_tokens(problem: Any) -> bool:
    place = problem["loc"]
    return len(place) > 1 and place[0] == "input" and isinstance(place[-1], int) and problem["type"] == "string_type"


def _field(place: tuple[int | str, ...]) -> str:
    """A place such as `documents.3`, in few and printable characters: an unknown field's name is the caller's own."""
    named = ".".join(str(part) for part in place if not str(part).startswith(("constrained-", "list[", "function-")))
    return "".join(character if character.isprintable() else "?" for character in named)[:100]
