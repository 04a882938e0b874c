"""Scripts of texts, as ISO 15924 codes."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache

UNDETERMINED = "Zyyy"

# First word of a letter's Unicode name; names of several words stand in _LONG_NAMES.
_NAMES = {
    "ADLAM": "Adlm", "ARABIC": "Arab", "ARMENIAN": "Armn", "BALINESE": "Bali", "BAMUM": "Bamu", "BATAK": "Batk",
    "BENGALI": "Beng", "BOPOMOFO": "Bopo", "BUGINESE": "Bugi", "CANADIAN": "Cans", "CHAKMA": "Cakm", "CHAM": "Cham",
    "CHEROKEE": "Cher", "CJK": "Hani", "COPTIC": "Copt", "CYRILLIC": "Cyrl", "DEVANAGARI": "Deva", "ETHIOPIC": "Ethi",
    "GEORGIAN": "Geor", "GOTHIC": "Goth", "GREEK": "Grek", "GUJARATI": "Gujr", "GURMUKHI": "Guru", "HANGUL": "Hang",
    "HANIFI": "Rohg", "HEBREW": "Hebr", "HIRAGANA": "Kana", "JAVANESE": "Java", "KANNADA": "Knda", "KATAKANA": "Kana",
    "KATAKANA-HIRAGANA": "Kana", "KAYAH": "Kali", "KHMER": "Khmr", "LAO": "Laoo", "LATIN": "Latn", "LEPCHA": "Lepc",
    "LIMBU": "Limb", "LISU": "Lisu", "MALAYALAM": "Mlym", "MEETEI": "Mtei", "MONGOLIAN": "Mong", "MYANMAR": "Mymr",
    "NKO": "Nkoo", "NYIAKENG": "Hmnp", "OL": "Olck", "ORIYA": "Orya", "OSAGE": "Osge", "OSMANYA": "Osma",
    "RUNIC": "Runr", "SINHALA": "Sinh", "SUNDANESE": "Sund", "SYRIAC": "Syrc", "TAMIL": "Taml", "TELUGU": "Telu",
    "THAANA": "Thaa", "THAI": "Thai", "TIBETAN": "Tibt", "TIFINAGH": "Tfng", "VAI": "Vaii", "YI": "Yiii",
}  # fmt: skip
_LONG_NAMES = {
    "TAI LE": "Tale", "NEW TAI": "Talu", "TAI THAM": "Lana", "TAI VIET": "Tavt", "SYLOTI NAGRI": "Sylo",
    "HALFWIDTH KATAKANA": "Kana", "HALFWIDTH HANGUL": "Hang", "FULLWIDTH LATIN": "Latn",
}  # fmt: skip

_UNSPACED = frozenset(
    {
        "Bali", "Bopo", "Hani", "Hans", "Hant", "Hira", "Java", "Jpan", "Kana", "Khmr", "Lana", "Laoo", "Mymr", "Tale",
        "Talu", "Tavt", "Thai", "Tibt", "Yiii",
    }
)  # fmt: skip


def script_of(text: str) -> str:
    """The script of most letters of `text`.

    Japanese and Korean are told by their own letters: any kana among Han letters makes `Jpan`, Hangul makes `Kore`.
    Han letters alone are `Hani`: one text rarely tells simplified from traditional.

    Args:
        text: Any text; digits, signs and marks do not count.

    Returns:
        An ISO 15924 code; `Zyyy` where there are no letters.
    """
    counts = Counter(_letter_script(character) for character in text)
    del counts[""]
    if not counts:
        return UNDETERMINED
    japanese = counts["Kana"] > 0
    counts["Jpan" if japanese else "Hani"] += (counts.pop("Hani", 0) if japanese else 0) + counts.pop("Kana", 0)
    counts["Kore"] += counts.pop("Hang", 0)
    return max(sorted(counts), key=lambda script: counts[script])


def is_unspaced_script(script: str) -> bool:
    """Whether words are not parted by spaces in this script."""
    return script.title() in _UNSPACED


@lru_cache(maxsize=16384)
def _letter_script(character: str) -> str:
    if not character.isalpha():
        return ""
    words = unicodedata.name(character, "").split(maxsplit=2)
    return _LONG_NAMES.get(" ".join(words[:2])) or _NAMES.get(words[0] if words else "", "")
