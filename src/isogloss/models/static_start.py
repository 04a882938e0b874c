"""Vectors that a static model begins with: a direction for each piece, long for rare pieces, short for frequent ones.

Random directions are nearly orthogonal, so a mean of them already compares texts by the words that they share, weighed
like an inverse document frequency. A teacher's vectors of English words make related words alike, and translations give
the pieces of other languages the directions of the English ones that they go with. Training then does the rest. The
start is ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from isogloss.models.associations import Associations

WORDS_AT_ONCE = 200_000
TEXT_SIZE = 6e7
SMOOTHING = 50.0
UNKNOWN_LENGTH = 0.05
USUAL_WEIGHT = 8.0

Vectors = NDArray[np.float32]


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


def random_directions(pieces: int, *, dimension: int, seed: int) -> Vectors:
    """Random unit vectors, shape (pieces, dimension)."""
    directions: Vectors = np.random.default_rng(seed).standard_normal((pieces, dimension)).astype(np.float32)
    return unit(directions)


def with_teacher(directions: Vectors, words: NDArray[np.int64], taught: Vectors, *, share: float, seed: int) -> Vectors:
    """The directions with a teacher's vectors mixed into those of some words.

    The teacher's vectors are centred and halfway whitened, for what all words have in common tells none from another,
    and turned at random into the space of the directions.

    Args:
        directions: Unit vectors, shape (pieces, dimension).
        words: Pieces that are words that the teacher knows.
        taught: The teacher's vectors of them, shape (words, teacher's dimension).
        share: Cosine of a word's direction and the teacher's, from 0 to 1.
        seed: Of the turn.
    """
    dimension = directions.shape[1]
    axes, sizes, _ = np.linalg.svd(taught - taught.mean(axis=0), full_matrices=False)
    spread = (axes * np.sqrt(sizes))[:, :dimension]
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((dimension, spread.shape[1])))[0]
    mixed = directions.copy()
    mixed[words] = np.sqrt(1 - share**2) * directions[words] + share * unit(spread @ turn.T)
    return mixed


def with_translations(directions: Vectors, found: Associations, *, own: float) -> Vectors:
    """The directions with the pieces of other languages turned towards the English pieces that they go with.

    Args:
        directions: Unit vectors, shape (pieces, dimension).
        found: What goes with what.
        own: Weight of a piece's own direction in what it is turned to, from 0 to 1, so that it stays its own word.
    """
    english = unit(np.asarray(found.english @ directions))
    foreign = np.sqrt(1 - own**2) * english + own * directions
    share = found.foreign_share[:, None]
    return unit(share * foreign + (1 - share) * directions)


def static_start(directions: Vectors, counts: NDArray[np.float64]) -> Vectors:
    """Starting vectors, shape (pieces, dimension).

    Args:
        directions: Unit vectors.
        counts: How often each piece comes, from `piece_counts`; the first piece is the unknown one.
    """
    weights = np.log(TEXT_SIZE / (counts + SMOOTHING)) / USUAL_WEIGHT
    vectors: Vectors = (directions * np.maximum(weights, 0.0)[:, None]).astype(np.float32)
    # Next to nothing, but not zero: a text of unknown pieces alone would have no direction and an endless gradient.
    vectors[0] = UNKNOWN_LENGTH * directions[0]
    return vectors


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Vectors of length 1; zeros stay."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.where(length > 0, length, 1.0)).astype(np.float32)
    return scaled
