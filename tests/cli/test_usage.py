"""The surface of the program: help, version, settings, exit codes, and where messages go.

1. Help of every verb shows an example, and every example parses.
2. `--set` with an unknown key or a bad value is a usage error that names all of them and what is allowed.
3. Exit codes: 0 done, 1 failure, 2 usage, 3 gate missed, 130 stopped by hand.
4. Errors are text on standard error, and with `--json` also one JSON object on standard output; no tracebacks.
5. An exception that nobody foresaw is a bug: its traceback is not hidden.
6. Searching and encoding with a static model import no torch; where it is not installed, training names the extra.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import subprocess
import sys
from typing import Any

import pytest
import typer

from isogloss import __version__
from isogloss.cli.main import app
from tests.cli.worlds import answer, run, snapshot


def verbs(command: Any = None, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every verb of the program, those within groups too."""
    command = command or typer.main.get_command(app)
    below = getattr(command, "commands", None)
    return [before] if below is None else [verb for name, one in below.items() for verb in verbs(one, (*before, name))]


def example_of(*verb: str) -> list[str]:
    """The example in the help of a verb, as the shell would cut it, without the program's name."""
    result = run(*verb, "--help")
    assert result.exit_code == 0
    found = re.search(r"Example: isogloss (.*?)(?: > \S+)?\s*$", " ".join(result.stdout.split()))
    assert found, result.stdout
    return shlex.split(found[1])


@pytest.mark.parametrize("verb", verbs(), ids=" ".join)
def test_help_shows_an_example_that_parses(verb):
    arguments = example_of(*verb)
    assert tuple(arguments[: len(verb)]) == verb
    parse(arguments)


def parse(arguments: list[str]) -> None:
    """Parses a command without running it; a usage error is raised."""
    command, rest = typer.main.get_command(app), arguments
    while hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context(command.name, list(rest))


def test_help_lists_every_verb():
    shown = run("--help").stdout
    assert all(verb[0] in shown for verb in verbs())


def test_version():
    assert run("--version").stdout == f"isogloss {__version__}\n"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("dtyp=float32", "did you mean 'dtype'"),
        ("dtype=int8", "'float16' or 'float32'"),
        ("dtype=[", "no YAML value"),
        ("shard_size=0", "shard_size"),
        ("dtype", "no KEY=VALUE"),
        ("=float32", "no KEY=VALUE"),
    ],
)
def test_bad_settings_of_encode(world, override, said):
    result = run("encode", "set", "--out", "new", "--model", world.model, "--set", override)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert not (world / "new").exists()


def test_all_bad_settings_are_told_at_once(world):
    settings = ("--set", "dtyp=float32", "--set", "shard_size=none", "--set", "on_overflow")
    result = run("encode", "set", "--out", "new", "--model", world.model, *settings)
    assert result.exit_code == 2
    assert all(name in result.stderr for name in ("dtyp", "shard_size", "on_overflow", "3 problems"))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.learning_rte=1", "did you mean 'learning_rate'"),
        ("train.max_steps=many", "train.max_steps"),
        ("objective.0.term=infonse", "did you mean 'infonce'"),
        ("sources.rows.bathc=3", "sources.rows.bathc"),
        ("train", "has no '='"),
    ],
)
@pytest.mark.parametrize("verb", ["train", "check"])
def test_bad_settings_of_a_recipe(world, verb, override, said):
    command = ("train", *world.tuning, "--out", "new") if verb == "train" else ("recipe", "check", world.tuning[0])
    result = run(*command, "--set", override)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (world / "new").exists()


def test_a_faulty_recipe_is_a_failure_with_all_its_faults(world):
    (world / "mine.yaml").write_text("sources: {rows: {kind: nothing}}\nobjective: [{term: infonce, on: row}]\n")
    result = run("recipe", "check", "mine.yaml", "--set", "train.seed=1", "--json")
    assert result.exit_code == 1
    error = answer(result)["error"]
    assert error["type"] == "RecipeError"
    assert {fault["where"] for fault in error["faults"]} >= {"objective[0].on", "sources.rows.kind"}


@pytest.mark.parametrize(
    "command",
    [
        ("encode",),
        ("encode", "set", "--out", "new", "--nothing"),
        ("search", "bank", "query", "-k", "many"),
        ("nothing",),
        ("recipe", "show"),
        ("train", "english-query-tuning", "--out", "new", "--resume", "perhaps"),
        ("search", "bank", "query", "-k", "0", "--model", "MODEL"),
        ("search", "bank", "query", "--language", "klingon", "--language", "fr", "--model", "MODEL"),
        ("compare", "scores", "scores", "--data", "set", "--alpha", "2"),
    ],
)
def test_usage_errors_are_exit_code_two(world, command):
    before = snapshot(world.folder)
    result = run(*(world.model if part == "MODEL" else part for part in command))
    assert result.exit_code == 2
    assert result.stderr
    assert result.stdout == ""
    assert snapshot(world.folder) == before


def test_errors_are_json_for_programs(world):
    command = ("search", "bank", "query", "--language", "klingon", "--language", "fr", "--model", world.model)
    result = run(*command, "--json")
    error = answer(result)["error"]
    assert error["type"] == "UsageError"
    assert [fault["where"] for fault in error["faults"]] == ["language klingon", "language fr"]
    assert "de, en, ru" in error["next_step"]
    assert result.stderr == run(*command).stderr
    assert "klingon" in result.stderr


def failing(error: BaseException):
    def fail(*arguments: object, **options: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "bank"), 1, "Free space"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "bank"), 1, "ls -ld"),
        (OSError("the hub is closed"), 1, "the hub is closed"),
        (KeyboardInterrupt(), 130, "Stopped"),
    ],
)
def test_faults_of_the_system_have_no_traceback(world, monkeypatch, error, code, said):
    monkeypatch.setattr("isogloss.models.retriever.Retriever.load", failing(error))
    result = run("search", "bank", "query", "--json")
    assert result.exit_code == code
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert code == 130 or answer(result)["error"]["type"] == "FileError"


@pytest.mark.parametrize("verb", [("search", "bank", "query"), ("encode", "set", "--out", "new")])
def test_bugs_keep_their_traceback(world, monkeypatch, verb):
    monkeypatch.setattr("isogloss.models.retriever.Retriever.load", failing(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run(*verb)


SCRIPT = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "sentence_transformers", "accelerate"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

if sys.argv[1] == "blocked":
    sys.meta_path.insert(0, Block())
del sys.argv[1]
from isogloss.cli.main import main
try:
    main()
except SystemExit as end:
    heavy = {"torch", "transformers", "sentence_transformers", "datasets", "pyarrow", "huggingface_hub"}
    heavy &= set(sys.modules)
    sys.stderr.write(f"HEAVY {sorted(heavy)}")
    raise
"""


def run_script(mode: str, *command: object) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-c", SCRIPT, mode, *map(str, command)]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)


def test_searching_and_encoding_import_no_torch(world):
    for command in (("encode", "set", "--out", "new"), ("search", "new", "Река")):
        done = run_script("free", *command, "--model", world.model)
        assert done.returncode == 0, done.stderr
        assert done.stderr.endswith("HEAVY []")
        assert done.stdout


@pytest.mark.parametrize("verb", ["train", "demo"])
def test_training_without_torch_names_the_extra(world, verb):
    command = world.tuning if verb == "train" else ("--data", "set", "--model", world.model)
    done = run_script("blocked", verb, *command, "--out", "new")
    assert done.returncode == 1
    assert "pip install 'isogloss[train]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (world / "new").exists()
