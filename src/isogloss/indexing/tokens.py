"""Terms of a text in any script, for lexical search.

Scripts that put spaces between words give words, and the runs of four characters in them (`word_parts`), so that a word
is found in its other forms, in any language and without a stemmer: McNamee and Mayfield 2004 (Information Retrieval
7), who use the runs alone. Scripts without spaces, and Hangul, whose words carry their particles, give pairs of
neighbouring characters: Foo and Li 2004 (Chinese), Lucene's CJKAnalyzer. A combining mark belongs to the character
before it, so that Thai or Khmer is never cut inside a syllable sign.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise

from isogloss.languages import script_of

TOKENIZER_VERSION = "2"
PART_LENGTH = 4
PART_MARK = "…"
Segmenter = Callable[[str], Sequence[str]]

# Blocks of Han, Kana, Bopomofo, Hangul, Yi, Thai, Lao, Myanmar, Khmer, Tai Le, New Tai Lue, Tai Tham, Balinese,
# Javanese, Tai Viet and the extensions of Han: no space divides their words, or (Hangul) too few do.
_BIGRAM_BLOCKS = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u1b00-\u1b7f"
    "\u3005-\u3007\u3040-\u30ff\u3100-\u318f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua000-\ua4cf\ua980-\ua9ff\uaa60-\uaadf\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_JOINERS = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\u00ad\ufeff\u0640"))


def terms(text: str, segmenters: Mapping[str, Segmenter] | None = None) -> list[str]:
    """Terms of a text in their order, folded for width and case.

    Args:
        text: Any text.
        segmenters: By ISO 15924 script, what cuts an unspaced run of it into words, in place of pairs of characters.
    """
    return [term for term, _ in marked_terms(text, segmenters)]


def marked_terms(text: str, segmenters: Mapping[str, Segmenter] | None = None) -> Iterator[tuple[str, bool]]:
    """The terms of `terms`, each with whether it is a word between spaces."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).translate(_JOINERS)
    for word in _word_pattern().findall(folded):
        for unspaced, run in groupby(_characters(word), key=_is_unspaced):
            characters = list(run)
            cut = segmenters.get(script_of("".join(characters))) if segmenters and unspaced else None
            if cut is not None:
                yield from ((piece, False) for piece in cut("".join(characters)))
            elif not unspaced or len(characters) == 1:
                yield "".join(characters), not unspaced
            else:
                yield from ((first + second, False) for first, second in pairwise(characters))


def word_parts(word: str) -> list[str]:
    """Runs of four characters in a word and its two ends, each behind a mark that no word has; none of a short word."""
    padded = f"_{word}_"
    starts = range(len(padded) - PART_LENGTH + 1) if len(padded) > PART_LENGTH else ()
    return [PART_MARK + padded[start : start + PART_LENGTH] for start in starts]


def _characters(word: str) -> list[str]:
    """Base characters, each with the marks that follow it."""
    return _character_pattern().findall(word)


def _is_unspaced(character: str) -> bool:
    return _unspaced_pattern().match(character) is not None


@functools.cache
def _unspaced_pattern() -> re.Pattern[str]:
    return re.compile(f"[{_BIGRAM_BLOCKS}]")


@functools.cache
def _marks() -> str:
    """Combining marks, which a word class leaves out, as the inside of a character class."""
    marks = [code for code in range(sys.maxunicode >> 3) if unicodedata.category(chr(code))[0] == "M"]
    spans = []
    for _, span in groupby(enumerate(marks), key=lambda item: item[1] - item[0]):
        codes = [code for _, code in span]
        spans.append(f"{chr(codes[0])}-{chr(codes[-1])}")
    return "".join(spans)


@functools.cache
def _word_pattern() -> re.Pattern[str]:
    return re.compile(rf"[^\W_](?:[^\W_]|[{_marks()}])*")


@functools.cache
def _character_pattern() -> re.Pattern[str]:
    return re.compile(rf".[{_marks()}]*")
