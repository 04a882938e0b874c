"""Checks of what a caller gives the retriever, before and after it is encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isogloss.engines.protocol import Encoded
from isogloss.errors import DataError, Fault, UnknownLanguageError, UsageError, raise_faults
from isogloss.languages import is_undetermined, normalize
from isogloss.records import Role, Text


def check_texts(texts: Any) -> None:
    """Raises a `UsageError` unless `texts` is a list of texts or records, or something that is indexed like one."""
    if isinstance(texts, (str, Text)):
        raise UsageError(f"texts is one text ({shown(texts)})", next_step="Give a list of texts: [text].")
    listed = hasattr(texts, "__len__") and hasattr(texts, "__getitem__")
    if not listed or isinstance(texts, (bytes, bytearray, memoryview, Mapping)):
        raise UsageError(
            f"texts is no list of texts but {type(texts).__name__}",
            next_step="Give a list of strings or isogloss.Text; of an iterator make one: list(texts).",
        )
    faults = [
        Fault(f"text {index}", f"{text!r:.60} is no text but {type(text).__name__}", "a string or isogloss.Text")
        for index, text in enumerate(texts)
        if not isinstance(text, (str, Text))
    ]
    raise_faults(UsageError, "texts", faults, "Nothing was encoded.")


def refuse_surrogates(texts: Sequence[str | Text], whole: Sequence[str]) -> None:
    """Raises a `UsageError` on texts with half of a surrogate pair, which no tokenizer takes."""
    faults = [
        Fault(place_of(texts[index], index), f"has half of a surrogate pair: {text[:60]!a}", "whole characters")
        for index, text in enumerate(whole)
        if not text.isascii() and not _is_whole(text)
    ]
    raise_faults(UsageError, "texts", faults, "Read them again as UTF-8; nothing was encoded.")


def _is_whole(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def languages_of(texts: Sequence[str | Text], languages: Sequence[str | None] | str | None) -> Sequence[str | None]:
    """Language of each text: that of its record, that given for it, or that given for all.

    Raises:
        UsageError: If there are not as many as texts, or what is given is no language.
    """
    if not (languages is None or hasattr(languages, "__len__")) or isinstance(languages, (bytes, Mapping)):
        kind = type(languages).__name__
        raise UsageError(f"languages: {languages!r:.60} is {kind} (allowed: a tag, or a list with one for each text)")
    given = [languages] if isinstance(languages, str) else languages or ()
    unknown = [reason for tag in dict.fromkeys(given) if (reason := _unknown(tag))]
    raise_faults(
        UsageError, "languages", [Fault("", reason) for reason in unknown], "Where nobody knows it, give None."
    )
    if languages is None or isinstance(languages, str):
        return [(text.language if isinstance(text, Text) else None) or languages for text in texts]
    if len(languages) != len(texts):
        raise UsageError(f"languages: {len(languages)} for {len(texts)} texts (one each, or one for all)")
    return languages


def _unknown(tag: Any) -> str:
    """Why a tag is no language, empty where it is one or says that nobody knows."""
    if tag is None or (isinstance(tag, str) and (not tag or is_undetermined(tag))):
        return ""
    try:
        normalize(tag)
    except UnknownLanguageError as error:
        return error.message
    return ""


def refuse_empty(texts: Sequence[str | Text], whole: Sequence[str], role: Role, encoded: Encoded | None = None) -> None:
    """Raises on texts that are empty, or of which the tokenizer keeps nothing."""
    faults = []
    for index, text in enumerate(whole):
        if not text.strip():
            faults.append(Fault(place_of(texts[index], index), "is empty"))
        elif encoded is not None and encoded.token_counts[index] == 0:
            faults.append(Fault(place_of(texts[index], index), f"has no token that the model knows: {text[:60]!r}"))
    step = "Leave these texts out, or mend them."
    if role == "passage":
        step += " `isogloss data check PATH` lists all texts without a letter or digit, with file and line."
    raise_faults(DataError, f"{role} texts", faults, step)


def place_of(text: str | Text, index: int) -> str:
    """How an error names a text."""
    return f"id {text.id}" if isinstance(text, Text) else f"text {index}"


def shown(text: str | Text) -> str:
    """The beginning of a text, quoted."""
    return repr((text if isinstance(text, str) else text.text)[:60])


def check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raises a `UsageError` unless `value` is one of the allowed."""
    if value not in allowed:
        raise UsageError(f"{name}: '{value}' (allowed: {', '.join(allowed)})")
