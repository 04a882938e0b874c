"""Whether a tokenizer cuts each stretch between white space by itself, so that its ids can be remembered."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import Any

from tokenizers import Tokenizer

from isogloss.engines.tokenising.characters import NORMAL_FORMS
from isogloss.engines.tokenising.patterns import NotExpressible, Pattern

COMMON_SPACES = " \t\n\r"
NORMALISERS = ("Lowercase", "StripAccents", "Strip", "BertNormalizer", "Precompiled", *NORMAL_FORMS)
FIRST_SPLITS = ("WhitespaceSplit", "Whitespace", "BertPreTokenizer")
LATER_SPLITS = (*FIRST_SPLITS, "Punctuation", "Digits", "UnicodeScripts")
MODELS = ("Unigram", "WordPiece", "WordLevel", "BPE")


def spaces_that_join(tokenizer: Tokenizer) -> list[str]:
    """White space, to Python, at which the tokenizer does not split; texts with it are to be left whole.

    Raises:
        NotExpressible: If what a stretch becomes might depend on what stands beyond white space.
    """
    if type(tokenizer.model).__name__ not in MODELS or getattr(tokenizer.model, "dropout", None):
        raise NotExpressible("the model is of no known kind")
    for step in steps_of(tokenizer.normalizer, "normalizers"):
        _check_normaliser(step)
    splits = steps_of(tokenizer.pre_tokenizer, "pretokenizers")
    if not splits or splits[0]["type"] not in FIRST_SPLITS:
        raise NotExpressible("the pre-tokeniser does not begin with white space")
    for step in splits[1:]:
        _check_split(step)
    if any(any(sign.isspace() for sign in token.content) for token in tokenizer.get_added_tokens_decoder().values()):
        raise NotExpressible("an added token has white space")
    joining = [space for space in white_space() if not _splits_at(tokenizer, space)]
    if any(space in COMMON_SPACES for space in joining):
        raise NotExpressible("the tokenizer does not split at white space")
    return joining


@cache
def white_space() -> str:
    """All signs at which `str.split` splits."""
    below = range(0x3001)  # the last of them is the ideographic space
    return "".join(chr(place) for place in below if chr(place).isspace())


def steps_of(component: Any, key: str) -> list[dict[str, Any]]:
    """The steps of a normaliser or pre-tokeniser as `tokenizers` has them in its files."""
    if component is None:
        return []
    state = json.loads(component.__getstate__())
    if state["type"] != "Sequence":
        return [state]
    return [inner for step in state[key] for inner in (step[key] if step["type"] == "Sequence" else [step])]


def pattern_of(step: dict[str, Any]) -> tuple[str, str]:
    """Kind, `String` or `Regex`, and source of the pattern of a step."""
    ((kind, source),) = step["pattern"].items()
    return sys.intern(kind), source


def _check_normaliser(step: dict[str, Any]) -> None:
    if step["type"] == "Replace":
        kind, source = pattern_of(step)
        if kind == "Regex":
            Pattern.parse(source, spaces_allowed=step["content"] == " ")
        elif any(sign.isspace() for sign in source) and step["content"] != " ":
            raise NotExpressible(f"replacing {source!r}")
    elif step["type"] not in NORMALISERS:
        raise NotExpressible(f"the normaliser {step['type']}")


def _check_split(step: dict[str, Any]) -> None:
    if step["type"] == "Split":
        kind, source = pattern_of(step)
        if kind == "Regex":
            Pattern.parse(source, start_allowed=True)
    elif step["type"] == "Metaspace":
        if step["prepend_scheme"] == "first":
            raise NotExpressible("only the first word of a text has a sign")
    elif step["type"] not in LATER_SPLITS:
        raise NotExpressible(f"the pre-tokeniser {step['type']}")


def _splits_at(tokenizer: Tokenizer, space: str) -> bool:
    whole, one, other = (
        tokenizer.encode(text, add_special_tokens=False).ids for text in (f"ab{space}ab", "ab", f"{space}ab{space}")
    )
    return whole == one + other == one + one
