"""Leaves out of a tokenizer the pieces that some texts do not need, without changing how these texts are cut.

Either all pieces stay that are written with the characters of these texts: then every other text in the same characters
is cut as before too, for no piece that could match in it is gone. Or those alone that were used, which is smaller.

What must stay differs by the kind of model. A Unigram model keeps the piece of the least score, on which the cost of
the unknown piece rests. WordPiece cuts greedily, so pieces that are never the longest match can go. BPE keeps the
merges that were done in some word, and with them all that they are made of: a merge that was never done was never the
first in rank among those that could be, and leaving it out changes nothing. All keep added tokens, single characters
that the texts have, and the bytes of byte-level models. Ids close up in their old order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from isogloss.errors import ModelError

KINDS = ("Unigram", "BPE", "WordPiece", "WordLevel")
MOST_SINGLE_PIECES = 512  # more single characters than that are an alphabet of many scripts, not of bytes

Merge = tuple[str, str]
Keep = Literal["characters", "used"]


@dataclass
class PieceUse:
    """How many texts need each piece and, for BPE, each merge.

    Attributes:
        pieces: Id to the number of texts.
        merges: Pair of pieces to the number of texts.
    """

    pieces: Counter[int] = field(default_factory=Counter)
    merges: Counter[Merge] = field(default_factory=Counter)


@dataclass(frozen=True)
class TrimmedTokenizer:
    """A tokenizer without the pieces that were left out.

    Attributes:
        description: The content of its tokenizer.json.
        old_ids: int64, the old id of each new id, ascending.
    """

    description: dict[str, Any]
    old_ids: NDArray[np.int64]

    def new_id(self, old: int) -> int | None:
        """The new id of an old one, or None where it was left out."""
        place = int(np.searchsorted(self.old_ids, old))
        return place if place < len(self.old_ids) and int(self.old_ids[place]) == old else None


def count_use(tokenizer: Tokenizer, texts: Iterable[Sequence[str]]) -> PieceUse:
    """Counts the texts that need each piece.

    Args:
        tokenizer: One that cuts nothing off.
        texts: The strings of each text: it may be encoded in several ways, with the prompt of each role.
    """
    use = PieceUse()
    merging = _Merging.of(tokenizer)
    for strings in texts:
        encodings = tokenizer.encode_batch_fast(list(strings), add_special_tokens=True)
        use.pieces.update({piece for encoding in encodings for piece in encoding.ids})
        if merging is not None:
            use.merges.update({merge for string in strings for merge in merging.merges_of_text(string)})
    return use


def trim_tokenizer(
    description: Mapping[str, Any],
    use: PieceUse,
    *,
    keep: Keep = "characters",
    least_texts: int = 1,
    always: Collection[int] = (),
) -> TrimmedTokenizer:
    """The tokenizer with what at least `least_texts` texts need.

    Args:
        description: The content of its tokenizer.json.
        use: What the texts need.
        keep: `characters` keeps all pieces that are written with the characters of the pieces needed; `used` those
            pieces and single characters.
        least_texts: With 1 every text is cut as before.
        always: Ids that stay in any case.

    Raises:
        ModelError: If the model is of another kind.
    """
    model = description["model"]
    kind = model.get("type")
    if kind not in KINDS:
        raise ModelError(f"A tokenizer of kind {kind} cannot be trimmed", next_step=f"Kinds: {', '.join(KINDS)}.")
    needed = {piece for piece, texts in use.pieces.items() if texts >= least_texts} | set(always)
    needed |= {token["id"] for token in description.get("added_tokens") or ()}
    ids = _ids(model)
    alphabet = _alphabet(ids, needed)
    merges = [
        merge
        for merge in map(_pair, model.get("merges") or ())
        if use.merges[merge] >= least_texts or (keep == "characters" and _letters(model, "".join(merge)) <= alphabet)
    ]
    kept = _kept_pieces(model, ids, alphabet, merges, keep)
    old_ids = np.array(sorted(needed | {ids[piece] for piece in kept}), dtype=np.int64)
    return TrimmedTokenizer(_rewritten(description, old_ids, merges), old_ids)


def _alphabet(ids: Mapping[str, int], needed: Collection[int]) -> set[str]:
    """Characters of the pieces that are needed."""
    pieces = {number: piece for piece, number in ids.items()}
    return {sign for number in needed if number in pieces for sign in pieces[number]}


def _letters(model: Mapping[str, Any], piece: str) -> set[str]:
    """Characters of a piece, without the signs of its place in a word."""
    prefix, suffix = model.get("continuing_subword_prefix"), model.get("end_of_word_suffix")
    return set(piece.removeprefix(prefix or "").removesuffix(suffix or ""))


def _kept_pieces(
    model: Mapping[str, Any], ids: Mapping[str, int], alphabet: set[str], merges: Sequence[Merge], keep: Keep
) -> set[str]:
    """Pieces that stay beside those that are needed as they are."""
    kept = {model["unk_token"]} & ids.keys() if model.get("unk_token") else set()
    for left, right in merges:
        kept |= {left, right, left + right.removeprefix(model.get("continuing_subword_prefix") or "")}
    letters = {piece: _letters(model, piece) for piece in ids}
    kept |= {
        piece for piece in ids if letters[piece] <= alphabet and (keep == "characters" or len(letters[piece]) == 1)
    }
    if model["type"] == "BPE":
        single = {piece for piece in ids if len(letters[piece]) == 1}
        kept |= single if len(single) <= MOST_SINGLE_PIECES else set()  # the bytes, without which text would be lost
    if model.get("byte_fallback"):
        kept |= {f"<0x{byte:02X}>" for byte in range(256)} & ids.keys()
    if model["type"] == "Unigram":
        scores = [score for _, score in model["vocab"]]
        kept.add(model["vocab"][int(np.argmin(scores))][0])
        if model["unk_id"] is not None:
            kept.add(model["vocab"][model["unk_id"]][0])
    return kept


def _ids(model: Mapping[str, Any]) -> dict[str, int]:
    if model["type"] == "Unigram":
        return {piece: number for number, (piece, _) in enumerate(model["vocab"])}
    return dict(model["vocab"])


def _pair(merge: str | Sequence[str]) -> Merge:
    """A merge as newer and older files write it."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def _rewritten(description: Mapping[str, Any], old_ids: NDArray[np.int64], merges: Sequence[Merge]) -> dict[str, Any]:
    """The description with new ids wherever ids are."""
    new = {int(old): number for number, old in enumerate(old_ids)}
    found: dict[str, Any] = json.loads(json.dumps(description))
    model = found["model"]
    if model["type"] == "Unigram":
        # Added tokens may have ids above those of the model.
        model["vocab"] = [entry for number, entry in enumerate(model["vocab"]) if number in new]
        model["unk_id"] = None if model["unk_id"] is None else new[model["unk_id"]]
    else:
        model["vocab"] = {piece: new[number] for piece, number in model["vocab"].items() if number in new}
    if model["type"] == "BPE":
        model["merges"] = [list(merge) for merge in merges]
    for token in found.get("added_tokens") or ():
        token["id"] = new[token["id"]]
    if found.get("padding"):
        found["padding"]["pad_id"] = new.get(found["padding"]["pad_id"], 0)
    if found.get("post_processor"):
        _renumber(found["post_processor"], new)
    return found


def _renumber(processor: dict[str, Any], new: Mapping[int, int]) -> None:
    for inner in processor.get("processors", ()):
        _renumber(inner, new)
    if isinstance(processor.get("special_tokens"), dict):
        for token in processor["special_tokens"].values():
            token["ids"] = [new[number] for number in token["ids"]]
    for name in ("cls", "sep"):
        if isinstance(processor.get(name), list):
            token, number = processor[name]
            processor[name] = [token, new[number]]


class _Merging:
    """The merges that a BPE model does in a text, which `tokenizers` does not tell."""

    def __init__(self, tokenizer: Tokenizer, model: Mapping[str, Any]) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = model["vocab"]
        self._ranks = {_pair(merge): rank for rank, merge in enumerate(model["merges"])}
        self._prefix = model.get("continuing_subword_prefix") or ""
        self._suffix = model.get("end_of_word_suffix") or ""
        self._whole_words = bool(model.get("ignore_merges"))
        self._known: dict[str, frozenset[Merge]] = {}

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> _Merging | None:
        model = json.loads(tokenizer.to_str())["model"]
        return cls(tokenizer, model) if model["type"] == "BPE" else None

    def merges_of_text(self, text: str) -> set[Merge]:
        """All merges that are done in a text."""
        normalizer, splitter = self._tokenizer.normalizer, self._tokenizer.pre_tokenizer
        text = text if normalizer is None else normalizer.normalize_str(text)
        words = [text] if splitter is None else [word for word, _ in splitter.pre_tokenize_str(text)]
        return {merge for word in words for merge in self._merges_of_word(word)}

    def _merges_of_word(self, word: str) -> frozenset[Merge]:
        if word not in self._known:
            whole = self._whole_words and word in self._vocabulary
            self._known[word] = frozenset() if whole else frozenset(self._done(word))
        return self._known[word]

    def _done(self, word: str) -> Iterable[Merge]:
        symbols = [sign if place == 0 else self._prefix + sign for place, sign in enumerate(word)]
        if symbols:
            symbols[-1] += self._suffix
        while True:
            ranked = [(self._ranks[pair], place) for place, pair in enumerate(pairwise(symbols)) if pair in self._ranks]
            if not ranked:
                return
            _, place = min(ranked)
            left, right = symbols[place : place + 2]
            yield left, right
            symbols[place : place + 2] = [left + right.removeprefix(self._prefix)]
