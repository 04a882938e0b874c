"""Which language a text is in: its script first, then n-gram statistics where a script serves several languages.

The statistics are those of py3langid (97 languages, in its package: nothing is fetched). A language that it does not
know is judged by its script alone, and so is the difference between simplified and traditional Chinese.
"""

from __future__ import annotations

import copy
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from isogloss.errors import MissingExtraError
from isogloss.languages.scripts import UNDETERMINED, script_of
from isogloss.languages.tags import normalize, usual_script

# What a text of a language may look like to `script_of`: Japanese without kana and all Chinese are Han letters.
_LOOKS_LIKE = {"Jpan": ("Jpan", "Hani"), "Hans": ("Hani",), "Hant": ("Hani",), "Kore": ("Kore", "Hani")}


@dataclass(frozen=True)
class Detected:
    """What was found out about a text.

    Attributes:
        agrees: Whether it may be in the language that was expected.
        language: The likeliest language; None where only the script was looked at.
        probability: Probability of the expected language; None likewise.
        script: Script of most letters.
    """

    agrees: bool
    language: str | None
    probability: float | None
    script: str


class LanguageDetector:
    """Tells whether a text is in the language that it should be in.

    Args:
        languages: Languages that come into question: the fewer, the surer it is of short texts. English is always one.
        least_probability: Probability from which on the expected language counts although another is likelier.

    Raises:
        MissingExtraError: If py3langid is not installed.
    """

    def __init__(self, languages: Collection[str], *, least_probability: float = 0.1) -> None:
        self._least_probability = least_probability
        identifier = copy.copy(_identifier())
        known = set(identifier.labels)
        self._labels = {tag: label for tag in {"en", *languages} if (label := _label(tag)) in known}
        identifier.set_languages(sorted(set(self._labels.values())))
        self._identifier = identifier

    def check(self, text: str, language: str) -> Detected:
        """Whether `text` may be in `language`."""
        script = script_of(text)
        expected = usual_script(language)
        if script == UNDETERMINED or script not in _LOOKS_LIKE.get(expected, (expected,)):
            return Detected(False, None, None, script)
        label = self._labels.get(normalize(language))
        if label is None:
            return Detected(True, None, None, script)
        ranked = self._identifier.rank(unicodedata.normalize("NFC", text))
        probability = next(float(value) for name, value in ranked if name == label)
        best = str(ranked[0][0])
        return Detected(best == label or probability >= self._least_probability, best, probability, script)

    def language_of(self, text: str) -> str | None:
        """The likeliest of the languages that come into question; None where the text has no letters."""
        if script_of(text) == UNDETERMINED:
            return None
        return str(self._identifier.classify(text)[0])


@lru_cache(maxsize=1)
def _identifier() -> Any:
    """py3langid's identifier over all its languages, unpacked once; copies of it may be narrowed."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ModuleNotFoundError as missing:
        raise MissingExtraError("Telling languages apart", "detect") from missing
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _label(tag: str) -> str:
    """py3langid's name of a language, which has no script: `zh` for `zh-hant`, `no` for `nb`."""
    return normalize(tag).partition("-")[0]
