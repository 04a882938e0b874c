"""`--set key=value` on verbs that have settings but no recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from yaml import YAMLError

from isogloss.errors import Fault, UsageError, did_you_mean, raise_faults
from isogloss.files.yaml_text import read_yaml

Settings = TypeVar("Settings", bound=BaseModel)


def with_overrides(settings: Settings, overrides: Sequence[str] | None) -> Settings:
    """The settings with some values replaced.

    Args:
        settings: The defaults.
        overrides: Texts such as `dtype=float32`; the value is read as YAML.

    Raises:
        UsageError: With all overrides that do not fit.
    """
    faults: list[Fault] = []
    values: dict[str, Any] = dict(settings)
    for override in overrides or ():
        found = _read(override, list(values))
        if isinstance(found, Fault):
            faults.append(found)
        else:
            values |= found
    try:
        changed = type(settings).model_validate(values)
    except ValidationError as error:
        faults += [
            Fault(f"--set {'.'.join(map(str, problem['loc']))}", f"{problem['input']!r}: {problem['msg']}")
            for problem in error.errors()
        ]
        changed = settings
    raise_faults(UsageError, "--set", faults, "Nothing was started.")
    return changed


def _read(override: str, known: Sequence[str]) -> dict[str, Any] | Fault:
    """The key and value of one override, or what is wrong with it."""
    key, equals, value = (part.strip() for part in override.partition("="))
    where = f"--set {override}"
    if not equals or not key:
        return Fault(where, "is no KEY=VALUE", f"such as {known[0]}=…")
    if key not in known:
        return Fault(where, f"'{key}' is no setting{did_you_mean(key, known)}", f"there are: {', '.join(known)}")
    try:
        return {key: read_yaml(value)}
    except YAMLError:
        return Fault(where, f"'{value}' is no YAML value")
