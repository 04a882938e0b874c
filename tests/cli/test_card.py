"""`isogloss card` writes where it is told, and nothing on a dry run."""

from __future__ import annotations

import shutil

from tests.cli.worlds import answer, run, snapshot


def test_the_card_of_a_model_says_what_evaluate_found(world):
    shutil.copytree(world.model, world / "mine")
    before = snapshot(world / "mine")
    arguments = ("card", "mine", "--report", "scores", "--licence", "apache-2.0")
    assert answer(run(*arguments, "--dry-run", "--json"))["dry_run"] is True
    assert snapshot(world / "mine") == before
    found = answer(run(*arguments, "--json"))
    assert (found["languages"], found["missing"]) == (["de", "en", "ru"], ["training data", "how to rebuild"])
    changed = {name for name, state in snapshot(world / "mine").items() if state != before.get(name)}
    assert changed == {"README.md"}
    assert "| ru Russian |" in (world / "mine" / "README.md").read_text(encoding="utf-8")


def test_a_shipped_model_is_never_written_into(world):
    refused = run("card", "bundled", "--report", "scores")
    assert refused.exit_code == 2
    assert "--out" in refused.stderr
    assert run("card", "bundled", "--report", "scores", "--out", "card.md").exit_code == 0
    assert (world / "card.md").is_file()
