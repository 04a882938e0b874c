"""Scores have one value, whichever program or file form they come through.

1. The direct way to trec_eval gives what ir_measures, pytrec_eval and ranx give on the same files, value by value.
2. Only measures without options go the direct way.
"""

from __future__ import annotations

from pathlib import Path

import ir_measures
import numpy as np
import pytest
import pytrec_eval

from isogloss.evaluation.measures import parse_measures, score_run
from isogloss.evaluation.trec_eval import trec_eval_name
from isogloss.files import read_qrels, read_run, write_qrels, write_run

MEASURES = "nDCG@10,nDCG,R@20,RR@3,RR,AP,AP@5,P@10,Success@5,Rprec,Judged@10"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Judgements with grades, and a run without ties, some queries unanswered."""
    generator = np.random.default_rng(11)
    passages = [f"p{number}" for number in range(50)]
    qrels = {
        f"q{query}": {str(name): int(generator.integers(0, 3)) for name in generator.choice(passages, 8, replace=False)}
        | {"p0": 1}
        for query in range(30)
    }
    run = {
        f"q{query}": dict(zip(passages, generator.permutation(50).astype(float).tolist(), strict=True))
        for query in range(27)
    }
    write_qrels(tmp_path / "qrels.txt", qrels, form="trec")
    write_run(tmp_path / "run.trec", run)
    return tmp_path / "qrels.txt", tmp_path / "run.trec"


def test_equal_to_ir_measures_on_the_same_files(files: tuple[Path, Path]) -> None:
    qrels, run = files
    ours = score_run(read_qrels(qrels), read_run(run), MEASURES).values
    measures = [ir_measures.parse_measure(name) for name in MEASURES.split(",")]
    theirs = ir_measures.iter_calc(
        measures, list(ir_measures.read_trec_qrels(str(qrels))), list(ir_measures.read_trec_run(str(run)))
    )
    seen = 0
    for metric in theirs:
        assert ours[str(metric.measure)][metric.query_id] == pytest.approx(metric.value, abs=1e-12)
        seen += 1
    assert seen == len(measures) * 30


def test_equal_to_pytrec_eval_on_the_same_files(files: tuple[Path, Path]) -> None:
    qrels, run = files
    ours = score_run(read_qrels(qrels), read_run(run), "nDCG@10,AP,R@20").values
    with qrels.open() as judged, run.open() as found:
        evaluator = pytrec_eval.RelevanceEvaluator(pytrec_eval.parse_qrel(judged), {"ndcg_cut_10", "map", "recall_20"})
        theirs = evaluator.evaluate(pytrec_eval.parse_run(found))
    assert len(theirs) == 27
    for query_id, values in theirs.items():
        assert [ours[name][query_id] for name in ("nDCG@10", "AP", "R@20")] == [
            pytest.approx(values[name], abs=1e-12) for name in ("ndcg_cut_10", "map", "recall_20")
        ]


def test_measures_with_options_go_to_ir_measures() -> None:
    parsed = parse_measures("nDCG@10,AP(rel=2),RR@3,Judged@10")
    assert [trec_eval_name(measure) for measure in parsed.values()] == ["ndcg_cut_10", None, "recip_rank", None]


def test_equal_to_ranx_on_the_same_files(files: tuple[Path, Path]) -> None:
    # Not in the development environment: it brings numba, which bm25s would then import at every start.
    ranx = pytest.importorskip("ranx", reason="pip install ranx to compare with it")
    qrels, run = files
    names = {"nDCG@10": "ndcg@10", "R@20": "recall@20", "RR@3": "mrr@3", "AP": "map", "P@10": "precision@10"}
    ours = score_run(read_qrels(qrels), read_run(run), list(names)).values
    judged, found = ranx.Qrels.from_file(str(qrels), kind="trec"), ranx.Run.from_file(str(run), kind="trec")
    # It leaves out queries that a run does not answer, unless it is told that they count 0.
    ranx.evaluate(judged, found, list(names.values()), make_comparable=True, return_mean=False)
    for name, theirs in names.items():
        values = dict(found.scores[theirs])
        assert len(values) == len(ours[name]) == 30
        for query, value in ours[name].items():
            assert value == pytest.approx(values[query], abs=1e-9), (name, query)
