"""Every shipped recipe is killed and gone on with; a run that ended otherwise is plain on the page.

1. The trials are all shipped recipes, those of generators too.
2. A command that is killed says at which step; one that has ended is not called killed.
3. Other bytes are other weights; a folder without weights is no success.
4. The page shows the difference.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from experiments.page import page_text
from experiments.resumes import (
    EVERY,
    STEPS,
    TRIALS,
    Command,
    logged,
    moments,
    newest_checkpoint,
    weights_of,
    went_on,
)

from isogloss.generation.recipe import shipped_generator_recipes
from isogloss.recipe import shipped_recipes
from isogloss.training.trainer import LOG


def test_every_shipped_recipe_is_tried() -> None:
    assert set(TRIALS) == set(shipped_recipes()) | set(shipped_generator_recipes())


@pytest.mark.parametrize(("waits", "killed"), [(True, 7), (False, None)])
def test_a_killed_command_says_where_it_was(
    waits: bool, killed: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = f"import time, pathlib; pathlib.Path({str(tmp_path / LOG)!r}).write_text('x\\n' * 7); time.sleep(60)"
    script = tmp_path / "writes.py"
    script.write_text(writes if waits else "")
    starter = tmp_path / "python"
    starter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}"\n')
    starter.chmod(0o755)
    monkeypatch.setattr("experiments.resumes.sys.executable", str(starter))
    assert Command("infonce", ("train",), ()).killed(tmp_path, 4, delay=0.0) == killed


@pytest.mark.parametrize("kills", [1, 3, 5])
def test_each_kill_has_a_checkpoint_before_it_and_one_to_come(kills: int) -> None:
    for seed in range(20):
        steps = moments(kills, random.Random(seed))
        assert len(steps) == kills and steps == sorted(set(steps))
        assert min(steps) > EVERY and max(steps) <= STEPS - EVERY


def test_a_run_that_went_on_from_its_middle_each_time_is_told_from_others(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) == 0
    for step in (4, 12, 8):
        (tmp_path / f"checkpoint-{step}").mkdir()
    assert newest_checkpoint(tmp_path) == 12
    assert went_on({"killed_after": [7, 11], "resumed_from": [0, 8]})
    assert not went_on({"killed_after": [7, None], "resumed_from": [4, 8]})  # it had ended by itself
    assert not went_on({"killed_after": [3, 3], "resumed_from": [0, 0]})  # from the start each time
    assert not went_on({"killed_after": [31], "resumed_from": [STEPS]})  # from the end


def test_a_log_of_an_earlier_process_does_not_count(tmp_path: Path) -> None:
    (tmp_path / LOG).write_text("x\nx\n")
    assert logged(tmp_path) == 2
    assert logged(tmp_path, since=(tmp_path / LOG).stat().st_mtime + 1) == 0
    assert logged(tmp_path / "nowhere") == 0


def test_one_other_byte_is_other_weights(tmp_path: Path) -> None:
    for folder, content in (("a", b"12"), ("b", b"12"), ("c", b"13")):
        (tmp_path / folder / "inner").mkdir(parents=True)
        (tmp_path / folder / "inner" / "model.safetensors").write_bytes(content)
        (tmp_path / folder / "config.json").write_text(folder)
    assert weights_of(tmp_path / "a") == weights_of(tmp_path / "b") != weights_of(tmp_path / "c")
    assert weights_of(tmp_path / "nowhere") == {}


def test_the_page_says_which_run_ended_with_other_bytes() -> None:
    same = {
        "killed_after": [3, 7, 9],
        "resumed_from": [0, 4, 8],
        "files": 1,
        "sha256": "abc",
        "weights_equal": True,
        "logs_equal": True,
    }
    recipes = {"infonce": same, "clear": {**same, "weights_equal": False}}
    lines = page_text([], {"steps": 12, "save_steps": 4, "recipes": recipes}).splitlines()
    (good,) = [line for line in lines if line.startswith("| `infonce`")]
    (bad,) = [line for line in lines if line.startswith("| `clear`")]
    assert "| 3, 7, 9 | 0, 4, 8 | the same bytes | the same lines |" in good
    assert "**other bytes**" in bad
