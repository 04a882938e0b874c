"""The quick way to token ids, taken for as long as it gives the ids of the tokenizer itself."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import repeat

import numpy as np
from tokenizers import Tokenizer

from isogloss.engines.tokenising.chunks import ChunkCutter, ChunkTokenizer, Ids, encode_whole
from isogloss.engines.tokenising.few_texts import TokenizerFile
from isogloss.engines.tokenising.patterns import NotExpressible

LOGGER = logging.getLogger("isogloss")
TEXTS_PER_LANGUAGE = 4
CHARACTERS_WORTH_A_WORD = 10_000  # a question is cut in no time either way
CHARACTERS_PER_TEXT = 400


class TextTokenizer:
    """Token ids of texts, without special tokens, cut off at no length.

    The first texts of each language are cut by the tokenizer itself too. Where the ids differ, the quick way is given
    up for good, and a warning says for which language; one says as much of a tokenizer that no quick way is known for.
    Several threads may use it.

    Args:
        tokenizer: Its own truncation is left alone and does not count here. A file is read whole when there is much
            to cut, and not for a first question.
    """

    def __init__(self, tokenizer: Tokenizer | TokenizerFile) -> None:
        self._file = TokenizerFile.of(tokenizer) if isinstance(tokenizer, Tokenizer) else tokenizer
        self._lock = threading.Lock()
        self._whole: Tokenizer | None = None
        self._quick: ChunkTokenizer | None = None
        self._tried = False
        self._why_slow = ""
        self._samples: list[tuple[str | None, str, list[int]]] = []
        self._seen: Counter[str | None] = Counter()

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer itself."""
        return self._file.whole

    def prove(self, texts: Sequence[str], languages: Iterable[str | None]) -> None:
        """Compares the two ways on the first texts of each language that has not been seen so far."""
        if self._file.serves(texts):
            return  # which needs no quick way
        with self._lock:
            self._prove(texts, languages)

    def ids(self, texts: Sequence[str]) -> Ids:
        """Ids of each text, as the tokenizer gives them."""
        few = self._file.ids_of_few(texts)
        if few is not None:
            return Ids.of_lists(few)
        with self._lock:
            if not self._seen:
                self._prove(texts[:TEXTS_PER_LANGUAGE], repeat(None))
            whole = self._untruncated()
            if self._quick is None:
                self._say_why(texts)
                return Ids.of_lists(encode_whole(whole, texts))
            before = self._quick.cutter
            ids = self._quick.ids(texts)
            if self._quick.cutter is not before and not self._cutter_holds(self._samples):
                ids = self._quick.ids(texts)
            return ids

    def _say_why(self, texts: Sequence[str]) -> None:
        """Says once that there is no quick way, where there is so much to cut that it matters."""
        if self._why_slow and sum(map(len, texts)) >= CHARACTERS_WORTH_A_WORD:
            LOGGER.warning(
                "Every text is cut by the tokenizer itself, which is slower; the ids are the same: %s", self._why_slow
            )
            self._why_slow = ""

    def _prove(self, texts: Sequence[str], languages: Iterable[str | None]) -> None:
        chosen = []
        for text, language in zip(texts, languages, strict=False):
            if self._seen[language] < TEXTS_PER_LANGUAGE:
                self._seen[language] += 1
                chosen.append((language, text[:CHARACTERS_PER_TEXT]))
        whole = self._untruncated()
        if not self._tried:
            self._tried = True
            try:
                self._quick = ChunkTokenizer(whole)
            except NotExpressible as reason:
                self._why_slow = str(reason)
        if self._quick is None or not chosen:
            return
        expected = encode_whole(whole, [text for _, text in chosen])
        samples = [(language, text, ids) for (language, text), ids in zip(chosen, expected, strict=True)]
        self._samples += samples
        found = self._quick.ids_by_chunks([text for _, text in chosen]).lists()
        for (language, text, ids), other in zip(samples, found, strict=True):
            if ids != other:
                _warn("Its chunks are cut unlike the whole text", language, text)
                self._quick = None
                return
        self._cutter_holds(samples)

    def _cutter_holds(self, samples: Sequence[tuple[str | None, str, list[int]]]) -> bool:
        """Whether the cutter, if there is one, gives the ids of all samples; if not, it is given up."""
        cutter: ChunkCutter | None = self._quick.cutter if self._quick else None
        if self._quick is None or cutter is None:
            return True
        for language, text, ids in samples:
            found, refused = cutter.cut(text.split())
            if not refused and not np.array_equal(found.flat, ids):
                _warn("The NumPy cutter gives other ids", language, text)
                self._quick.forget(cutter=True)
                return False
        return True

    def _untruncated(self) -> Tokenizer:
        if self._whole is None or (self._whole is self.tokenizer and self.tokenizer.truncation is not None):
            self._whole = self.tokenizer
            if self.tokenizer.truncation is not None:
                self._whole = Tokenizer.from_str(self.tokenizer.to_str())
                self._whole.no_truncation()
            if self._quick is not None:
                self._quick.tokenizer = self._whole
        return self._whole


def _warn(what: str, language: str | None, text: str) -> None:
    LOGGER.warning(
        "%s in %s, so the tokenizer itself is used, which is slower: %r",
        what,
        "a text of unknown language" if language is None else f"a text in {language}",
        text if len(text) < 80 else f"{text[:80]}…",
    )
