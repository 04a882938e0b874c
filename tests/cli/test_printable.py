"""Texts of others, fit for a terminal.

1. No control character of ASCII or Latin-1 is left but line break and tab; what is harmless stays as it is.
2. A long text is cut at a space, and never to nothing.
"""

from __future__ import annotations

import pytest

from isogloss.cli.printable import cut, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;aGk=\x07", "�]52;c;aGk=�"),
        ("a\x00b\x7fc\x9bd\x85e", "a�b�c�d�e"),
        ("over\rwritten\r\nnext\tline\n", "over�written\nnext\tline\n"),
        ("\ud800", "�"),
        ("灯塔 é \u200d नमस्ते 👩‍🚀", "灯塔 é \u200d नमस्ते 👩‍🚀"),
    ],
)
def test_no_control_character_is_left(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_long_text_is_cut() -> None:
    assert cut("short") == "short"
    assert cut("word " * 10, 12) == "word word …"
    assert cut("灯" * 20, 12) == "灯" * 12 + " …"
    assert cut("a " + "b" * 20, 12) == "a " + "b" * 10 + " …"
