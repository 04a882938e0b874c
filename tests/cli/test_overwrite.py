"""What `--overwrite` replaces is what the same verb wrote, and nothing else.

1. The current folder, one that holds it, a model, a bank, runs and a person's files stay, and an error says why.
2. A folder of the same kind is replaced, unless the same command reads it.
3. Empty names and paths and bytes that are no UTF-8 are refused by name, before anything is started.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.worlds import answer, run


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_other_folders_stay(world):
    documents = world / "documents"
    documents.mkdir()
    (documents / "diary.txt").write_text("dear diary")
    mixed = shutil.copytree(world / "scores", world / "mixed")
    (mixed / "notes.txt").write_text("mine")
    shutil.copytree(world.model, world / "model")
    before = files_of(world.folder)
    evaluate = ("evaluate", world.model, "--data", "set", "--pairs", "same", "--overwrite", "--json")
    for out, said in (
        (".", "current folder"),
        ("..", "current folder"),
        ("documents", "scores.json"),
        ("bank", "scores.json"),
        ("set", "scores.json"),
        ("model", "scores.json"),
        ("mixed", "notes.txt"),
    ):
        result = run(*evaluate, "--out", out)
        assert result.exit_code == 1, out
        assert said in answer(result)["error"]["message"]
    report = run("report", "scores", "--data", "set", "--out", "scores", "--overwrite", "--json")
    assert "report.json" in answer(report)["error"]["message"]
    merge = run("merge", world.model, world.model, "--out", "documents", "--overwrite", "--json")
    assert "modules.json" in answer(merge)["error"]["message"]
    assert files_of(world.folder) == before


def test_what_a_command_reads_stays(world):
    shutil.copytree(world.model, world / "model")
    shutil.copytree(world / "set", world / "scores" / "runs" / "set.trec.gz")
    before = files_of(world.folder)
    for command in (
        ("merge", "model", world.model, "--out", "model"),
        ("merge", "model", world.model, "--out", "model", "--dry-run"),
        ("data", "get", "./set", "--out", "set"),
        ("evaluate", world.model, "--data", "set", "--out", "set/../set"),
        ("evaluate", world.model, "--data", "set", "--bank", "bank", "--out", "bank"),
        ("report", "scores", "--data", "set", "--out", "scores"),
    ):
        result = run(*command, "--overwrite", "--json")
        assert result.exit_code == 1, command
        assert "cannot replace" in answer(result)["error"]["message"]
    (world / "model" / "diary.txt").write_text("dear diary")
    result = run("merge", world.model, world.model, "--out", "model", "--overwrite")
    assert "beside a model it holds diary.txt" in result.stderr
    (world / "model" / "diary.txt").unlink()
    assert files_of(world.folder) == before
    assert run("merge", world.model, world.model, "--out", "model", "--overwrite").exit_code == 0


def test_a_folder_of_the_same_kind_is_replaced(world):
    evaluate = ("evaluate", world.model, "--data", "set", "--out", "scores", "--overwrite", "--json")
    assert run(*evaluate, "--pairs", "de-ru").exit_code == 0
    assert [path.name for path in (world / "scores" / "runs").iterdir()] == ["de-ru.trec.gz"]
    for _ in range(2):
        assert run("report", "scores", "--data", "set", "--out", "audit", "--overwrite").exit_code == 0
        assert run("merge", world.model, world.model, "--out", "merged", "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("encode", "", "--out", "new"), "corpus  is empty"),
        (("encode", "set", "--model", "", "--out", "new"), "--model  is empty"),
        (("encode", "set", "--out", ""), "--out  is empty"),
        (("encode", "set", "--out="), "--out  is empty"),
        (("evaluate", "bundled", "--data", "set", "--out", "", "--overwrite"), "--out  is empty"),
        (("merge", "bundled", "", "--out", "new"), "models  is empty"),
        (("data", "get", "set", "--out", "", "--overwrite"), "--out  is empty"),
        (("train", "english-query-tuning", "--out", ""), "--out  is empty"),
        (("evaluate", "", "--data", "", "--out", "new"), "data  is empty"),
        (("search", "bank", "ab\udcff"), "ab\\udcff"),
        (("encode", "set", "--model", "m\udcff", "--out", "new"), "not UTF-8"),
    ],
)
def test_names_that_are_none(world, command, said):
    before = files_of(world.folder)
    result = run(*command)
    assert result.exit_code == 2
    assert said in result.stderr
    assert files_of(world.folder) == before


def test_empty_texts_that_are_defaults_are_none_too_many(world):
    assert run("encode", "set", "--model", world.model, "--ray", "", "--out", "new", "--dry-run").exit_code == 0
