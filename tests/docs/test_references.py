"""What the documentation names is there.

1. Every test file and every test function that a page names exists.
2. Each of the twenty pains names at least one test function.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT

PAINS = ROOT / "docs" / "explanation" / "pains.md"
_NAMED = re.compile(r"`(tests/[\w/]+(?:\.py)?)(?:::(\w+))?`")


def missing(text: str) -> list[str]:
    """What is named as a test and is none."""
    found = []
    for place, function in _NAMED.findall(text):
        path = ROOT / place
        if not path.exists() or (function and function not in functions(path)):
            found.append(f"{place}::{function}" if function else place)
    return found


def functions(path: Path) -> set[str]:
    """The functions of a test file."""
    return {node.name for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_tests_exist(page):
    assert missing(page.read_text("utf-8")) == []


def test_each_pain_names_a_test():
    rows = re.findall(r"^\| (\d+) \| .*$", PAINS.read_text("utf-8"), re.MULTILINE)
    assert rows == [str(number) for number in range(1, 21)]
    for line in PAINS.read_text("utf-8").splitlines():
        if re.match(r"\| \d+ \|", line):
            assert any(function for _, function in _NAMED.findall(line)), line[:60]


def test_a_name_that_is_none_is_found():
    assert missing("`tests/docs/test_references.py::test_nowhere`") == ["tests/docs/test_references.py::test_nowhere"]
    assert missing("`tests/docs/nowhere.py`") == ["tests/docs/nowhere.py"]
