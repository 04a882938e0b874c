"""A measure has one name and one value, whoever computes it.

1. Every common spelling means the ir_measures name; all unknown ones are refused together.
2. Ties follow trec_eval in every measure, also in those that other programs compute.
3. A query without results counts 0 and is stated; queries that cannot be measured are stated and left out.
4. A mean does not depend on the order of its values.
"""

from __future__ import annotations

import numpy as np
import pytest
import pytrec_eval

from isogloss.errors import UsageError
from isogloss.evaluation.measures import depth_of, mean, measure_name, parse_measures, score_run

EVERY_MEASURE = "nDCG@10,nDCG,R@100,RR@10,RR,AP,AP@5,P@10,P@1,Success@5,Judged@10,Rprec"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ndcg_at_10", "nDCG@10"),
        ("ndcg_cut_10", "nDCG@10"),
        ("NDCG@10", "nDCG@10"),
        ("mrr@10", "RR@10"),
        ("recip_rank", "RR"),
        ("recall@100", "R@100"),
        ("recall_100", "R@100"),
        ("map_cut_5", "AP@5"),
        ("map", "AP"),
        ("hit_rate@5", "Success@5"),
        ("success_1", "Success@1"),
        ("judged@10", "Judged@10"),
        ("P@10", "P@10"),
    ],
)
def test_spellings(name: str, expected: str) -> None:
    assert measure_name(name) == expected
    assert list(parse_measures(name)) == [expected]


def test_unknown_measures_are_refused_together() -> None:
    with pytest.raises(UsageError) as error:
        parse_measures("nDCG@10,ndgc@10,@@,alpha_nDCG@10,P@-1.5")
    assert len(error.value.faults) >= 3
    with pytest.raises(UsageError, match="none given"):
        parse_measures([])


def test_depth() -> None:
    assert depth_of(parse_measures("nDCG@10").values()) == 100
    assert depth_of(parse_measures("R@500,nDCG@10").values()) == 500
    assert depth_of(parse_measures("AP").values()) == 1000


def test_ties_follow_trec_eval_in_every_measure() -> None:
    generator = np.random.default_rng(3)
    names = [f"p{number}" for number in range(40)]
    run, qrels = {}, {}
    for number in range(60):
        levels = generator.integers(0, 4, size=40) / 7
        run[f"q{number}"] = dict(zip(names, levels.tolist(), strict=True))
        qrels[f"q{number}"] = {
            str(name): int(grade) for name, grade in zip(names, generator.integers(0, 3, 40), strict=True)
        }
    found = score_run(qrels, run, EVERY_MEASURE).values
    direct = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10", "map", "P_10", "recip_rank", "success_5"}).evaluate(
        run
    )
    for measure, name in (("nDCG@10", "ndcg_cut_10"), ("AP", "map"), ("P@10", "P_10"), ("RR", "recip_rank")):
        for query_id, values in direct.items():
            assert found[measure][query_id] == pytest.approx(values[name], abs=1e-9)
    for query_id, values in direct.items():
        reciprocal = values["recip_rank"]
        assert found["RR@10"][query_id] == pytest.approx(reciprocal if reciprocal > 0.09 else 0, abs=1e-9)


def test_scores_that_single_precision_holds_equal_are_ties() -> None:
    run = {"q": {"a": 0.5 + 1e-12, "b": 0.5}}
    assert score_run({"q": {"b": 1}}, run, "RR@10,RR").values == {"RR@10": {"q": 1.0}, "RR": {"q": 1.0}}


def test_what_cannot_be_measured_is_stated() -> None:
    qrels = {"found": {"a": 1}, "empty": {"a": 1}, "absent": {"a": 1}, "judged": {"a": 0}}
    run = {"found": {"a": 1.0}, "empty": {}, "judged": {"a": 1.0}, "stranger": {"a": 1.0}}
    scored = score_run(qrels, run, EVERY_MEASURE)
    for measure, values in scored.values.items():
        assert set(values) == {"found", "empty", "absent"}
        assert values["empty"] == values["absent"] == 0.0
        assert values["found"] == (0.1 if measure == "P@10" else 1.0)
    assert scored.unanswered == ("absent", "empty")
    assert scored.without_relevant == ("judged",)
    assert scored.unjudged == ("stranger",)


def test_mean_does_not_depend_on_order() -> None:
    values = [1e16, 1.0, -1e16, 0.1, 0.2, 0.3]
    assert mean(values) == mean(sorted(values)) == mean(values[::-1])
