"""Every fenced block of the README and of the documentation.

1. A page's blocks run one after the other, as they stand there, over small files of the same names and layouts.
   Python is executed, commands are given to the program, recipes are checked. Training is cut to two steps, and on
   pages that train and mine a tiny model has the name `bundled`; the tutorial and all other pages have the package's.
2. What is not run says why, in a comment above it; there are few of those.
3. Every command, run or not, in a block or within a sentence, names a verb and options that exist.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from isogloss.files.yaml_text import read_yaml
from isogloss.models import bundled
from isogloss.recipe import parse_recipe
from isogloss.training.assembly import RECIPE_CHECKS
from tests.conftest import save_sentence_transformer, static_modules
from tests.docs.blocks import LANGUAGES, PAGES, ROOT, Block, blocks_of, inline_commands
from tests.docs.running import PageRun, matches, parse, program
from tests.docs.world import make_world

BLOCKS = {page: blocks_of(page) for page in PAGES}
RUN = [page for page, blocks in BLOCKS.items() if any(not block.not_run for block in blocks)]
ALL = [block for blocks in BLOCKS.values() for block in blocks]
MOST_NOT_RUN = 20
TUTORIAL = ROOT / "docs" / "tutorial.md"
_TRAINS = re.compile(r"^\$ isogloss (train|mine|generat)", re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def tiny_bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `bundled` is a tiny model."""
    folder = tmp_path_factory.mktemp("models")
    save_sentence_transformer(static_modules(), folder / "bundled")
    return folder


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_the_blocks_of_a_page_run(page, world, tiny_bundled, tmp_path, monkeypatch):
    if page != TUTORIAL and _TRAINS.search(page.read_text("utf-8")):
        monkeypatch.setattr(bundled, "__file__", str(tiny_bundled / "bundled.py"))
    for entry in world.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ISOGLOSS_DATA", str(tmp_path / "data"))
    with ExitStack() as stack:
        run = PageRun(tmp_path, stack)
        for block in BLOCKS[page]:
            if not block.not_run:
                run.run(block)
            if block.language == "yaml" and not block.not_run:
                content = read_yaml(block.code)
                assert "objective" in content, f"{block}: no recipe; say above it why it is not checked"
                parse_recipe(content, where=str(block), checks=RECIPE_CHECKS)


def test_blocks_are_of_a_known_kind():
    assert len(ALL) > 70
    assert [str(block) for block in ALL if block.language not in LANGUAGES] == []
    open_fences = [name_of(page) for page in PAGES if len(re.findall(r"^ *```", page.read_text("utf-8"), re.M)) % 2]
    assert open_fences == []


def test_what_is_not_run_says_why_and_is_little():
    skipped = {str(block): block.not_run for block in ALL if "not run" in block.comments}
    assert len(skipped) <= MOST_NOT_RUN, "\n".join(f"{place}: {reason}" for place, reason in skipped.items())
    assert [place for place, reason in skipped.items() if len(reason.split()) < 2] == []


def _command_lines() -> list[tuple[str, list[str]]]:
    found = []
    for block in ALL:
        if block.language == "console":
            found += [(str(block), command.words) for command in block.commands()]
        if block.language == "dockerfile":
            found += [(str(block), json.loads(line)) for line in re.findall(r"^CMD (\[.*\])$", block.code, re.M)]
        if block.language == "ini":
            found += [
                (str(block), line.split()) for line in re.findall(r"^ExecStart=\S*/(isogloss .*)$", block.code, re.M)
            ]
    return [(place, words[1:]) for place, words in found if words[0] == "isogloss"]


def test_every_command_can_be_parsed():
    lines = _command_lines()
    assert len(lines) > 75
    for place, arguments in lines:
        try:
            parse(arguments)
        except Exception as error:
            raise AssertionError(f"{place}: isogloss {' '.join(arguments)}: {error}") from error


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_within_sentences_name_what_there_is(page):
    for line in inline_commands(page):
        words = [word.strip("[],;…") for word in re.split(r"[\s=]+", line)][1:]
        for verb in _verbs(words):
            options = {name for option in verb.params for name in (*option.opts, *option.secondary_opts)}
            unknown = [word for word in words if re.match(r"-{1,2}[a-z]", word) and word not in options | {"--help"}]
            assert unknown == [], f"{name_of(page)}: `{line}`"


def _verbs(words: list[str]) -> list[object]:
    command = program()
    for word in words:
        if not hasattr(command, "commands") or not re.fullmatch(r"[a-z-]+", word):
            break
        assert word in command.commands, f"isogloss {' '.join(words)}: no verb '{word}'"
        command = command.commands[word]
    return [] if hasattr(command, "commands") else [command]


def test_the_checks_can_fail(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- not run: -->\n```console\n$ isogloss encode x --nowhere y\n```\n", encoding="utf-8")
    block = blocks_of(page)[0]
    assert block.comments == {"not run": ""}
    with pytest.raises(Exception, match="nowhere"):
        parse(block.commands()[0].words[1:])
    assert matches("1 … 3\n", "0\n1 2 3\n")
    assert not matches("1 … 3\n", "0\n1 2 4\n")
    broken = Block(ROOT / "README.md", 1, "python", "raise ValueError('seen')", {})
    with pytest.raises(ValueError, match="seen"):
        PageRun(tmp_path, ExitStack()).run(broken)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_the_unit_is_well_formed(tmp_path):
    (unit,) = (block.code for block in ALL if block.language == "ini" and "[Unit]" in block.code)
    (tmp_path / "isogloss.service").write_text(unit, encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "isogloss.service")]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if "isogloss.service:" in line]
    assert [
        line for line in lines if "is not executable" not in line
    ] == []  # the program is not installed in /opt here
    assert any("is not executable" in line for line in lines), done.stderr
