"""Which English pieces a piece of another language goes with, counted in translations.

A piece that stands in the same lines as an English piece, and in few others, most likely means the same. The
association is the correlation of the two over lines, C(f, e) / √(C(f) C(e)) less what chance alone would give, shrunk
for pieces that met a few times only. It needs one sparse product per language, no iteration and no order of words. The
measure is the φ coefficient of Gale and Church 1991 without the lines that have neither; the shrinking is ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from tokenizers import Tokenizer

MOST_PIECES = 80
MOST_LINES = 200_000
BEST = 10
JOINT_PRIOR = 3.0
SHARPNESS = 2.0

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Translations:
    """Lines of one file in English and another language.

    Attributes:
        english: English texts.
        foreign: The same lines in the other language.
        weight: What a line counts.
    """

    english: Sequence[str]
    foreign: Sequence[str]
    weight: float = 1.0


@dataclass(frozen=True)
class Associations:
    """What translations say of a vocabulary.

    Attributes:
        english: Shape (vocabulary, vocabulary): each row with any entry sums to 1 over the English pieces that its
            piece goes with.
        foreign_share: Shape (vocabulary,): share of a piece's lines that are not English, 0 for pieces without entry.
    """

    english: csr_matrix
    foreign_share: Counts


def associate(
    tokenizer: Tokenizer, translations: Mapping[str, Sequence[Translations]], english_counts: Counts
) -> Associations:
    """Counts what goes with what.

    Args:
        tokenizer: Its vocabulary is that of all languages.
        translations: Language to its files.
        english_counts: English texts that each piece comes in, shape (vocabulary,).
    """
    size = tokenizer.get_vocab_size()
    english = csr_matrix((size, size), dtype=np.float64)
    foreign_counts = np.zeros(size)
    for files in translations.values():
        joint = csr_matrix((size, size), dtype=np.float64)
        there, beside, lines = np.zeros(size), np.zeros(size), 0.0
        for file in files:
            source, target, weights = _incidence(tokenizer, file)
            joint = joint + target.T.multiply(weights[None, :]).tocsr() @ source
            there += target.T @ weights
            beside += source.T @ weights
            lines += float(weights.sum())
        best = _best(joint, there, beside, max(lines, 1.0))
        met = np.asarray(best.sum(axis=1)).ravel() > 0
        english = english + diags(there * met) @ best
        foreign_counts += there * met
    share = foreign_counts / np.maximum(foreign_counts + english_counts, 1e-9)
    return Associations(_rows_to_one(english.tocsr()), share)


def piece_incidence(tokenizer: Tokenizer, texts: Sequence[str]) -> csr_matrix:
    """Which pieces each text has, shape (texts, vocabulary); the unknown piece, the first, is left out."""
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    ids = [sorted(set(encoding.ids) - {0}) for encoding in encodings]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in ids], dtype=np.int64)])
    pieces = np.fromiter(chain.from_iterable(ids), dtype=np.int64, count=int(starts[-1]))
    shape = (len(ids), tokenizer.get_vocab_size())
    return csr_matrix((np.ones(len(pieces)), pieces, starts), shape=shape)


def _incidence(tokenizer: Tokenizer, file: Translations) -> tuple[csr_matrix, csr_matrix, Counts]:
    """Pieces of the English and of the other lines, without lines so long that everything would go with everything."""
    source = piece_incidence(tokenizer, file.english[:MOST_LINES])
    target = piece_incidence(tokenizer, file.foreign[:MOST_LINES])
    sizes = np.stack([np.diff(source.indptr), np.diff(target.indptr)])
    kept = np.flatnonzero((sizes.min(axis=0) > 0) & (sizes.max(axis=0) <= MOST_PIECES))
    return source[kept], target[kept], np.full(len(kept), file.weight)


def _best(joint: csr_matrix, there: Counts, beside: Counts, lines: float) -> csr_matrix:
    """The English pieces that each piece goes with most, rows summing to 1."""
    found = joint.tocoo()
    expected = there[found.row] * beside[found.col] / lines
    strength = np.maximum(found.data - expected, 0.0) / np.sqrt(there[found.row] * beside[found.col])
    strength *= found.data / (found.data + JOINT_PRIOR)
    order = np.lexsort((-strength, found.row))
    rows = found.row[order]
    first = np.searchsorted(rows, rows, side="left")
    order = order[np.arange(len(rows)) - first < BEST]
    kept = (strength[order] ** SHARPNESS, (found.row[order], found.col[order]))
    return _rows_to_one(csr_matrix(kept, shape=joint.shape))


def _rows_to_one(matrix: csr_matrix) -> csr_matrix:
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    return (diags(1.0 / np.where(sums > 0, sums, 1.0)) @ matrix).tocsr()
