"""Law 8, the side of measurement: shuffling queries, corpus or judgements changes no score, bit for bit.

1. Every cell, interval and mean of an evaluation, and every line of its runs, is the same.
2. So is a comparison.
3. Search in blocks of any size gives the same bits (with vectors whose plain products do differ by order).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from isogloss.evaluation import compare, evaluate
from isogloss.files import read_run
from isogloss.indexing import VectorTable, search
from isogloss.records import EvalSet
from tests.evaluation.stand_ins import HashingRetriever, parallel_set


def shuffled(eval_set: EvalSet, seed: int) -> EvalSet:
    generator = np.random.default_rng(seed)
    queries = [eval_set.queries[row] for row in generator.permutation(len(eval_set.queries))]
    passages = [eval_set.passages[row] for row in generator.permutation(len(eval_set.passages))]
    qrels = {query.id: eval_set.qrels[query.id] for query in queries}
    return replace(eval_set, queries=tuple(queries), passages=tuple(passages), qrels=qrels)


@pytest.mark.parametrize("seed", [1, 2])
def test_an_evaluation_is_the_same_to_the_last_bit(seed: int, tmp_path: Path) -> None:
    found = parallel_set()
    plain = evaluate(HashingRetriever(), found, pairs="all,mixed,same", bm25=True, out=tmp_path / "plain")
    other = evaluate(
        HashingRetriever(), shuffled(found, seed), pairs="all,mixed,same", bm25=True, out=tmp_path / "other"
    )
    assert plain.to_json() == other.to_json()
    for file in (tmp_path / "plain" / "runs").iterdir():
        first, second = read_run(file), read_run(tmp_path / "other" / "runs" / file.name)
        assert {key: list(row.items()) for key, row in first.items()} == {
            key: list(row.items()) for key, row in second.items()
        }


def test_a_comparison_is_the_same() -> None:
    found = parallel_set()
    plain = [evaluate(HashingRetriever(blind=blind), found) for blind in (False, True)]
    other = [evaluate(HashingRetriever(blind=blind), shuffled(found, 3)) for blind in (False, True)]
    assert compare(*plain).differences == compare(*other).differences


def test_blocks_of_any_size_give_the_same_bits() -> None:
    generator = np.random.default_rng(4)
    queries = generator.standard_normal((5, 384)).astype(np.float32)
    passages = generator.standard_normal((300, 384)).astype(np.float32)
    names = [f"p{row}" for row in range(300)]
    order = generator.permutation(300)
    query_ids = [f"q{row}" for row in range(5)]
    whole = search(queries, query_ids, VectorTable(names, passages), k=50)
    table = VectorTable([names[row] for row in order], passages[order])
    for block in (1, 16, 300):
        pieces = search(queries, query_ids, table, k=50, block=block)
        assert {key: list(row.items()) for key, row in pieces.items()} == {
            key: list(row.items()) for key, row in whole.items()
        }
    reordered = generator.permutation(384)
    table = VectorTable(names, passages[:, reordered])
    assert search(queries[:, reordered], query_ids, table, k=50) == whole
