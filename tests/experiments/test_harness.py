"""An arm × seed that is done is not done again, what is missing is, and a changed arm never takes an old score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from experiments.design import Arm, Choice, Contrast, EvaluationSet, Experiment, Workspace
from experiments.harness import Runner, run_experiment
from experiments.rows import made, set_of_rows

from experiments import harness
from isogloss.files import read_json
from isogloss.records import Row
from isogloss.training import train
from tests.conftest import TINY_TEXTS

ROWS = [Row(" ".join(text.split()[:2]), text, "en", "en") for text in TINY_TEXTS]


def prepare(workspace: Workspace) -> None:
    made(workspace.work / "rows.jsonl", lambda: ROWS)
    made(workspace.work / "set", lambda: set_of_rows("set", ROWS))


@pytest.fixture
def trial(tiny_static: Path) -> Experiment:
    overrides = (
        f"model.base={tiny_static}",
        "sources.rows.path={work}/rows.jsonl",
        "sources.rows.batch=4",
        "train.max_steps=2",
        "train.save_strategy=no",
    )
    one = EvaluationSet("set", "{work}/set", "same")
    return Experiment(
        name="trial",
        title="Trial",
        claim="Trained is better.",
        design=(),
        arms=(Arm("slow", "", "infonce", overrides), Arm("as slow", "", "infonce", overrides, rate_of="slow")),
        sets=(one,),
        contrasts=(Contrast("no difference", "slow", "as slow", ("set",)),),
        prepare=prepare,
        choice=Choice("train.learning_rate", (1e-9, 0.3), one),
    )


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the folders that were trained in."""
    seen: list[str] = []

    def counted(recipe: object, out: Path, **options: object) -> object:
        seen.append(Path(out).parent.name.rsplit("-", 1)[0])
        return train(recipe, out, **options)

    monkeypatch.setattr(harness, "train", counted)
    return seen


def test_a_second_run_trains_nothing_and_a_missing_seed_alone(
    trial: Experiment, trained: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    first = read_json(run_experiment(trial, tmp_path, tmp_path / "work"))
    # Two values are compared for the one arm that chooses; both arms then run with three seeds.
    assert trained == ["slow-1"] * 2 + ["slow-13", "slow-14", "slow-15", "as-slow-13", "as-slow-14", "as-slow-15"]
    assert first["contrasts"][0]["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert first["contrasts"][0]["verdict"] == "undecided"
    assert read_json(run_experiment(trial, tmp_path, tmp_path / "work")) == first
    assert len(trained) == 8
    scores = next((tmp_path / "work" / "trial" / "runs").glob("slow-14-*")) / "scores.json"
    scores.unlink()
    assert read_json(run_experiment(trial, tmp_path, tmp_path / "work"))["scores"] == first["scores"]
    assert trained[8:] == ["slow-14"]


def test_a_changed_arm_or_set_is_trained_anew(trial: Experiment, trained: list[str], tmp_path: Path) -> None:
    runner = Runner(trial, Workspace(tmp_path, tmp_path))
    trial.prepare(runner.workspace)
    arm, other = trial.arms[0], replace(trial.sets[0], pairs="en-en")
    for changed, sets in ((arm, trial.sets), (arm, trial.sets), (arm, (other,))):
        runner.measured(changed, 1, sets)
    runner.measured(replace(arm, overrides=(*arm.overrides, "train.max_steps=3")), 1, trial.sets)
    (tmp_path / "rows.jsonl").write_text('{"query": "other", "passage": "text"}\n' * 4, encoding="utf-8")
    runner.measured(arm, 1, trial.sets)
    assert trained == ["slow-1"] * 4


def test_places_are_filled_and_other_braces_stay(tmp_path: Path) -> None:
    workspace = Workspace(Path("data"), Path("work"))
    assert workspace.fill("a={x: {data}/{seed}}, {work}", 7) == "a={x: data/7}, work"
