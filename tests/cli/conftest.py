"""One small world for all tests of the command line; each test gets a copy of it as its folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.worlds import World, run, write_beir, write_rows
from tests.conftest import save_sentence_transformer, static_modules


@pytest.fixture(scope="session")
def made_world(tmp_path_factory: pytest.TempPathFactory, tiny_static: Path) -> World:
    """The world that the tests copy; do not write into it."""
    folder = tmp_path_factory.mktemp("world")
    other = save_sentence_transformer(static_modules(seed=3), tmp_path_factory.mktemp("models") / "other")
    world = World(folder, tiny_static, other)
    write_beir(world / "set")
    write_rows(world / "rows.jsonl")
    for verb in (
        ("encode", world / "set", "--out", world / "bank", "--model", tiny_static),
        ("evaluate", tiny_static, "--data", world / "set", "--out", world / "scores"),
    ):
        result = run(*verb, "--json")
        assert result.exit_code == 0, result.output
    return world


@pytest.fixture
def world(made_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A copy of the world, which is the current folder."""
    folder = tmp_path / "world"
    shutil.copytree(made_world.folder, folder)
    monkeypatch.chdir(folder)
    return World(folder, made_world.model, made_world.other_model)
