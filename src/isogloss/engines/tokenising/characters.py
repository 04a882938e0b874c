"""What a normaliser makes of each character, asked of `tokenizers` itself once per character.

Steps that look at one character at a time become a table over code points, filled as characters are met, so that no
other library's idea of Unicode counts. The exception is the normal form, where Python's is used, and characters of
which the two know different things are odd.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import normalizers

from isogloss.engines.tokenising.patterns import CODE_POINTS, MARK, PIECE_START, Points, Shadows, code_points

ODD, UNMET = 254, 255
LONGEST = 16  # characters that one may become
NORMAL_FORMS = ("NFC", "NFD", "NFKC", "NFKD")
_LOW, _HIGH = "\u0334", "\u0345"  # combining signs of the least and the greatest class, which sort before and after all


class CharacterTable:
    """The steps of a normaliser that look at one character, after a normal form if there is one.

    Args:
        form: The normal form that comes first, or "".
        steps: The other steps, as `tokenizers` has them in its files.
        shadows: Told of every character that comes out.
    """

    def __init__(self, form: str, steps: Sequence[dict[str, Any]], shadows: Shadows) -> None:
        self.form = form
        self.shadows = shadows
        self._form = _normalizer({"type": form}) if form else None
        self._steps = _normalizer({"type": "Sequence", "normalizers": list(steps)})
        self._first = np.zeros(CODE_POINTS, dtype=np.uint32)
        self._length = np.full(CODE_POINTS, UNMET, dtype=np.uint8)
        self._longer: dict[int, Points] = {}
        self._meet(code_points(f" {MARK}"))

    def fold(self, text: str) -> tuple[Points, NDArray[np.bool_]]:
        """Code points of the text as the steps leave it, and which code points of its normal form are odd.

        Where one is odd, the first value is of no use.
        """
        if self.form:
            text = self._in_form(text)
        points = code_points(text)
        lengths = self._length.take(points)
        if lengths.max(initial=0) == UNMET:
            self._meet(np.unique(points[lengths == UNMET]))
            lengths = self._length.take(points)
        odd = lengths == ODD
        if odd.any():
            return points, odd
        folded = self._first.take(points)
        if lengths.min(initial=1) == 1 and lengths.max(initial=1) == 1:
            return folded, odd
        folded = np.repeat(folded, lengths)
        longer = np.flatnonzero(lengths > 1)
        ends = np.cumsum(lengths, dtype=np.int64)[longer]
        for place, end in zip(points[longer].tolist(), ends.tolist(), strict=True):
            whole = self._longer[place]
            folded[end - len(whole) : end] = whole
        return folded, odd

    def meet(self, characters: str) -> None:
        """Asks at once about characters that are likely to come."""
        points = np.unique(code_points(characters))
        self._meet(points[self._length[points] == UNMET])

    def _in_form(self, text: str) -> str:
        """The text in the normal form; Python is slow at that, and most chunks are in it."""
        form: Any = self.form
        if unicodedata.is_normalized(form, text):
            return text
        parts = text.split(MARK)
        return MARK.join(
            [part if unicodedata.is_normalized(form, part) else unicodedata.normalize(form, part) for part in parts]
        )

    def _meet(self, points: Points) -> None:
        self._length[points] = ODD
        characters = [chr(place) for place in points.tolist() if not 0xD800 <= place <= 0xDFFF]
        out: set[str] = set()
        for character, folded in zip(characters, self._folded(characters), strict=True):
            reserved = MARK in folded or PIECE_START in folded or len(folded) > LONGEST
            if (reserved and character != MARK) or _has_other_space(folded):
                continue
            place, whole = ord(character), code_points(folded)
            self._length[place] = len(whole)
            self._first[place] = whole[0] if len(whole) else 0
            if len(whole) > 1:
                self._longer[place] = whole
            out.update(folded)
        for character in self._otherwise_formed(characters):
            self._length[ord(character)] = ODD
        self.shadows.meet(out)

    def _folded(self, characters: Sequence[str]) -> list[str]:
        """What the steps make of each character."""
        folded: list[str] = self._steps.normalize_str(MARK.join(characters)).split(MARK)
        return folded if len(folded) == len(characters) else [self._steps.normalize_str(sign) for sign in characters]

    def _otherwise_formed(self, characters: Sequence[str]) -> list[str]:
        """Characters of whose decomposition, order or composition Python and `tokenizers` know different things."""
        if self._form is None:
            return []
        form: Any = self.form
        different = []
        for around in ("{}", "{whole}", "a{}" + _LOW, "a" + _HIGH + "{}"):
            texts = [around.format(sign, whole=unicodedata.normalize("NFKD", sign)) for sign in characters]
            ours = [unicodedata.normalize(form, text) for text in texts]
            theirs = self._form.normalize_str(MARK.join(texts)).split(MARK)
            if len(theirs) != len(texts):  # one of them becomes the mark
                theirs = [self._form.normalize_str(text) for text in texts]
            different += [sign for sign, one, other in zip(characters, ours, theirs, strict=True) if one != other]
        return different


def _has_other_space(text: str) -> bool:
    return any(sign.isspace() and sign != " " for sign in text)


def _normalizer(state: dict[str, Any]) -> Any:
    made = normalizers.Sequence([])
    if state["type"] != "Sequence":
        state = {"type": "Sequence", "normalizers": [state]}
    made.__setstate__(json.dumps(state).encode())
    return made
