"""BM25's matrix of scores, made of blocks of passages.

`bm25s` counts terms passage by passage and holds several copies of the matrix while it makes it. Here a block is
sorted, and its scores go where they belong in the one matrix that stays. The bits are those of `bm25s`.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import bm25s
import numpy as np
from numpy.typing import NDArray

BLOCK_TERMS = 1 << 20


@dataclass(frozen=True)
class NumberedPassages:
    """Passages as the numbers of their terms, in the shape that `bm25s` reads.

    Attributes:
        ids: The numbers of all terms, passage after passage.
        lengths: How many terms each passage has.
        vocab: Number of each term, from 0 on.
    """

    ids: array[int]
    lengths: Sequence[int]
    vocab: dict[str, int]


def bm25_of(passages: NumberedPassages, *, k1: float, b: float) -> Any:
    """A `bm25s.BM25` (variant `lucene`) over passages, as its own `index` makes it.

    Args:
        passages: Passages of numbered terms.
        k1: Saturation of a term's frequency.
        b: Share of the normalisation by length.
    """
    scorer = bm25s.BM25(method="lucene", k1=k1, b=b)
    scorer.nonoccurrence_array = None
    scorer.build_index_from_ids = lambda **_: score_matrix(passages, k1=k1, b=b)
    scorer.index(passages, show_progress=False)
    return scorer


def score_matrix(passages: NumberedPassages, *, k1: float, b: float) -> dict[str, Any]:
    """The columns of terms, each with the passages that have it in their order, as `bm25s` searches them.

    Args:
        passages: Passages of numbered terms.
        k1: Saturation of a term's frequency.
        b: Share of the normalisation by length.
    """
    numbers = np.frombuffer(passages.ids, dtype=np.int32)
    lengths = np.array(passages.lengths, dtype=np.int64)
    frequencies = np.zeros(len(passages.vocab), dtype=np.int64)
    for block in _blocks(numbers, lengths):
        frequencies[block.terms] += block.passages_of_term
    starts = np.concatenate([[0], np.cumsum(frequencies)])
    scores = np.empty(starts[-1], dtype=np.float32)
    places = np.empty(starts[-1], dtype=np.int32)
    free = starts[:-1].copy()
    rarity = _rarity(frequencies, len(lengths))
    norms = k1 * ((1 - b) + b * lengths / lengths.mean())
    for block in _blocks(numbers, lengths):
        many = block.passages_of_term
        within = np.arange(len(block.counts)) - np.repeat(np.cumsum(many) - many, many)
        cells = np.repeat(free[block.terms], many) + within
        saturated = block.counts / (norms[block.passages] + block.counts)
        scores[cells] = np.repeat(rarity[block.terms], many) * saturated
        places[cells] = block.passages
        free[block.terms] += many
    return {"data": scores, "indices": places, "indptr": starts, "num_docs": len(lengths)}


@dataclass(frozen=True)
class _Block:
    """Pairs of a term and a passage that has it, by term and then by passage.

    Attributes:
        terms: Numbers of the terms, each once (terms,).
        passages_of_term: How many of the passages have each (terms,).
        passages: Passages of all terms (pairs,).
        counts: How often the term is in the passage (pairs,).
    """

    terms: NDArray[np.int64]
    passages_of_term: NDArray[np.int64]
    passages: NDArray[np.int64]
    counts: NDArray[np.int64]


def _blocks(numbers: NDArray[np.int32], lengths: NDArray[np.int64]) -> Iterator[_Block]:
    """Neighbouring passages with so many terms together that sorting them takes little memory."""
    ends = np.cumsum(lengths)
    first = 0
    while first < len(lengths):
        begin = ends[first] - lengths[first]
        after = max(first + 1, int(np.searchsorted(ends, begin + BLOCK_TERMS, side="right")))
        passages = np.repeat(np.arange(first, after), lengths[first:after])
        pairs = numbers[begin : ends[after - 1]] * np.int64(len(lengths)) + passages
        unique, counts = np.unique(pairs, return_counts=True)
        terms, passages = np.divmod(unique, len(lengths))
        once, passages_of_term = np.unique(terms, return_counts=True)
        yield _Block(once, passages_of_term, passages, counts)
        first = after


def _rarity(frequencies: NDArray[np.int64], passages: int) -> NDArray[np.float32]:
    """Inverse document frequencies as Lucene has them (Kamphuis et al. 2020, ECIR, table 1)."""
    different, where = np.unique(frequencies, return_inverse=True)
    values = [math.log(1 + (passages - found + 0.5) / (found + 0.5)) for found in different.tolist()]
    return np.array(values, dtype=np.float32)[where]
