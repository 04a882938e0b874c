"""R@2kt counts tokens, not passages, and every question.

1. Worked by hand: tokens run over passages in rank order, the budget cuts within a passage, spaces are single.
2. A question without results counts 0 and stays in the denominator; unknown ids are refused.
3. Case counts; "yes" and "no" do not; ties follow trec_eval.
4. MRR@100 is the reciprocal rank within a hundred.
"""

from __future__ import annotations

import pytest

from isogloss.errors import DataError, UsageError
from isogloss.evaluation.measures import score_run
from isogloss.evaluation.token_budget import answer_recall, token_budgets, tokenizer

PASSAGES = {"a": "The red fox ran.", "b": "A   blue whale, in Oslo.", "c": "No news"}
ANSWERS = {"q1": ["blue whale"], "q2": ["Oslo"], "q3": ["no"], "q4": ["fox ran ."]}
RUN = {
    "q1": {"a": 2.0, "b": 1.0},
    "q2": {"a": 2.0, "b": 1.0},
    "q3": {"c": 1.0},
    "q4": {"a": 1.0},
}


def recall(budget: str, run=RUN, answers=ANSWERS):
    return answer_recall(run, PASSAGES, answers, budget, tokenize=tokenizer("words"))


@pytest.mark.parametrize(
    ("budget", "hits"),
    [
        # a: The red fox ran . (5 tokens); b: A blue whale , in Oslo . (7 tokens)
        ("R@4t", [0, 0, 0, 0]),
        ("R@5t", [0, 0, 0, 1]),
        ("R@7t", [0, 0, 0, 1]),
        ("R@8t", [1, 0, 0, 1]),
        ("R@10t", [1, 0, 0, 1]),
        ("R@11t", [1, 1, 0, 1]),
        ("R@2kt", [1, 1, 0, 1]),
    ],
)
def test_tokens_run_over_passages_and_are_cut_within_one(budget, hits):
    found = recall(budget)
    assert list(found.hits[budget].values()) == hits
    assert found.means() == {budget: sum(hits) / 4}
    assert found.without_answer == ("q3",)


def test_a_question_without_results_stays_in_the_denominator():
    found = recall("R@2kt", {"q1": RUN["q1"]})
    assert found.means() == {"R@2kt": 0.25}
    assert found.missing == ("q2", "q3", "q4")
    assert found.underfilled["R@2kt"] == ("q2", "q3", "q4")


def test_case_counts():
    assert recall("R@2kt", {"q": RUN["q1"]}, {"q": ["Blue whale"]}).means() == {"R@2kt": 0.0}


def test_ties_follow_trec_eval():
    run = {"q": {"a": 1.0, "b": 1.0}}
    assert recall("R@3t", run, {"q": ["blue"]}).means() == {"R@3t": 1.0}


def test_unknown_ids_are_told_together():
    with pytest.raises(DataError, match=r"(?s)2 problems.*question 'q9'.*passage 'z'"):
        recall("R@2kt", {"q9": {"a": 1.0}, "q1": {"z": 1.0}})


def test_names():
    assert [budget.tokens for budget in token_budgets(["R@2kt", "R@5kt", "R@30t"])] == [2000, 5000, 30]
    with pytest.raises(UsageError, match="2 problems"):
        token_budgets("R@0kt,R@5kt,nDCG@10")
    with pytest.raises(UsageError, match="no tokenizer"):
        tokenizer("spaces")


def test_mean_reciprocal_rank_within_a_hundred():
    ranking = {f"p{place:03}": 200.0 - place for place in range(1, 151)}
    qrels = {"first": {"p001": 1}, "fourth": {"p004": 1, "p050": 1}, "far": {"p101": 1}}
    found = score_run(qrels, dict.fromkeys(qrels, ranking), "MRR@100")
    assert found.values["RR@100"] == {"far": 0.0, "first": 1.0, "fourth": 0.25}
