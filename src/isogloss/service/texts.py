"""What becomes of a query before it is used."""

from __future__ import annotations

import unicodedata


def without_control_characters(query: str) -> str:
    """The query with a space for each control character: nobody types them, and not every index takes them."""
    return "".join(" " if unicodedata.category(character) in ("Cc", "Cs") else character for character in query)
