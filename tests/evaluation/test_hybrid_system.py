"""A hybrid system is the fusion of its two parts, and nothing else.

1. Its run equals the reciprocal-rank formula worked by hand over the runs of the parts.
2. With all weight on the dense part, by scores, the order is that of the dense part.
"""

from __future__ import annotations

import pytest

from isogloss.evaluation.systems import DenseSystem, HybridFusion, HybridSystem, LexicalSystem
from isogloss.indexing.ranking import ranked_passages
from isogloss.models.retriever import Retriever
from isogloss.records import EvalSet, Text
from tests.conftest import TINY_TEXTS


@pytest.fixture
def parts(tiny_static):
    passages = tuple(Text(f"p{row}", text, language="en") for row, text in enumerate(TINY_TEXTS))
    queries = (Text("q1", "ships pass the lighthouse", language="en"), Text("q2", "река", language="en"))
    eval_set = EvalSet("tiny", queries, passages, {"q1": {"p0": 1}, "q2": {"p5": 1}})
    dense = DenseSystem(Retriever.load(tiny_static), name="tiny")
    dense.prepare(queries, passages)
    return eval_set, dense, LexicalSystem()


def test_reciprocal_ranks(parts):
    eval_set, dense, lexical = parts
    found = HybridSystem(dense, HybridFusion("rrf", 0.25)).search(eval_set, 5)
    for query in ("q1", "q2"):
        expected: dict[str, float] = {}
        for run, weight in ((dense.search(eval_set, 100), 0.25), (lexical.search(eval_set, 100), 0.75)):
            for rank, name in enumerate(ranked_passages(run[query]), start=1):
                expected[name] = expected.get(name, 0) + weight / (60 + rank)
        best = sorted(expected, key=lambda name: -expected[name])[:5]
        assert found[query] == pytest.approx({name: expected[name] for name in best}, rel=1e-6)


def test_all_weight_on_one_part(parts):
    eval_set, dense, _ = parts
    found = HybridSystem(dense, HybridFusion("weighted", 1.0)).search(eval_set, 5)
    assert [list(found[query]) for query in ("q1", "q2")] == [
        ranked_passages(dense.search(eval_set, 5)[query]) for query in ("q1", "q2")
    ]
