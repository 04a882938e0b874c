"""`--set key=value` on verbs that have settings but no recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from isogloss.cli.output import split_assignment
from isogloss.errors import Fault, UsageError, did_you_mean, raise_faults
from isogloss.recipe import read_yaml

Settings = TypeVar("Settings", bound=BaseModel)


def with_overrides(settings: Settings, overrides: Sequence[str] | None) -> Settings:
    """The settings with some values replaced.

    Args:
        settings: The defaults.
        overrides: Texts such as `dtype=float32`; the value is read as YAML.

    Raises:
        UsageError: With all overrides that do not fit.
    """
    known = type(settings).model_fields
    faults: list[Fault] = []
    values: dict[str, Any] = dict(settings)
    for override in overrides or ():
        key, value = split_assignment(override)
        if key in known:
            values[key] = read_yaml(value)
        else:
            faults.append(
                Fault(f"--set {override}", f"no setting{did_you_mean(key, known)}", f"has: {', '.join(known)}")
            )
    try:
        changed = type(settings).model_validate(values)
    except ValidationError as error:
        faults += [
            Fault(f"--set {'.'.join(map(str, problem['loc']))}", f"{problem['input']!r}: {problem['msg']}")
            for problem in error.errors()
        ]
        changed = settings
    raise_faults(UsageError, "--set", faults)
    return changed
