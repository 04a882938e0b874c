"""Law 9: a missing language or query is blank and stated, never averaged away.

1. A language without passages, queries or judgements is a blank cell with its reason, in JSON and in every table.
2. No mean contains a blank cell, and a mean with blank cells says how many it is the mean of and names them.
3. A query without results counts 0, and the report says so.
4. A query without a relevant passage in a language is left out, and the report says so.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from isogloss.evaluation import evaluate, evaluation_markdown
from isogloss.evaluation.evaluate import Scorer, cells_of, notes_of
from isogloss.evaluation.measures import mean
from isogloss.evaluation.pairs import Pair, parse_pairs
from isogloss.records import EvalSet
from tests.evaluation.stand_ins import HashingRetriever, parallel_set


def without(eval_set: EvalSet, *, passages_in: str = "", queries_in: str = "", judgements_in: str = "") -> EvalSet:
    return replace(
        eval_set,
        passages=tuple(text for text in eval_set.passages if text.language != passages_in),
        queries=tuple(text for text in eval_set.queries if text.language != queries_in),
        qrels={name: row for name, row in eval_set.qrels.items() if name.split(".")[1] != judgements_in},
    )


@pytest.mark.parametrize(
    ("lack", "reason"),
    [
        ({"passages_in": "th"}, "no passages in th"),
        ({"queries_in": "th"}, "no queries in th"),
        ({"judgements_in": "th"}, "none of the 20 queries in th has a relevant passage"),
    ],
)
def test_a_missing_language_is_blank_and_in_no_mean(lack: dict[str, str], reason: str) -> None:
    result = evaluate(HashingRetriever(), without(parallel_set(), **lack), pairs="same", measures="nDCG@10")
    cell = result.cells["th-th"]
    assert reason in cell.blank and cell.scores == {}
    present = [result.cells[name].scores["nDCG@10"].value for name in ("de-de", "en-en")]
    summary = result.summary("same", "nDCG@10")
    assert summary.macro == pytest.approx(mean(present))
    assert (summary.counted, summary.asked, summary.blank) == (2, 3, ("th-th",))
    assert result.to_json()["cells"][2]["blank"] == cell.blank
    report = evaluation_markdown(result)
    assert reason in report and "(2 of 3)" in report and "blank and in no mean: th-th" in report
    assert "small/th-th/nDCG@10" not in result.flat()


def test_a_group_that_is_blank_throughout_has_no_mean() -> None:
    found = without(parallel_set(("de",)), judgements_in="de")
    result = evaluate(HashingRetriever(), found, pairs="same", measures="nDCG@10")
    summary = result.summary("same", "nDCG@10")
    assert (summary.macro, summary.micro, summary.worst) == (None, None, ())
    assert result.flat() == {}
    assert "no pair has a value" in evaluation_markdown(result)


def test_a_query_without_results_counts_zero_and_is_stated() -> None:
    found = parallel_set(("de",))
    run = {query.id: dict.fromkeys(found.qrels[query.id], 1.0) for query in found.queries[:15]}
    pairs = parse_pairs("same", found)[0].pairs
    (cell,) = cells_of(pairs, found, Scorer(("nDCG@10",), resamples=1), lambda pair, restricted: run)
    assert (cell.queries, cell.unanswered) == (20, 5)
    assert cell.scores["nDCG@10"].value == pytest.approx(15 / 20)
    assert notes_of([cell]) == ("de-de: 5 of 20 queries have no results and count 0.",)


def test_a_query_without_a_relevant_passage_is_left_out_and_stated() -> None:
    found = parallel_set(("de", "en"))
    found = replace(found, passages=tuple(text for text in found.passages if text.id != "p3.en"))
    result = evaluate(HashingRetriever(), found, pairs="de-en,same")
    answered = sum(found.qrels[query.id] != {"p3.de": 1} for query in found.queries if query.language == "de")
    assert (result.cells["de-en"].queries, result.cells["de-en"].excluded) == (answered, 20 - answered)
    note = f"de-en: {20 - answered} of 20 queries have no relevant passage there: left out."
    assert note in result.notes and note in evaluation_markdown(result)


def test_a_pair_without_a_run_is_blank() -> None:
    found = parallel_set(("de",))
    (cell,) = cells_of([Pair("de", "de")], found, Scorer(("nDCG@10",)), lambda pair, restricted: None)
    assert cell.blank == "there is no run for this pair"
