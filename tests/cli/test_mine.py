"""`isogloss mine` does what the public function does.

1. What it wrote, `train` reads; with `--json` standard output is one object, and the estimate is on standard error.
2. All faults of its options come at once, without a traceback, and nothing is written.
"""

from __future__ import annotations

import pytest

from isogloss.datasets import read_rows
from tests.cli.worlds import answer, run, snapshot


def test_mine_and_train(world):
    options = ("--ranks", "1-9", "-n", "2", "--from", "any", "--fraction", "1.0", "--set", "near_duplicate=1.1")
    result = run(
        "mine", "rows.jsonl", "--bank", "bank", "--out", "mined.jsonl", "--model", world.model, *options, "--json"
    )
    found = answer(result)
    assert (found["rows"], found["written"], found["passages"]) == (12, 12, 9)
    assert "12 rows over 9 passages" in result.stderr
    assert any(row.negative_passages for row in read_rows(world / "mined.jsonl"))
    trained = run("train", *world.tuning, "--set", "sources.rows.path=mined.jsonl", "--out", "tuned", "--json")
    assert trained.exit_code == 0


def test_mine_tells_people_what_it_did(world):
    options = ("--ranks", "1-12", "--from", "same=2", "--from", "other", "-n", "3", "--model", world.model)
    result = run("mine", "rows.jsonl", "--out", "mined.jsonl", *options)
    assert result.exit_code == 0, result.output
    assert "Negative passages" in result.stdout
    assert "12 rows in" in result.stdout


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (("--ranks", "30", "--from", "same=x"), ("--ranks 30  is no window", "--from same=x  'x' is no number")),
        (("--ranks", "9-3", "--from", "xx-yy-zz", "-n", "0"), ("--ranks", "--from", "--negatives", "3 problems")),
        (("--for", "clean"), ("--for clean (allowed: retrieval, clear)",)),
        (("--set", "rank=3"), ("did you mean 'ranks'?",)),
        (("--fraction", "95"), ("--fraction",)),
        (("--bank", "bank", "--corpus", "set"), ("both a bank and a corpus",)),
    ],
)
def test_wrong_options(world, options, shown):
    before = snapshot(world.folder)
    result = run("mine", "rows.jsonl", "--out", "mined.jsonl", "--model", world.model, *options)
    assert result.exit_code == 2
    for part in shown:
        assert part in result.stderr
    assert snapshot(world.folder) == before


def test_a_dry_run_checks_and_writes_nothing(world):
    before = snapshot(world.folder)
    result = run("mine", "rows.jsonl", "--out", "mined.jsonl", "--model", world.model, "--dry-run", "--json")
    assert answer(result)["dry_run"] is True
    assert snapshot(world.folder) == before
