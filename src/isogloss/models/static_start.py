"""Vectors that a static model begins with: random directions, long for rare pieces and short for frequent ones.

Random directions are nearly orthogonal, so a mean of them already compares texts by the words that they share, weighed
like an inverse document frequency; training then moves translations and paraphrases together. The start is ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

WORDS_AT_ONCE = 200_000
TEXT_SIZE = 6e7
SMOOTHING = 50.0
USUAL_WEIGHT = 8.0


def piece_counts(tokenizer: Tokenizer, shares: Mapping[str, float]) -> NDArray[np.float64]:
    """How often each piece comes in a text of `TEXT_SIZE` words with these shares, shape (vocabulary,)."""
    description = json.loads(tokenizer.to_str())
    description["normalizer"] = description["pre_tokenizer"] = None  # the words have been through both
    cutter = Tokenizer.from_str(json.dumps(description))
    counts = np.zeros(tokenizer.get_vocab_size())
    words = list(shares)
    for start in range(0, len(words), WORDS_AT_ONCE):
        block = words[start : start + WORDS_AT_ONCE]
        for word, encoding in zip(block, cutter.encode_batch(block, add_special_tokens=False), strict=True):
            for piece in encoding.ids:
                counts[piece] += shares[word]
    return counts * TEXT_SIZE


def static_start(counts: NDArray[np.float64], *, dimension: int, seed: int) -> NDArray[np.float32]:
    """Starting vectors, shape (vocabulary, dimension).

    Args:
        counts: How often each piece comes, from `piece_counts`; the first piece is the unknown one and gets zeros.
        dimension: Length of a vector.
        seed: Of the random directions.
    """
    weights = np.log(TEXT_SIZE / (counts + SMOOTHING)) / USUAL_WEIGHT
    directions = np.random.default_rng(seed).standard_normal((len(counts), dimension)) / np.sqrt(dimension)
    vectors: NDArray[np.float32] = (directions * np.maximum(weights, 0.0)[:, None]).astype(np.float32)
    vectors[0] = 0.0
    return vectors
