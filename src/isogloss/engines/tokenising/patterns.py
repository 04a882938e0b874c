r"""Regular expressions of `tokenizers` run by Python's `re`, on a text in which like characters are one character.

`tokenizers` writes classes such as `[\p{L}\p{M}]`, which Python's `re` does not know and is slow to compile when they
are spelled out. So every character that no expression names is replaced by a sign for the classes that it is in, as
`tokenizers` says when asked; matches have the same places in that shadow of the text as in the text itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, normalizers

MARK = "␀"  # stands between the words of different chunks; chunks that hold it are not cut here
PIECE_START = "▁"
CODE_POINTS = 0x110000
FIRST_SIGN = 0xE000  # of the private use area; in a shadow it stands for classes
MOST_CLASSES = 8

Points = NDArray[np.uint32]

_TOKEN = re.compile(
    r"(?P<class>\[[^\[\]\\]*(?:\\[^dswDSWhHbBR][^\[\]\\]*)*\]|\\p\{\^?\w+\})"
    r"|(?P<group>\(\?(?::|=|!|<=|<!)|\)|\|)"
    r"|(?P<quantifier>[?*+](?![?+])|\{\d+(?:,\d*)?\}(?![?+]))"
    r"|(?P<literal>\\[^\w\s]|[^\\\[\](){}?*+|.^$])",
    re.DOTALL,
)


class NotExpressible(Exception):  # noqa: N818 - no error: the caller goes another way
    """A part of a tokenizer that this package does not compute by itself."""


def code_points(text: str) -> Points:
    """Code points of a text; lone surrogates count as any other."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def text_of(points: Points) -> str:
    """The text of code points."""
    return points.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


@dataclass(frozen=True)
class Pattern:
    """A regular expression that means the same in `tokenizers` and in Python.

    Such are made of literals, classes, groups, looking around, alternatives and greedy quantifiers.

    Attributes:
        parts: Kind and source of each part: `class`, `literal`, `group` or `quantifier`.
    """

    parts: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, source: str, *, spaces_allowed: bool = False, start_allowed: bool = False) -> Pattern:
        """Reads an expression of `tokenizers`.

        Args:
            source: The expression.
            spaces_allowed: Whether it may see white space, where a text may just as well begin or end.
            start_allowed: Whether it may name the sign at which a piece begins.

        Raises:
            NotExpressible: If it holds something else, or sees what it may not see.
        """
        parts, place = [], 0
        while place < len(source):
            found = _TOKEN.match(source, place)
            if found is None or "&&" in found.group():
                raise NotExpressible(f"{source} at {place}")
            parts.append((str(found.lastgroup), found.group()))
            place = found.end()
        pattern = cls(tuple(parts))
        hidden = {MARK} | (set() if spaces_allowed else {" "})
        if hidden & pattern.literals or (PIECE_START in pattern.literals and not start_allowed):
            raise NotExpressible(f"{source} names a sign that is needed here")
        for part in pattern.classes:
            if members(part, sorted({*hidden, PIECE_START})):
                raise NotExpressible(f"{part} in {source} has a sign that is needed here")
        return pattern

    @property
    def classes(self) -> list[str]:
        """Sources of its classes."""
        return [part for kind, part in self.parts if kind == "class"]

    @property
    def literals(self) -> set[str]:
        """Its literals."""
        return {part.removeprefix("\\") for kind, part in self.parts if kind == "literal"}

    @property
    def is_one_sign(self) -> bool:
        """Whether it matches single characters, whatever stands around them."""
        return len(self.parts) == 1 and self.parts[0][0] in ("class", "literal")

    @property
    def is_run(self) -> bool:
        """Whether it matches runs of single characters, whatever stands around them."""
        return self.is_one_sign or (len(self.parts) == 2 and self.parts[1] == ("quantifier", "+"))

    def core(self) -> list[str]:
        """Classes and literals that a match is made of, without those that are just looked at."""
        around: list[bool] = []
        found = []
        for kind, part in self.parts:
            if part.startswith("(?"):
                around.append(part != "(?:" or any(around))
            elif part == ")":
                around.pop()
            elif not any(around) and kind in ("class", "literal"):
                found.append(part)
        return found


def members(source: str, characters: Sequence[str]) -> set[str]:
    """Those of the characters that are in a class, as `tokenizers` has it."""
    drop = normalizers.Replace(Regex(source), "")
    left = drop.normalize_str(MARK.join(characters)).split(MARK)
    if len(left) != len(characters):  # the mark is in the class, or among the characters
        left = [drop.normalize_str(character) for character in characters]
    return {character for character, rest in zip(characters, left, strict=True) if not rest}


class Shadows:
    """The shadow of texts for some patterns, and the patterns for shadows.

    Raises:
        NotExpressible: If the patterns are too many, or one of them matches between characters.
    """

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        given = list(patterns)
        self._classes = sorted({part for pattern in given for part in pattern.classes})
        if len(self._classes) > MOST_CLASSES:
            raise NotExpressible("the patterns have too many classes")
        named = {" ", MARK, PIECE_START, *(sign for pattern in given for sign in pattern.literals)}
        self._named = {part: members(part, sorted(named)) for part in self._classes}
        self._shadow = np.zeros(CODE_POINTS, dtype=np.uint32)
        for sign in named:
            self._shadow[ord(sign)] = ord(sign)
        self._compiled = {pattern: self._compile(pattern) for pattern in given}
        self._cores = {
            pattern: re.compile("|".join(self._spelled(part) for part in pattern.core())) for pattern in given
        }

    def meet(self, characters: Iterable[str]) -> None:
        """Asks which classes the characters are in; each has to be met before a text that holds it."""
        new = sorted(sign for sign in set(characters) if not self._shadow[ord(sign)])
        if not new:
            return
        points = np.fromiter(map(ord, new), dtype=np.int64, count=len(new))
        signs = np.full(len(new), FIRST_SIGN, dtype=np.uint32)
        for bit, source in enumerate(self._classes):
            inside = members(source, new)
            signs += np.uint32(1 << bit) * np.fromiter((sign in inside for sign in new), dtype=np.uint32)
        self._shadow[points] = signs

    def spans(self, pattern: Pattern, points: Points) -> NDArray[np.int64]:
        """Beginning and end of each match in a text, shape (matches, 2)."""
        shadow = text_of(self._shadow.take(points))
        compiled, core = self._compiled[pattern], self._cores[pattern]
        if not pattern.parts[0][1].startswith("(?"):
            found = [match.span() for match in compiled.finditer(shadow)]
        else:
            # Looking around first, at every character, is slow: only chunks with a sign of a match's own are tried.
            found = []
            start = 0
            while (sign := core.search(shadow, start)) is not None:
                stop = shadow.find(MARK, sign.end())
                stop = len(shadow) if stop < 0 else stop
                # What stands before the sign is still seen by looking back.
                found += [match.span() for match in compiled.finditer(shadow, sign.start(), stop)]
                start = stop
        return np.array(found, dtype=np.int64).reshape(-1, 2)

    def _compile(self, pattern: Pattern) -> re.Pattern[str]:
        source = "".join(self._spelled(part) if kind == "class" else part for kind, part in pattern.parts)
        try:
            compiled = re.compile(source)
        except re.error as error:
            raise NotExpressible(f"{source}: {error}") from error
        if compiled.search("") or not pattern.core():
            raise NotExpressible(f"{source} may match between characters")
        return compiled

    def _spelled(self, part: str) -> str:
        """A class, or a literal, for shadows."""
        if part not in self._named:
            return part
        bit = self._classes.index(part)
        signs = [chr(FIRST_SIGN + place) for place in range(1 << len(self._classes)) if place >> bit & 1]
        return f"[{''.join(re.escape(sign) for sign in [*sorted(self._named[part]), *signs])}]"


def replaced(points: Points, spans: NDArray[np.int64], content: Points) -> Points:
    """The text with other content in place of the spans."""
    if not len(spans):
        return points
    parts, done = [], 0
    for start, stop in spans.tolist():
        parts += [points[done:start], content]
        done = stop
    return np.concatenate([*parts, points[done:]])
