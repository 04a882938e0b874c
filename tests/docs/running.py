"""Runs the blocks of a page, one after the other, in one folder and one Python namespace."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from isogloss.cli.main import app
from tests.docs.blocks import Block, Command

# Many steps say nothing that two of them do not say, and few texts have few ranks.
FEW = {
    "mine": (
        "ranks=[1,12]",
        "query_ranks=[1,12]",
        "negatives=2",
        "negative_queries=2",
        "near_duplicate=2",
        "fraction=null",
    ),
    "train": ("train.max_steps=2", "train.logging_steps=1", "train.save_strategy=no", "train.warmup_steps=0"),
    "generator train": ("train.max_steps=2", "train.eval_steps=1", "train.save_steps=2", "train.warmup_steps=0"),
    # A generator of two steps writes nothing that a filter would keep.
    "generate": (
        "queries_per_language=1",
        "max_new_tokens=6",
        "round_trip_k=0",
        "language_filter=false",
        "duplicate_filter=false",
    ),
    "evaluate": ("resamples=20",),
    "report": ("resamples=20",),
}
SHELL = ("curl", "head", "ls", "cat", "mkdir", "cp")
_PORT = re.compile(r"\b8000\b")


class PageRun:
    """One page in one folder."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._names: dict[str, Any] = {"__name__": "__page__"}
        self._port = ""

    def run(self, block: Block) -> None:
        """Runs a block, or writes it where it is a file.

        Raises:
            AssertionError: With the block's place and what was printed, if it fails.
        """
        if "setup" in block.comments:
            self._command(block, Command(block.comments["setup"].strip("`").removeprefix("$ "), ""), exact=False)
        if "file" in block.comments:
            (self.folder / block.comments["file"]).write_text(block.code, encoding="utf-8")
        elif block.language == "python":
            exec(compile(self._here(block.code), str(block), "exec"), self._names)  # noqa: S102
        elif block.language == "console":
            commands = block.commands()
            assert commands, f"{block}: no line begins with '$ '"
            for command in commands:
                self._command(block, command, exact="printed" in block.comments)

    def _here(self, text: str) -> str:
        """The text with the port that the page's service was given."""
        return _PORT.sub(self._port, text) if self._port else text

    def _command(self, block: Block, command: Command, *, exact: bool) -> None:
        words = command.words
        if words[0] == "isogloss" and words[1] == "serve":
            self._stack.enter_context(self._serving(words))
            return
        if words[0] == "isogloss":
            code, printed = _invoke(with_few_steps(words[1:]))
        else:
            assert words[0] in SHELL, f"{block}: {words[0]} is not run here; say why above the block"
            line = ["bash", "-euo", "pipefail", "-c", self._here(command.line)]
            done = subprocess.run(line, capture_output=True, text=True, cwd=self.folder)
            code, printed = done.returncode, done.stdout + done.stderr
        assert (code != 0) == _shows_a_fault(command.printed), (
            f"{block}: exit code {code} of {' '.join(words)}\n{printed}"
        )
        if exact and command.printed:
            assert matches(command.printed, printed), f"{block}: it printed\n{printed}"

    @contextmanager
    def _serving(self, words: list[str]) -> Any:
        """The service of the page, on a port that is free here."""
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self._port = str(found.getsockname()[1])
        arguments = [self._port if word == "8000" else word for word in words[1:]]
        process = subprocess.Popen(
            [sys.executable, "-m", "isogloss", *arguments], cwd=self.folder, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(f"http://127.0.0.1:{self._port}/health", process)
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)


def with_few_steps(arguments: list[str]) -> list[str]:
    """The arguments of a command, with fewer steps and ranks than the page has."""
    verb = " ".join(arguments[:2]) if arguments[0] == "generator" else arguments[0]
    return arguments + [word for setting in FEW.get(verb, ()) for word in ("--set", setting)]


@lru_cache(maxsize=1)
def program() -> Any:
    """The program, built once: a hundred commands are parsed with it."""
    return typer.main.get_command(app)


def parse(arguments: list[str]) -> None:
    """Parses a command without running it.

    Raises:
        click.UsageError: If the verb, an option or an argument is none.
    """
    command, rest = program(), arguments
    while hasattr(command, "commands"):
        assert rest and rest[0] in command.commands, f"isogloss {' '.join(arguments)}: no such verb"
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context(command.name, list(rest))


def matches(wanted: str, printed: str) -> bool:
    """Whether the lines of a page stand in what was printed, in order; `…` in them stands for anything."""
    place = 0
    lines = [line.rstrip() for line in printed.splitlines()]
    for line in filter(None, map(str.rstrip, wanted.splitlines())):
        pattern = re.compile(".*".join(map(re.escape, line.split("…"))) + "$")
        found = next((number for number in range(place, len(lines)) if pattern.match(lines[number])), None)
        if found is None:
            return False
        place = found + 1
    return True


def _shows_a_fault(printed: str) -> bool:
    """Whether a command may fail: the page shows its fault."""
    return re.search(r"^\S.*: \d+ problems?$", printed, re.MULTILINE) is not None


def _invoke(arguments: list[str]) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "the service ended"
        try:
            with urllib.request.urlopen(address):  # noqa: S310
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{address} does not answer")
