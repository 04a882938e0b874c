"""What becomes of texts on their way in and out: control characters, and values of headers."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote


def without_control_characters(query: str) -> str:
    """The query with a space for each control character: nobody types them, and not every index takes them."""
    return "".join(" " if unicodedata.category(character) in ("Cc", "Cs") else character for character in query)


def header_value(text: str) -> str:
    """A text in printable ASCII, percent-encoded as in a URL, so that it can neither break nor add a header."""
    return quote(text, safe=" :,;'()-_.!?/")
