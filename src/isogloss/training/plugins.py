"""Terms and kinds of sources from files of the user's own, which a recipe names under `plugins`.

A plugin is a Python file: it is code, and it runs with the rights of whoever starts the recipe. It is named by path
alone, so that a recipe reaches nothing that does not lie beside it as a file, and its hash is part of the run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from isogloss.errors import Fault
from isogloss.losses import TERMS
from isogloss.training.sources import SOURCE_KINDS

# What a file of Python can raise while it is read, beyond what ends the process.
_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Registries:
    """What a recipe may name.

    Attributes:
        terms: Terms by name, ours and those of plugins.
        kinds: Kinds of sources by name, likewise.
        faults: What is wrong with the plugins.
    """

    terms: Mapping[str, type[Any]]
    kinds: Mapping[str, type[Any]]
    faults: Sequence[Fault] = field(default=())


def registries(plugins: Sequence[str]) -> Registries:
    """Our terms and kinds of sources, and those that the plugins add."""
    terms, kinds = dict(TERMS), dict(SOURCE_KINDS)
    faults: list[Fault] = []
    for index, path in enumerate(plugins):
        where = f"plugins[{index}]"
        module = _module(Path(path), where, faults)
        if module is None:
            continue
        own = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__]
        found = 0
        for cls in own:
            for attribute, registry in (("name", terms), ("kind", kinds)):
                name = cls.__dict__.get(attribute)
                if isinstance(name, str) and _is_sound(cls, name, registry, where, faults):
                    registry[name] = cls
                found += isinstance(name, str)
        if not found:
            faults.append(Fault(where, f"{path} has no term", "a frozen dataclass under @term(NAME, roles=(…))"))
    return Registries(terms, kinds, tuple(faults))


def _module(path: Path, where: str, faults: list[Fault]) -> ModuleType | None:
    """The file as a module, read once however often a recipe is checked."""
    if path.suffix != ".py" or not path.is_file():
        faults.append(Fault(where, f"{path} is no Python file", f"relative paths start in {Path.cwd()}"))
        return None
    name = ""
    try:
        name = f"isogloss_plugin_{path.stem}_{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
        if name in sys.modules:
            return sys.modules[name]
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        # Dataclasses look up the names in their annotations there.
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except _FAILURES as error:
        sys.modules.pop(name, None)
        faults.append(Fault(where, f"{path} fails: {type(error).__name__}: {error}"))
        return None
    return module


def _is_sound(cls: type, name: str, registry: Mapping[str, Any], where: str, faults: list[Fault]) -> bool:
    if not dataclasses.is_dataclass(cls):
        faults.append(Fault(where, f"{cls.__name__} is no dataclass", "@dataclass(frozen=True) below @term"))
    elif registry.get(name) not in (None, cls):
        faults.append(Fault(where, f"the name '{name}' is taken", f"taken are: {', '.join(registry)}"))
    else:
        return True
    return False
