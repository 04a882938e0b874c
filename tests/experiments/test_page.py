"""The page says of every contrast what its interval says, from the results alone; a claim that fails stays on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from experiments.design import Arm, Contrast, EvaluationSet, Experiment
from experiments.harness import summed_up
from experiments.page import anchor, page_text, table, write_page

SETS = (EvaluationSet("one", "nowhere"), EvaluationSet("two", "nowhere"))
ARMS = (Arm("new", "the method", "infonce"), Arm("old", "what was before", "infonce"))


def experiment(**changes: object) -> Experiment:
    contrasts = (
        Contrast("the new is better", "new", "old", ("one",)),
        Contrast("the old is better", "old", "new", ("one", "two")),
        Contrast("nothing is lost", "new", "untrained", ("two",), ("fr-fr",), "not lower"),
    )
    given = {"name": "trial", "title": "A trial: of it", "claim": "It helps.", "design": ("Small.",), "arms": ARMS}
    return Experiment(**{**given, "sets": SETS, "contrasts": contrasts, "tried": ("Much.",), **changes})


def run_of(level: float) -> dict:
    values = {f"q{number}": level + number / 1000 for number in range(9)}
    return {
        "values": {"one": {"de-de": values}, "two": {"de-de": values, "fr-fr": values}},
        "train_seconds": 2.0,
        "seconds": 1.0,
    }


@pytest.fixture
def results() -> dict:
    measured = {
        "untrained": [run_of(0.5) | {"train_seconds": 0.0}],
        "new": [run_of(0.6), run_of(0.61), run_of(0.62)],
        "old": [run_of(0.5), run_of(0.5), run_of(0.5)],
    }
    described = {
        "seeds": [13, 14, 15],
        "start": {"model": "bundled", "fingerprint": "abc"},
        "arms": [{"name": arm.name, "words": arm.words} for arm in ARMS],
        "sets": [{"name": one.name} for one in SETS],
        "chosen": None,
    }
    return described | summed_up(experiment(), measured, {"one": {}, "two": {}})


def test_contrasts_are_differences_of_means_over_pairs_and_seeds(results: dict) -> None:
    first, second, third = results["contrasts"]
    assert first["difference"]["value"] == pytest.approx(0.11)
    assert first["by_seed"] == [pytest.approx(0.1), pytest.approx(0.11), pytest.approx(0.12)]
    assert second["difference"]["value"] == pytest.approx(-0.11)
    assert list(second["by_pair"]) == ["one/de-de", "two/de-de", "two/fr-fr"]
    assert list(third["by_pair"]) == ["two/fr-fr"]
    assert [contrast["verdict"] for contrast in results["contrasts"]] == ["held", "did not hold", "held"]


def test_means_have_the_spread_over_seeds_and_seconds_are_summed(results: dict) -> None:
    assert results["means"]["new"]["two"]["value"] == pytest.approx(0.614)
    assert results["means"]["new"]["two"]["spread_over_seeds"] == pytest.approx(0.01)
    assert results["seconds"] == {"training": 12.0, "evaluation": 7.0}
    assert results["queries"] == {"one": {"de-de": 9}, "two": {"de-de": 9, "fr-fr": 9}}


def test_every_verdict_is_on_the_page_the_failed_one_too(results: dict) -> None:
    page = page_text([(experiment(), json.loads(json.dumps(results)))])
    assert "**held**: the new is better — +0.1100" in page
    assert "**did not hold**: the old is better — -0.1100" in page
    assert "(margin 0.01): nothing is lost" in page
    assert "| new | the method | 0.6140 ± 0.0100 | 0.6140 ± 0.0100 |" in page
    assert "[A trial: of it](#a-trial-of-it)" in page
    assert "- Much." in page


def test_an_undecided_claim_is_said_to_be_so_at_this_scale(results: dict) -> None:
    results["contrasts"][0]["verdict"] = "undecided"
    assert "**undecided at this scale**: the new is better" in page_text([(experiment(), results)])


def test_the_best_value_of_a_choice_is_bold_and_lines_of_ones_own_are_added(results: dict) -> None:
    results["chosen"] = {"field": "rate", "arms": {"new": {"value": 0.01, "scores": {"0.001": 0.3, "0.01": 0.4}}}}
    lines = page_text([(experiment(figures=lambda found: [f"seeds: {found['seeds']}"]), results)]).splitlines()
    assert "| new | 0.3000 | **0.4000** |" in lines
    assert "seeds: [13, 14, 15]" in lines


def test_experiments_without_results_are_left_out(results: dict, tmp_path: Path) -> None:
    (tmp_path / "trial.json").write_text(json.dumps(results), encoding="utf-8")
    write_page(
        tmp_path / "page.md", {"trial": experiment(), "other": experiment(name="other", title="Other")}, tmp_path
    )
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "## A trial: of it" in page
    assert "Other" not in page


def test_pictures_lie_beside_the_page(results: dict, tmp_path: Path) -> None:
    (tmp_path / "trial.json").write_text(json.dumps(results), encoding="utf-8")
    drawn = experiment(pictures=lambda found: {"one.svg": f"<svg>{len(found['seeds'])}</svg>"})
    write_page(tmp_path / "page.md", {"trial": drawn}, tmp_path)
    assert (tmp_path / "images" / "one.svg").read_text(encoding="utf-8") == "<svg>3</svg>"


def test_a_contrast_names_arms_and_sets_that_there_are() -> None:
    with pytest.raises(ValueError, match="nobody, nothing"):
        experiment(contrasts=(Contrast("no", "nobody", "old", ("nothing",)),))
    with pytest.raises(ValueError, match="three seeds"):
        experiment(seeds=(1, 2))


def test_bars_in_cells_are_escaped_and_anchors_are_those_of_headings() -> None:
    assert table(("a",), [("b|c",)])[-1] == "| b\\|c |"
    assert anchor("CLEAR: (on) AfriQA") == "clear-on-afriqa"
