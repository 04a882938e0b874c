"""`isogloss mteb export` writes the scores of our runs as mteb has them; `summary` refuses a part of the benchmark."""

from __future__ import annotations

import json

import pytest

from tests.cli.worlds import World, answer, run


def test_export_gives_the_scores_of_the_evaluation(world: World):
    options = ("--data", "set", "--task", "Rivers", "--model", "me/tiny", "--out", "results", "--json")
    found = answer(run("mteb", "export", "scores", *options))
    written = json.loads((world / "results" / "me__tiny" / "unknown" / "Rivers.json").read_text())
    scores = json.loads((world / "scores" / "scores.json").read_text())
    cells = {f"{c['pair']['query_language']}-{c['pair']['passage_language']}": c for c in scores["cells"]}
    assert list(found["subsets"]) == [entry["hf_subset"] for entry in written["scores"]["test"]] == sorted(cells)
    for entry in written["scores"]["test"]:
        assert entry["main_score"] == pytest.approx(cells[entry["hf_subset"]]["scores"]["nDCG@10"]["value"], abs=5e-6)
    assert written["scores"]["test"][0]["languages"] == ["deu-Latn"]


def test_summary_of_a_part_is_refused(world: World):
    run("mteb", "export", "scores", "--data", "set", "--task", "ArguAna", "--model", "me/tiny", "--out", "results")
    result = run("mteb", "summary", "results/me__tiny", "--json")
    assert (result.exit_code, len(answer(result)["error"]["faults"])) == (
        1,
        17 + 1,
    )  # tasks without a result, and the subset that ArguAna lacks
