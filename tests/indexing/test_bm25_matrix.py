"""The matrix of BM25 that is made in blocks is bm25s's own, bit for bit.

1. For any passages and blocks, also where a passage is empty, is larger than a block, or has one term many times.
2. It is found by the same search.
"""

from __future__ import annotations

from array import array

import bm25s
import numpy as np
import pytest

from isogloss.indexing import bm25_matrix
from isogloss.indexing.bm25_matrix import NumberedPassages, bm25_of

LENGTHS = [7, 0, 40, 1, 3, 3, 12, 0, 5, 90, 2]


def made(block: int, monkeypatch: pytest.MonkeyPatch) -> tuple[bm25s.BM25, bm25s.BM25]:
    generator = np.random.default_rng(5)
    passages = [array("i", generator.zipf(1.6, length).clip(max=30).astype(np.int32) - 1) for length in LENGTHS]
    vocabulary = {f"t{number}": number for number in range(30)}
    monkeypatch.setattr(bm25_matrix, "BLOCK_TERMS", block)
    flat = array("i", [number for passage in passages for number in passage])
    ours = bm25_of(NumberedPassages(flat, array("q", LENGTHS), dict(vocabulary)), k1=1.2, b=0.6)
    theirs = bm25s.BM25(method="lucene", k1=1.2, b=0.6)
    theirs.index((passages, vocabulary), show_progress=False)
    return ours, theirs


@pytest.mark.parametrize("block", [1, 10, 50, 1000])
def test_is_the_matrix_of_bm25s(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = made(block, monkeypatch)
    for name in ("data", "indices", "indptr"):
        assert np.array_equal(ours.scores[name], theirs.scores[name]), name
        assert ours.scores[name].dtype == theirs.scores[name].dtype, name
    assert ours.scores["num_docs"] == theirs.scores["num_docs"]
    assert ours.vocab_dict == theirs.vocab_dict


def test_is_searched_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = made(16, monkeypatch)
    query = [0, 3, 3, 17]
    assert np.array_equal(ours.get_scores_from_ids(query), theirs.get_scores_from_ids(query))
    assert ours.get_scores_from_ids(query).any()
