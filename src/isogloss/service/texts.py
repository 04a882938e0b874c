"""What becomes of a query before it is used, and of what a caller sent before a refusal names it."""

from __future__ import annotations

import unicodedata


def without_control_characters(query: str) -> str:
    """The query with a space for each control character: nobody types them, and not every index takes them."""
    return "".join(" " if unicodedata.category(character) in ("Cc", "Cs") else character for character in query)


def named(value: str) -> str:
    """The beginning of a value that a caller sent, in printable characters."""
    return "".join(character if character.isprintable() else "?" for character in value[:40])
