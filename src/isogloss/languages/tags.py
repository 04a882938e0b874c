"""Language tags in the spellings of BCP 47, ISO 639, MIRACL, FLORES and mteb, brought to one form.

`table.tsv` lists what is known: the short tag, the usual script, further codes of the same language (ISO 639-2 and -3,
and the member of a macrolanguage that benchmarks mean by it, such as `arb` for `ar`), and the English name.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from isogloss.errors import UnknownLanguageError
from isogloss.languages.scripts import is_unspaced_script

_SEPARATORS = re.compile(r"[-_]")
# A region that names a written form of its own; other regions are dropped.
_REGIONS = {
    ("pt", "br"): "pt-br",
    ("zh", "tw"): "zh-hant",
    ("zh", "hk"): "zh-hant",
    ("zh", "mo"): "zh-hant",
    ("pa", "pk"): "pa-arab",
}
# Names for scripts that a language is said to be written in, although the usual one is of its kind.
_SAME_SCRIPT = {"Hani": "Hans", "Hira": "Jpan", "Kana": "Jpan", "Hrkt": "Jpan", "Hang": "Kore"}
_SCRIPT_NAMES = {
    "arab": "Arabic", "beng": "Bengali", "cyrl": "Cyrillic", "deva": "Devanagari", "grek": "Greek", "guru": "Gurmukhi",
    "hans": "simplified", "hant": "traditional", "hebr": "Hebrew", "latn": "Latin", "mong": "Mongolian",
    "mtei": "Meetei Mayek", "olck": "Ol Chiki", "tfng": "Tifinagh", "thai": "Thai",
}  # fmt: skip
# Of a language's three-letter codes the one of ISO 639-3 that two letters stand for, where it is not the first.
_BIBLIOGRAPHIC = frozenset((
    "alb", "arm", "baq", "bur", "chi", "cze", "dut", "fre", "geo", "ger", "gre", "ice",
    "mac", "mao", "may", "per", "rum", "slo", "tib", "wel",
))  # fmt: skip
_THREE_LETTERS = {
    "et": "est", "mn": "mon", "ms": "msa", "om": "orm", "ps": "pus", "ro": "ron", "sq": "sqi", "sr": "srp",
    "tl": "tgl", "zh": "zho",
}  # fmt: skip


@dataclass(frozen=True)
class _Language:
    tag: str
    script: str
    name: str
    codes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Table:
    by_code: dict[str, _Language]
    by_name: dict[str, _Language]
    scripts: frozenset[str]


@lru_cache(maxsize=1)
def _table() -> _Table:
    content = resources.files(__package__).joinpath("table.tsv").read_text(encoding="utf-8")
    by_code: dict[str, _Language] = {}
    by_name: dict[str, _Language] = {}
    for line in content.splitlines()[1:]:
        tag, script, other_codes, name = line.split("\t")
        codes = (tag, *(other_codes.split(",") if other_codes != "-" else ()))
        language = _Language(tag, script, name, codes)
        for code in codes:
            by_code[code] = language
        by_name[name.casefold()] = language
    scripts = {language.script for language in by_code.values()} | {script.title() for script in _SCRIPT_NAMES}
    return _Table(by_code, by_name, frozenset(scripts | set(_SAME_SCRIPT)))


@lru_cache(maxsize=4096)
def normalize(tag: str) -> str:
    """The one form of a language tag.

    Args:
        tag: `sw`, `swa`, `swh_Latn`, `swa-Latn`, `zh_CN`, `zh-Hant`, `cmn`, `ger`, `sr-Latn-RS`, …

    Returns:
        Lower-case BCP 47: shortest subtag, script only where it is not the usual one, region only where it has a
        written form of its own.

    Raises:
        UnknownLanguageError: If the tag is in no known spelling.

    Examples:
        >>> [normalize(tag) for tag in ("swh_Latn", "ger", "zh_CN", "zh-Hant", "cmn", "sr-Latn-RS", "pt-BR")]
        ['sw', 'de', 'zh', 'zh-hant', 'zh', 'sr-latn', 'pt-br']
    """
    parts = _SEPARATORS.split(tag.strip().lower()) if isinstance(tag, str) else [""]
    language = _table().by_code.get(parts[0])
    if language is None or not all(part.isascii() and part.isalnum() for part in parts):
        raise _unknown(tag)
    for part in parts[1:]:
        if len(part) == 4 and part.isalpha():
            return _with_script(tag, language, part.title())
        if (language.tag, part) in _REGIONS:
            return _REGIONS[language.tag, part]
        if not (len(part) > 4 or re.fullmatch(r"[a-z]{2}|\d{3}|\d\w{3}", part)):
            raise _unknown(tag)
    return language.tag


def is_undetermined(tag: str) -> bool:
    """Whether a tag says that the language is not known: `und`, with or without a script.

    Examples:
        >>> [is_undetermined(tag) for tag in ("und", "und_Latn", "de")]
        [True, True, False]
    """
    return _SEPARATORS.split(tag.strip().lower())[0] == "und"


def _with_script(tag: str, language: _Language, script: str) -> str:
    if script not in _table().scripts:
        raise UnknownLanguageError(
            f"'{tag}': '{script}' is no known script",
            next_step="Scripts are ISO 15924 codes such as Latn, Cyrl, Arab, Deva, Hant.",
        )
    usual = script == language.script or _SAME_SCRIPT.get(script) == language.script
    # Cantonese and others are Han in whichever form: only a named other form is kept.
    return (
        language.tag if usual or (script == "Hani" and is_han(language.script)) else f"{language.tag}-{script.lower()}"
    )


def is_han(script: str) -> bool:
    """Whether a script is one of the written forms of Chinese."""
    return script in ("Hani", "Hans", "Hant")


def _unknown(tag: object) -> UnknownLanguageError:
    written = str(tag).strip().lower()
    if is_undetermined(written):
        return UnknownLanguageError(
            f"'{tag}' names no language: it stands for one that nobody knows",
            next_step="Use a BCP 47 tag such as de or sw. A text whose language is not known has no tag, or und.",
        )
    table = _table()
    named = table.by_name.get(written.replace("_", " "))
    if named is None and len(written) > 3:
        close = difflib.get_close_matches(re.split(r"[-_]", written)[0], table.by_name, n=1, cutoff=0.75)
        named = table.by_name[close[0]] if close else None
    codes = [] if named or not written else difflib.get_close_matches(written, table.by_code, n=3, cutoff=0.6)
    guesses = [named] if named else [table.by_code[code] for code in codes]
    hint = "".join(f"; did you mean '{guess.tag}' ({guess.name})?" for guess in guesses[:1])
    return UnknownLanguageError(
        f"'{tag}' is no known language tag{hint}",
        next_step="Use a BCP 47 tag such as de, sw, zh-hant or sr-latn, or an ISO 639-3 code such as arz.",
    )


def known_tags() -> tuple[str, ...]:
    """The short tags of all languages in the table, sorted."""
    return tuple(sorted({language.tag for language in _table().by_code.values()}))


def language_name(tag: str) -> str:
    """English name of a language, with its script or region where the tag names one.

    Raises:
        UnknownLanguageError: If the tag is in no known spelling.

    Examples:
        >>> language_name("zh-Hant"), language_name("arz")
        ('Chinese (traditional)', 'Egyptian Arabic')
    """
    base, _, rest = normalize(tag).partition("-")
    name = _table().by_code[base].name
    if not rest:
        return name
    return f"{name} ({'Brazil' if rest == 'br' else _SCRIPT_NAMES.get(rest, rest.title())})"


def usual_script(tag: str) -> str:
    """ISO 15924 code of the script that texts with this tag are written in.

    Raises:
        UnknownLanguageError: If the tag is in no known spelling.
    """
    base, _, rest = normalize(tag).partition("-")
    return rest.title() if len(rest) == 4 else _table().by_code[base].script


def iso_639_3(tag: str) -> str:
    """Three-letter code of a language, without its script; the macrolanguage's where two letters stand for one.

    Raises:
        UnknownLanguageError: If the tag is in no known spelling.

    Examples:
        >>> [iso_639_3(tag) for tag in ("sw", "de", "zh-hant", "arz", "pt-br")]
        ['swa', 'deu', 'zho', 'arz', 'por']
    """
    language = _table().by_code[normalize(tag).partition("-")[0]]
    three = [code for code in language.codes if len(code) == 3 and code not in _BIBLIOGRAPHIC]
    return _THREE_LETTERS.get(language.tag) or next(iter(three), language.tag)


def is_unspaced(tag_or_script: str) -> bool:
    """Whether words are not parted by spaces in a language (`th`, `zh-hant`) or script (`Thai`, `Hani`).

    Raises:
        UnknownLanguageError: If it is neither a script code of four letters nor a known language tag.
    """
    is_script = len(tag_or_script) == 4 and tag_or_script.isalpha()
    return is_unspaced_script(tag_or_script if is_script else usual_script(tag_or_script))
