"""Texts that stand for a collection in all its languages: by their activations the ranges of int8 are set."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, zip_longest

import numpy as np

from isogloss.records import Text


def spread_over_languages(texts: Iterable[Text], count: int, *, seed: int = 0) -> list[Text]:
    """At most `count` texts, as many of each language as there are, the same ones every time.

    Args:
        texts: Read once; at most `count` of each language are held.
        count: How many are wanted.
        seed: Of the draw within a language.
    """
    generator = np.random.default_rng(seed)
    kept: dict[str, list[Text]] = {}
    seen: dict[str, int] = {}
    for text in texts:
        language = text.language or ""
        drawn = kept.setdefault(language, [])
        seen[language] = seen.get(language, 0) + 1
        if len(drawn) < count:
            drawn.append(text)
        elif (place := int(generator.integers(seen[language]))) < count:
            drawn[place] = text
    rounds = zip_longest(*(kept[language] for language in sorted(kept)))
    return [text for text in chain.from_iterable(rounds) if text is not None][:count]
