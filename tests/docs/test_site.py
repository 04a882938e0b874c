"""The site and its generated reference.

1. It builds in strict mode: no broken link, no page outside the navigation, no docstring that cannot be read.
2. A reader's browser is sent to no other host.
3. The reference says something of every field, option and public name; `--set` is described for every verb that has it.
4. Examples in docstrings are right.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from isogloss.losses import TERMS
from isogloss.recipe.sections import SourceSettings, TermSettings
from isogloss.training.sources import SOURCE_KINDS

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "reference_pages"))
commands, fields, python_names, recipes = map(
    importlib.import_module, ("commands", "fields", "python_names", "recipes")
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_no_other_host_is_asked(site):
    asked = re.compile(r"""(?:src|srcset)=["']?(?:https?:)?//|<link[^>]+href=["']?(?:https?:)?//|url\(["']?https?://""")
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 30
    assert [page.name for page in pages if asked.search(page.read_text("utf-8"))] == []


def test_every_page_of_the_reference_is_there(site):
    for place in ("commands", "recipes", "api/isogloss", "api/isogloss.losses", "shipped-recipes"):
        text = (site / "reference" / place / "index.html").read_text("utf-8")
        assert "</article>" in text
    assert "mini_batch_tokens" in (site / "reference" / "recipes" / "index.html").read_text("utf-8")
    assert "encode_query" in (site / "reference" / "api" / "isogloss" / "index.html").read_text("utf-8")


def described_classes() -> Iterator[type[Any]]:
    for _, cls in (*recipes.SECTIONS, *recipes.GENERATOR_SECTIONS):
        yield cls
    yield from (*TERMS.values(), *SOURCE_KINDS.values(), SourceSettings, TermSettings)
    for found in commands.SETTINGS.values():
        yield from () if isinstance(found, str) else found


@pytest.mark.parametrize("cls", dict.fromkeys(described_classes()), ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_every_field_says_what_it_means(cls):
    assert [field.name for field in fields.documented(cls) if not field.meaning] == []
    known = set(cls.model_fields if issubclass(cls, BaseModel) else cls.__dataclass_fields__)
    assert set(fields.attribute_meanings(cls)) <= known, "words on a field that is no more"


def test_a_field_without_words_would_be_found():
    class Silent(BaseModel):
        """Nothing of its field."""

        silent: int = 1

    assert [field.meaning for field in fields.documented(Silent)] == [""]


@pytest.mark.parametrize(("name", "command"), commands.commands(), ids=lambda value: value if value is str else "")
def test_every_option_says_what_it_does(name, command):
    assert [option.name for option in command.params if not option.help] == []
    assert ("--set" in [word for option in command.params for word in option.opts]) == (name in commands.SETTINGS)


@pytest.mark.parametrize("package", python_names.PACKAGES)
def test_every_public_name_says_what_it_is(package):
    module = importlib.import_module(package)
    silent = [
        name
        for name in python_names.public_names(package)
        if (inspect.isclass(value := getattr(module, name)) or inspect.isfunction(value)) and not inspect.getdoc(value)
    ]
    assert silent == []


def _modules_with_examples() -> list[str]:
    runs = re.compile(r"^ *>>> (?!.*doctest: \+SKIP)", re.MULTILINE)  # a bank or an index is not there to be opened
    sources = [path for path in (ROOT / "src").rglob("*.py") if runs.search(path.read_text("utf-8"))]
    parts = [path.relative_to(ROOT / "src").with_suffix("").parts for path in sorted(sources)]
    return [".".join(part for part in names if part != "__init__") for names in parts]


@pytest.mark.parametrize("name", _modules_with_examples())
def test_examples_in_docstrings_are_right(name):
    failed, tried = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried > 0
    assert failed == 0
