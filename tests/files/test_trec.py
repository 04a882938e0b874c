"""Runs and judgements survive a round trip, and ties are ordered as trec_eval orders them.

1. A run is ranked from 1 by score descending in single precision, then by passage id descending as a string.
2. What is written is read back, scores to the last bit of single precision.
3. Judgements are read in BEIR's and TREC's forms; contradictions are faults.
4. All broken lines are told at once; ids that the format cannot carry are refused before anything is written.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isogloss.errors import DataError
from isogloss.files import read_qrels, read_run, write_qrels, write_run, write_text

RUN = {"q2": {"a": 0.5, "c": 0.5, "b": 0.5, "d": 0.75}, "q1": {"x": -1.0}}


@pytest.mark.parametrize("name", ["run.trec", "run.trec.gz"])
def test_a_run_comes_back(tmp_path, name):
    write_run(tmp_path / name, RUN, "mine")
    assert read_run(tmp_path / name) == RUN


def test_ties_fall_by_passage_id_descending(tmp_path):
    write_run(tmp_path / "run", RUN, "mine")
    assert (tmp_path / "run").read_text().splitlines() == [
        "q2 Q0 d 1 0.75 mine",
        "q2 Q0 c 2 0.5 mine",
        "q2 Q0 b 3 0.5 mine",
        "q2 Q0 a 4 0.5 mine",
        "q1 Q0 x 1 -1 mine",
    ]


def test_scores_that_single_precision_cannot_tell_apart_are_ties(tmp_path):
    write_run(tmp_path / "run", {"q": {"a": 1.0 + 1e-12, "b": 1.0}})
    assert list(read_run(tmp_path / "run")["q"].items()) == [("b", 1.0), ("a", 1.0)]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_single_precision_survives(tmp_path_factory, scores):
    path = tmp_path_factory.mktemp("run") / "run"
    run = {"q": {str(number): score for number, score in enumerate(scores)}}
    write_run(path, run)
    back = read_run(path)["q"]
    assert {key: np.float32(value) for key, value in back.items()} == {k: np.float32(v) for k, v in run["q"].items()}


def test_the_order_is_that_of_trec_eval(tmp_path):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    write_run(tmp_path / "run", {"q": dict.fromkeys(["a", "ä", "z", "ｚ", "10", "9"], 1.0)})
    ranked = list(read_run(tmp_path / "run")["q"])
    for rank, passage in enumerate(ranked, start=1):
        evaluator = pytrec_eval.RelevanceEvaluator({"q": {passage: 1}}, {"recip_rank"})
        assert evaluator.evaluate({"q": dict.fromkeys(ranked, 1.0)})["q"]["recip_rank"] == pytest.approx(1 / rank)


@pytest.mark.parametrize(
    "content",
    [
        "query-id\tcorpus-id\tscore\nq1\td 1\t2\nq1\td2\t0\n",
        "q1\td 1\t2\nq1\td2\t0\n",
        "q1\t0\td 1\t2\nq1\tQ0\td2\t0.0\n",
    ],
)
def test_forms_of_judgements(tmp_path, content):
    write_text(tmp_path / "qrels.tsv", content)
    assert read_qrels(tmp_path / "qrels.tsv") == {"q1": {"d 1": 2, "d2": 0}}


@pytest.mark.parametrize("form", ["beir", "trec"])
def test_judgements_come_back(tmp_path, form):
    qrels = {"q1": {"a": 1, "b": -1}, "q2": {"a": 3}}
    write_qrels(tmp_path / "q.tsv.gz", qrels, form=form)
    assert read_qrels(tmp_path / "q.tsv.gz") == qrels


def test_broken_judgements_are_told_at_once(tmp_path):
    path = tmp_path / "test.tsv"
    write_text(path, "query-id\tcorpus-id\tscore\nq\td\nq\td\tyes\nq\td\t1\nq\td\t1\nq\td\t2\nq\td\t1.5\nq\t\t1\n")
    with pytest.raises(DataError) as caught:
        read_qrels(path)
    assert [fault.where for fault in caught.value.faults] == [f"{path}:{line}" for line in (2, 3, 6, 7, 8)]
    assert "judged twice: 1 on line 4, now 2" in str(caught.value)


def test_broken_runs_are_told_at_once(tmp_path):
    path = tmp_path / "run"
    write_text(path, "q Q0 a 1 0.5 t\nq Q0 a 2 0.4 t\nq Q0 b 1\nq Q0 c 1 high t\nq Q0 d 1 nan t\n")
    with pytest.raises(DataError) as caught:
        read_run(path)
    assert [fault.where for fault in caught.value.faults] == [f"{path}:{line}" for line in (2, 3, 4, 5)]


def test_what_the_format_cannot_carry_is_refused_before_writing(tmp_path):
    path = tmp_path / "run"
    write_text(path, "old")
    with pytest.raises(DataError) as caught:
        write_run(path, {"a b": {"x": 1.0, "": 1.0}}, "my tag")
    assert len(caught.value.faults) == 3
    with pytest.raises(DataError, match="nan"):
        write_run(path, {"q": {"x": float("nan")}})
    with pytest.raises(DataError):
        write_qrels(path, {"q": {"x\ty": 1}})
    assert path.read_text() == "old"
