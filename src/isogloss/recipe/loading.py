"""Reading a recipe: YAML in, every fault of it in one error with "did you mean".

What only a trainer knows (the terms and the kinds of sources) is checked by functions that the caller hands in, so that
this module needs no torch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from isogloss.errors import Fault, RecipeError, did_you_mean, raise_faults
from isogloss.files.yaml_text import read_yaml
from isogloss.recipe.model import KeepSettings, LoraSettings, ModelSettings, NewModelSettings
from isogloss.recipe.sections import EvaluateSettings, Expectation, Recipe, TeacherSettings, TrainSettings

Check = Callable[[Mapping[str, Any]], Iterable[Fault]]


def shipped_recipes() -> dict[str, Path]:
    """Names and files of the recipes that come with isogloss."""
    folder = Path(str(resources.files("isogloss") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def recipe_path(name_or_path: str | Path) -> Path:
    """The file behind a shipped name or a path.

    Raises:
        RecipeError: If it is neither.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    shipped = shipped_recipes()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    raise RecipeError(
        f"'{name_or_path}' is neither a file nor a shipped recipe{did_you_mean(str(name_or_path), shipped)}",
        next_step=f"Shipped are: {', '.join(shipped)}. `isogloss recipe show NAME > my.yaml` copies one.",
    )


def load_recipe(name_or_path: str | Path, *, overrides: Sequence[str] = (), checks: Sequence[Check] = ()) -> Recipe:
    """Reads a recipe and checks all of it.

    Args:
        name_or_path: Name of a shipped recipe, or path of a YAML file.
        overrides: Changes such as `train.max_steps=10`; the value is read as YAML, list items are named by number.
        checks: Further checks of the recipe's raw content, whose faults join ours.

    Raises:
        RecipeError: With every fault of the recipe.
    """
    path = recipe_path(name_or_path)
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        fault = Fault(where, str(getattr(error, "problem", None) or error))
        raise RecipeError(f"{path} is no YAML", faults=[fault], next_step="Mend it; nothing was started.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read: {error}", next_step="Give a YAML file in UTF-8.") from error
    return parse_recipe(content, where=str(name_or_path), overrides=overrides, checks=checks)


def parse_recipe(
    content: Any, *, where: str = "recipe", overrides: Sequence[str] = (), checks: Sequence[Check] = ()
) -> Recipe:
    """A recipe from what its YAML holds; see `load_recipe`."""
    faults: list[Fault] = []
    if not isinstance(content, dict):
        raise RecipeError(
            f"{where} holds no fields but {type(content).__name__}", next_step="See `isogloss recipe list`."
        )
    content = copy.deepcopy(content)
    for override in overrides:
        fault = _apply(content, override)
        if fault is not None:
            faults.append(fault)
    recipe = None
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        faults.extend(_fault(dict(problem)) for problem in error.errors())
    faults.extend(_unknown_sources(content))
    for check in checks:
        faults.extend(check(content))
    raise_faults(RecipeError, where, faults, "Nothing was started.")
    if recipe is None:
        raise RecipeError(f"{where} could not be read")
    return recipe


def _apply(content: dict[str, Any], override: str) -> Fault | None:
    """Sets one `a.b=c` in place; gives a fault where it does not fit."""
    name, equals, value = override.partition("=")
    if not equals or not name:
        return Fault(f"--set {override}", "has no '='", "write FIELD=VALUE, such as train.max_steps=100")
    try:
        parsed = read_yaml(value)
    except yaml.YAMLError:
        return Fault(f"--set {override}", f"'{value}' is no YAML value")
    place: Any = content
    *parents, last = name.split(".")
    for part in parents:
        step: Any = int(part) if isinstance(place, list) and part.isdigit() else part
        if isinstance(place, dict):
            place = place.setdefault(step, {})
        elif isinstance(place, list) and isinstance(step, int) and step < len(place):
            place = place[step]
        else:
            return Fault(f"--set {override}", f"'{part}' leads nowhere", "list items are named by number, from 0")
        if place is None:
            return Fault(f"--set {override}", f"'{part}' has no fields")
    if isinstance(place, dict):
        place[last] = parsed
    elif isinstance(place, list) and last.isdigit() and int(last) < len(place):
        place[int(last)] = parsed
    else:
        return Fault(f"--set {override}", f"'{last}' leads nowhere", "list items are named by number, from 0")
    return None


def _fault(problem: Mapping[str, Any]) -> Fault:
    """A pydantic problem in our words."""
    location = tuple(problem["loc"])
    where = place_name(location)
    if problem["type"] == "extra_forbidden":
        known = _fields_at(location[:-1])
        return Fault(where, f"is no field{did_you_mean(str(location[-1]), known)}", f"it has: {', '.join(known)}")
    if problem["type"] == "missing":
        return Fault(where, "is missing")
    message = str(problem["msg"]).removeprefix("Value error, ")
    value = problem.get("input")
    shown = "" if isinstance(value, (dict, list)) else f"{value!r}: "
    return Fault(where, shown + message[:1].lower() + message[1:])


def place_name(location: Iterable[str | int]) -> str:
    """A place in a recipe as one writes it: `objective[1].term`."""
    name = ""
    for part in location:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    return name


def _fields_at(location: Sequence[str | int]) -> list[str]:
    """Field names of the section at a place."""
    sections: dict[str, type[BaseModel]] = {
        "model": ModelSettings,
        "teacher": TeacherSettings,
        "train": TrainSettings,
        "evaluate": EvaluateSettings,
        "expect": Expectation,
    }
    within_model: dict[str, type[BaseModel]] = {
        "new": NewModelSettings,
        "lora": LoraSettings,
        "keep_of_start": KeepSettings,
    }
    section = sections.get(str(location[0]), Recipe) if location else Recipe
    if section is ModelSettings and len(location) > 1:
        section = within_model.get(str(location[1]), section)
    return list(section.model_fields)


def _unknown_sources(content: Mapping[str, Any]) -> Iterable[Fault]:
    """Terms that read a source which the recipe does not have."""
    sources, objective = content.get("sources"), content.get("objective")
    if not isinstance(sources, dict) or not isinstance(objective, list):
        return
    for index, term in enumerate(objective):
        on = term.get("on") if isinstance(term, dict) else None
        for name in [on] if isinstance(on, str) else on if isinstance(on, list) else []:
            if name not in sources:
                hint = did_you_mean(str(name), sources)
                yield Fault(f"objective[{index}].on", f"'{name}' is no source{hint}", f"it has: {', '.join(sources)}")
