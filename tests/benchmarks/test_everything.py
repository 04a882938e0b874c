"""One command runs every benchmark of speed.

1. Each command has the arguments that its benchmark takes, and each benchmark of speed is there.
2. What others need is made first, and once.
3. What cannot run is skipped with the reason, and so is what needs it; what fails does not keep the rest from running.
4. A dry run prints the commands and runs nothing.
5. Results of another processor stay, for a mark goes into the names.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.everything import Step, chosen, run_all, steps

from benchmarks import __main__ as command_line
from benchmarks import harness

ROOT = Path(__file__).parents[2]
OWN_PARSER = ("scale", "kills", "real_corpus")
NO_SPEED = ("bundled_scores", "hybrid_scores", "seen_in_training")
NO_BENCHMARK = ("__init__", "__main__", "bars", "everything", "harness", "page", "real_corpus")


def step(name: str, *, result: bool = True, **more) -> Step:
    return Step(name, (f"benchmarks.{name}",), name if result else "", **more)


def ran(some: list[Step], tmp_path: Path, fails: str = "no such word", **more) -> tuple[int, list[list[str]]]:
    commands: list[list[str]] = []

    def run(command) -> int:
        commands.append(list(command)[2:])
        return int(any(fails in word for word in command))

    (tmp_path / "results").mkdir()
    code = run_all(some, tmp_path / "results", tmp_path / "docs", run=run, **more)
    return code, commands


def test_the_arguments_are_those_of_the_benchmarks(tmp_path: Path):
    for one in steps(tmp_path / "data", tmp_path / "work"):
        package, _, name = one.words[0].partition(".")
        if package != "benchmarks" or name in OWN_PARSER:
            continue
        module = pytest.importorskip(one.words[0])
        given = harness._parser(module.BENCHMARK).parse_args(one.command(tmp_path, "")[3:])
        assert given.out == tmp_path / f"{one.result}.json" or not one.result


@pytest.mark.parametrize("name", OWN_PARSER)
def test_the_arguments_of_those_with_their_own_parser(name: str, tmp_path: Path):
    command = [sys.executable, "-m", f"benchmarks.{name}", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    for one in steps(tmp_path / "data", tmp_path / "work"):
        if one.words[0] == f"benchmarks.{name}":
            assert all(word in said for word in one.command(tmp_path, "")[3:] if word.startswith("--"))


def test_each_benchmark_of_speed_is_there(tmp_path: Path):
    modules = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - {*NO_SPEED, *NO_BENCHMARK}
    assert modules == {one.name for one in steps(tmp_path, tmp_path) if one.result}
    for name in modules:
        assert importlib.util.find_spec(f"benchmarks.{name}")


def test_what_others_need_comes_first(tmp_path: Path):
    known = steps(tmp_path / "data", tmp_path / "work")
    before: set[str] = set()
    for one in known:
        assert set(one.needs) <= before
        before.add(one.name)
    assert [one.name for one in chosen(known, ["index_million"])] == ["corpus", "bank", "million", "index_million"]
    (tmp_path / "work" / "million").mkdir(parents=True)
    assert [one.name for one in chosen(known, ["index_million"])] == ["index_million"]
    assert {one.result for one in chosen(known, ["training_step"])} == {"training_step", "training_step_128"}
    with pytest.raises(ValueError, match="no benchmark: nothing"):
        chosen(known, ["nothing"])


def test_what_is_made_is_not_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "corpus").mkdir()
    some = [step("corpus", result=False, leaves=tmp_path / "corpus"), step("search", needs=("corpus",))]
    code, commands = ran(some, tmp_path)
    assert (code, [words[0] for words in commands]) == (0, ["benchmarks.search"])
    assert f"skipped: corpus: {tmp_path / 'corpus'} is there" in capsys.readouterr().out


def test_skipped_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    some = [
        step("peerless", packages=("no_such_module",)),
        step("dataless", data=(tmp_path / "nowhere",)),
        step("elsewhere", refused=lambda: "there is no GPU"),
        step("later", needs=("dataless",)),
        step("search"),
    ]
    code, commands = ran(some, tmp_path)
    assert (code, [words[0] for words in commands]) == (0, ["benchmarks.search"])
    said = capsys.readouterr().out
    for words in (
        "peerless: not installed: no_such_module",
        f"dataless: not there: {tmp_path / 'nowhere'}",
        "elsewhere: there is no GPU",
        "later: it needs dataless: not there",
    ):
        assert words in said
    assert (tmp_path / "docs" / "speed.md").is_file()


def test_a_failure_does_not_end_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    some = [step("broken"), step("later", needs=("broken",)), step("search")]
    code, commands = ran(some, tmp_path, fails="broken")
    assert (code, [words[0] for words in commands]) == (1, ["benchmarks.broken", "benchmarks.search"])
    said = capsys.readouterr()
    assert "later: it needs broken: it failed" in said.out and "failed: broken" in said.err


def test_a_mark_goes_into_the_names(tmp_path: Path):
    _, commands = ran([step("search")], tmp_path, mark="zen4")
    assert commands == [["benchmarks.search", "--out", str(tmp_path / "results" / "search_zen4.json")]]


def test_a_dry_run_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    given = ["all", "--data", str(tmp_path / "data"), "--work", str(tmp_path / "work"), "--dry-run"]
    assert command_line.main([*given, "--docs", str(tmp_path / "docs"), "--only", "exact_search", "start_up"]) == 0
    said = capsys.readouterr().out
    assert "-m benchmarks.start_up" in said and "--rounds 5" in said
    assert not (tmp_path / "work").exists() and not (tmp_path / "docs").exists()
    with pytest.raises(SystemExit):
        command_line.main([*given, "--only", "nothing"])
