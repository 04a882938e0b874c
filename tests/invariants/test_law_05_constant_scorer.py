"""Law 5: a constant scorer gets the chance value in every measure.

A scorer that cannot tell passages apart must not be helped by the order in which files list them, which often puts the
relevant passage first. Here each of N passages is the relevant one of one query, so that any order that heeds neither
query nor relevance gives exactly the chance value, whatever the measure.

1. It holds from vectors to the matrix, through search, run file and measures.
2. It holds where ties straddle the depth of the run.
3. It holds for every measure on a run of any order, whichever program computes it.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from isogloss.evaluation import evaluate
from isogloss.evaluation.measures import mean, score_run
from isogloss.files import read_run
from isogloss.records import EvalSet, Text
from tests.evaluation.stand_ins import HashingRetriever

PASSAGES = 130


def chance(measure: str, passages: int = PASSAGES) -> float:
    """Expected value when one relevant passage is at each rank from 1 to `passages` equally often."""
    name, _, cutoff = measure.partition("@")
    ranks = range(1, (int(cutoff) if cutoff else passages) + 1)
    gains = {
        "nDCG": [1 / math.log2(rank + 1) for rank in ranks],
        "RR": [1 / rank for rank in ranks],
        "AP": [1 / rank for rank in ranks],
        "R": [1.0 for _ in ranks],
        "Success": [1.0 for _ in ranks],
        "P": [1 / len(ranks) for _ in ranks],
        "Judged": [1 / len(ranks) for _ in ranks],
        "Rprec": [1.0],
    }
    return math.fsum(gains[name]) / passages


MEASURES = ("nDCG@10", "R@100", "RR@10", "P@10", "Success@5", "AP@10", "Judged@10", "Rprec", "nDCG", "RR", "AP")


@pytest.fixture(scope="module")
def one_each() -> EvalSet:
    """As many queries as passages; the relevant passage of each comes first in every file."""
    queries = tuple(Text(f"q{number}", f"query {number}", "en") for number in range(PASSAGES))
    passages = tuple(Text(f"p{number}", f"passage {number}", "en") for number in range(PASSAGES))
    return EvalSet("chance", queries, passages, {f"q{number}": {f"p{number}": 1} for number in range(PASSAGES)})


@pytest.mark.parametrize("measure", MEASURES)
def test_from_vectors_to_the_matrix(one_each: EvalSet, measure: str) -> None:
    result = evaluate(HashingRetriever(constant=True), one_each, measures=measure, resamples=1)
    assert result.cells["en-en"].scores[measure].value == pytest.approx(chance(measure), abs=1e-9)


def test_where_ties_straddle_the_depth_of_the_run(one_each: EvalSet, tmp_path: Path) -> None:
    evaluate(HashingRetriever(constant=True), one_each, measures="R@100", out=tmp_path / "out", resamples=1)
    run = read_run(tmp_path / "out" / "runs" / "en-en.trec.gz")
    assert {len(row) for row in run.values()} == {100}
    kept = sorted((text.id for text in one_each.passages), reverse=True)[:100]
    assert all(list(row) == kept for row in run.values())


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("relevant", ["first", "last"])
def test_in_every_measure_whatever_the_order_of_the_run(one_each: EvalSet, measure: str, relevant: str) -> None:
    run = {}
    for query_id, grades in one_each.qrels.items():
        others = [text.id for text in one_each.passages if text.id not in grades]
        names = [*grades, *others] if relevant == "first" else [*others, *grades]
        run[query_id] = dict.fromkeys(names, 0.25)
    values = score_run(one_each.qrels, run, measure).values[measure].values()
    assert mean(values) == pytest.approx(chance(measure), abs=1e-9)
