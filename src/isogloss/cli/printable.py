"""Texts of others as a terminal may have them: whoever wrote a passage has no say over the reader's screen."""

from __future__ import annotations

REPLACED = "\N{REPLACEMENT CHARACTER}"
SHOWN_CHARACTERS = 300
# The controls of ASCII and of Latin-1, but for line break and tab; and halves of pairs, which no terminal takes.
_UNFIT = dict.fromkeys([*range(0x20), 0x7F, *range(0x80, 0xA0), *range(0xD800, 0xE000)], REPLACED)
del _UNFIT[ord("\n")], _UNFIT[ord("\t")]


def printable(text: str) -> str:
    """The text with a replacement for each control character, so that it moves no cursor and writes no clipboard."""
    return text.replace("\r\n", "\n").translate(_UNFIT)


def cut(text: str, characters: int = SHOWN_CHARACTERS) -> str:
    """The beginning of a long text, up to a space where there is one near the end of it."""
    if len(text) <= characters:
        return text
    begun = text[:characters]
    shorter = begun.rsplit(None, 1)[0]
    return f"{shorter if len(shorter) > characters // 2 else begun} …"
