"""A tokenizer file that is built whole only when there is much to cut, for that costs a cold process most of its start.

The best segmentation of a word is a path through the pieces that match in it. So a Unigram model over the pieces that
occur in a text cuts this text as the whole model does, and is made in far less time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tokenizers import Tokenizer

from isogloss.engines.hashing import text_digest, tokenizer_digest

FEW_CHARACTERS = 500
FEW_CALLS = 2  # a text that is asked for once is counted and encoded
UNIGRAM = "Unigram"


class TokenizerFile:
    """The content of a `tokenizer.json`, and the tokenizer of it as soon as one is needed.

    Several threads may use it.

    Args:
        content: The JSON text.
        noted: Digests of tokenizers that were taken before, by the SHA-256 of their files.

    Raises:
        Exception: What `json` or `tokenizers` raises of a file that it cannot read.
    """

    def __init__(self, content: str, noted: Mapping[str, str] = MappingProxyType({})) -> None:
        self._content = content
        self._noted = noted.get(text_digest(content)) if noted else None
        self._lock = threading.RLock()
        self._whole: Tokenizer | None = None
        self._parts: dict[str, Any] | None = None
        self._truncation: dict[str, Any] | None = None
        self._calls_left = FEW_CALLS
        parts = json.loads(content)
        if _is_plain_unigram(parts):
            self._parts = parts
            # Which refuses a broken normaliser or pre-tokeniser now.
            self._truncation = self._part([parts["model"]["unk_id"]]).truncation
        else:
            self._read_whole()

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> TokenizerFile:
        """The same for a tokenizer that is whole already."""
        made = cls.__new__(cls)
        made._lock, made._whole, made._parts = threading.RLock(), tokenizer, None
        return made

    @property
    def whole(self) -> Tokenizer:
        """The tokenizer with all its pieces."""
        with self._lock:
            return self._whole or self._read_whole()

    @property
    def content(self) -> str:
        """The JSON text of the tokenizer as it is now: its truncation may have been set."""
        with self._lock:
            return self._content if self._whole is None else self._whole.to_str()

    @property
    def digest(self) -> str:
        """What tells the tokenizer from others; see `tokenizer_digest`."""
        with self._lock:
            if self._whole is None and self._noted is not None:
                return self._noted
            return tokenizer_digest(self.whole.to_str())

    @property
    def truncation(self) -> dict[str, Any] | None:
        """What it says of cutting off, as `tokenizers` has it; None for nothing."""
        with self._lock:
            return self.whole.truncation if self._parts is None else self._truncation

    @property
    def size(self) -> int:
        """Number of pieces and added tokens."""
        with self._lock:
            if self._parts is None:
                return self.whole.get_vocab_size(with_added_tokens=True)
            return len(self._parts["model"]["vocab"])

    def serves(self, texts: Sequence[str]) -> bool:
        """Whether the whole tokenizer is not read for these texts."""
        return self._parts is not None and self._calls_left > 0 and sum(map(len, texts)) < FEW_CHARACTERS

    def ids_of_few(self, texts: Sequence[str]) -> list[list[int]] | None:
        """Ids of a few short texts, cut off at no length, or None where the whole tokenizer is to cut them."""
        with self._lock:
            if self._parts is None or not self.serves(texts):
                return None
            self._calls_left -= 1
            model = self._parts["model"]
            words = self._words(self._part([model["unk_id"]]), texts)
            kept = [place for place, (piece, _) in enumerate(model["vocab"]) if piece in words]
            # Unknown characters cost a fixed amount more than the least likely piece of the model.
            scores = [score for _, score in model["vocab"]]
            kept = sorted({*kept, model["unk_id"], scores.index(min(scores))})
            cutter = self._part(kept)
            cutter.no_truncation()
            encodings = cutter.encode_batch_fast(list(texts), add_special_tokens=False)
            return [[kept[place] for place in encoding.ids] for encoding in encodings]

    @staticmethod
    def _words(cutter: Tokenizer, texts: Sequence[str]) -> str:
        """What the model gets to see of these texts, one word a line."""
        found: list[str] = []
        for text in texts:
            normalised = text if cutter.normalizer is None else cutter.normalizer.normalize_str(text)
            splits = cutter.pre_tokenizer
            found += [normalised] if splits is None else [word for word, _ in splits.pre_tokenize_str(normalised)]
        return "\n".join(found)

    def _part(self, kept: Sequence[int]) -> Tokenizer:
        """The tokenizer with these pieces alone, the unknown one among them."""
        parts: Mapping[str, Any] = self._parts or {}
        model = parts["model"]
        vocabulary = [model["vocab"][place] for place in kept]
        smaller = {**model, "vocab": vocabulary, "unk_id": list(kept).index(model["unk_id"])}
        return Tokenizer.from_str(json.dumps({**parts, "model": smaller, "padding": None}))

    def _read_whole(self) -> Tokenizer:
        self._whole = Tokenizer.from_str(self._content)
        self._whole.no_padding()
        self._parts = None
        return self._whole


def _is_plain_unigram(parts: Any) -> bool:
    """Whether fewer pieces cut the same: a Unigram model with an unknown piece, no bytes and no added tokens."""
    model = parts.get("model") if isinstance(parts, dict) else None
    if not isinstance(model, dict) or model.get("type") != UNIGRAM or model.get("byte_fallback"):
        return False
    vocabulary, unknown = model.get("vocab"), model.get("unk_id")
    return (
        isinstance(vocabulary, list)
        and isinstance(unknown, int)
        and 0 <= unknown < len(vocabulary)
        and not parts.get("added_tokens")
        and not parts.get("post_processor")
    )
