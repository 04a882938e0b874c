"""The fenced blocks of a page, and what its comments say of them.

<!-- not run: a reason -->      the block is only checked for verbs and options that exist
<!-- file: name.yaml -->        the block is that file of the page's folder
<!-- printed -->                what the block's last command prints is compared with what stands there
<!-- setup: `$ command` -->     a command that the page leaves out, run before the next block
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = ("python", "console", "yaml", "text", "json", "ini", "dockerfile")
_FENCE = re.compile(
    r"(?P<comments>(?:^[ ]*<!--[^\n]*-->\n)*)^(?P<indent>[ ]*)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=indent)```",
    re.DOTALL | re.MULTILINE,
)
_COMMENT = re.compile(r"<!--\s*(not run|file|printed|setup)(?::\s*(.*?))?\s*-->")
_INLINE = re.compile(r"(?<!`)`(isogloss [a-z][^`\n]*)`(?!`)")


@dataclass(frozen=True)
class Command:
    """A command of a console block and what stands below it."""

    line: str
    printed: str

    @property
    def words(self) -> list[str]:
        """The command as the shell cuts it, without what the page leaves out."""
        return [word for word in shlex.split(self.line, comments=True) if word != "…"]


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    page: Path
    line: int
    language: str
    code: str
    comments: dict[str, str]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def not_run(self) -> str:
        """Why it is not run; empty where it is."""
        return self.comments.get("not run", "")

    def commands(self) -> list[Command]:
        """The commands of a console block: what follows `$`, with its continued lines."""
        found: list[Command] = []
        line, printed, going_on = "", [], False
        for text in self.code.splitlines():
            if going_on or text.startswith("$ "):
                if not going_on and line:
                    found.append(Command(line, "\n".join(printed)))
                    line, printed = "", []
                line += text.removeprefix("$ ").rstrip("\\").strip() + " "
                going_on = text.endswith("\\")
            else:
                printed.append(text)
        return [*found, Command(line, "\n".join(printed))] if line else found


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    text = page.read_text("utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        indent = len(fence["indent"])
        code = "".join(line[indent:] if line.strip() else line for line in fence["code"].splitlines(keepends=True))
        comments = {kind: words or "" for kind, words in _COMMENT.findall(fence["comments"])}
        line = text.count("\n", 0, fence.start("code"))
        found.append(Block(page, line, fence["language"], code, comments))
    return found


def inline_commands(page: Path) -> list[str]:
    """Commands between single backticks in running text."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    return _INLINE.findall(text)
