"""How a passage becomes a point of Qdrant: the same embedded and on a server, so that one can become the other."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from isogloss.records import Text


def point_id(passage_id: str) -> str:
    """The point's UUID: the first 128 bits of the id's SHA-256, so that no table of ids is needed."""
    return str(uuid.UUID(bytes=hashlib.sha256(passage_id.encode()).digest()[:16]))


def payload_of(passage: Text) -> dict[str, Any]:
    """What a point keeps beside its vector."""
    payload: dict[str, Any] = {"id": passage.id, "text": passage.text}
    if passage.language:
        payload["language"] = passage.language
    if passage.title:
        payload["title"] = passage.title
    if passage.metadata:
        payload["metadata"] = json.loads(json.dumps(dict(passage.metadata)))
    return payload


def text_of(payload: Mapping[str, Any]) -> Text:
    """The passage of a point."""
    return Text(
        payload["id"],
        payload["text"],
        language=payload.get("language"),
        title=payload.get("title", ""),
        metadata=payload.get("metadata"),
    )


def metadata_path(key: str) -> str:
    """Where a metadata value is in a payload; a key with dots or brackets is quoted."""
    return f"metadata.{key}" if re.fullmatch(r"[\w-]+", key) else f'metadata."{key}"'
