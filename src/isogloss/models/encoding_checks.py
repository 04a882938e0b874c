"""Checks of what a caller gives the retriever, before and after it is encoded."""

from __future__ import annotations

from collections.abc import Sequence

from isogloss.engines.protocol import Encoded
from isogloss.errors import DataError, Fault, UsageError, raise_faults
from isogloss.records import Role, Text


def languages_of(texts: Sequence[str | Text], languages: Sequence[str | None] | str | None) -> Sequence[str | None]:
    """Language of each text: that of its record, that given for it, or that given for all."""
    if languages is None or isinstance(languages, str):
        return [(text.language if isinstance(text, Text) else None) or languages for text in texts]
    if len(languages) != len(texts):
        raise UsageError(f"languages: {len(languages)} for {len(texts)} texts (one each, or one for all)")
    return languages


def refuse_empty(texts: Sequence[str | Text], whole: Sequence[str], role: Role, encoded: Encoded | None = None) -> None:
    """Raises on texts that are empty, or of which the tokenizer keeps nothing."""
    faults = []
    for index, text in enumerate(whole):
        if not text.strip():
            faults.append(Fault(place_of(texts[index], index), "is empty"))
        elif encoded is not None and encoded.token_counts[index] == 0:
            faults.append(Fault(place_of(texts[index], index), f"has no token that the model knows: {text[:60]!r}"))
    raise_faults(DataError, f"{role} texts", faults, "Leave these texts out, or mend them.")


def place_of(text: str | Text, index: int) -> str:
    """How an error names a text."""
    return f"id {text.id}" if isinstance(text, Text) else f"text {index}"


def shown(text: str | Text) -> str:
    """The beginning of a text, quoted."""
    return repr((text if isinstance(text, str) else text.text)[:60])


def check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raises a `UsageError` unless `value` is one of the allowed."""
    if value not in allowed:
        raise UsageError(f"{name}: '{value}' (allowed: {', '.join(allowed)})")
