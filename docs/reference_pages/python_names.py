"""The pages of the Python API: the public names of each package, in the words of their docstrings."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from fields import first_words

PACKAGES = {
    "isogloss": "What most scripts need.",
    "isogloss.records": "Texts, rows and evaluation sets.",
    "isogloss.datasets": "Readers of public benchmarks and training data.",
    "isogloss.languages": "Language tags and scripts.",
    "isogloss.evaluation": "Measures, the language matrix, significance and comparison.",
    "isogloss.evaluation.language_report": "The report of `isogloss report`.",
    "isogloss.indexing": "Search in a folder or on a server.",
    "isogloss.training": "Recipes into models.",
    "isogloss.training.mining": "Hard negatives.",
    "isogloss.training.sources": "Where training texts come from.",
    "isogloss.losses": "Losses as pure functions, and the terms that bind them.",
    "isogloss.generation": "Query generators.",
    "isogloss.recipe": "Reading and checking recipes.",
    "isogloss.files": "Plain files in and out.",
    "isogloss.errors": "What is raised.",
}
_NOT_NAMES = ("__version__",)


def name_pages() -> dict[str, str]:
    """Place to text: one page a package, and the list of them."""
    index = [
        "# Python API",
        "Made from the docstrings when this site is built. Names are imported on first use: `import isogloss` "
        "needs neither torch nor transformers.",
        "\n".join(f"- [`{name}`]({name}.md): {text}" for name, text in PACKAGES.items()),
    ]
    pages = {"reference/api/index.md": "\n\n".join(index) + "\n"}
    described: set[str] = set()
    for package in reversed(PACKAGES):  # a name is described where it is at home; `isogloss` itself points there
        pages[f"reference/api/{package}.md"] = _page(package, described)
    return pages


def public_names(package: str) -> list[str]:
    """The public names of a package: its `__all__`, or the classes and functions that it defines."""
    module = importlib.import_module(package)
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return [name for name in listed if name not in _NOT_NAMES]
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == package]
    return [name for name in own if not name.startswith("_")]


def _page(package: str, described: set[str]) -> str:
    homes = {name: _home(package, name) for name in public_names(package)}
    new = [home for home in homes.values() if home not in described]
    parts = [f"# `{package}`", first_words(importlib.import_module(package))]
    elsewhere = [f"[`{name}`][{home}]" for name, home in homes.items() if home in described]
    if elsewhere:
        parts.append(f"Described elsewhere: {', '.join(elsewhere)}.")
    described.update(new)
    return "\n\n".join([*parts, *(f"::: {home}" for home in new)]) + "\n"


def _home(package: str, name: str) -> str:
    """Where a name is defined, so that its docstring is found without following imports."""
    value: Any = getattr(importlib.import_module(package), name)
    defined = inspect.isclass(value) or inspect.isfunction(value)
    return f"{value.__module__}.{value.__qualname__}" if defined else f"{package}.{name}"
