"""Recipes of query generators: the shipped ones, and reading one with all its faults at once."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from yaml import YAMLError

from isogloss.errors import Fault, RecipeError, did_you_mean, raise_faults
from isogloss.files import open_text
from isogloss.files.yaml_text import read_yaml
from isogloss.generation.prompts import Prompt
from isogloss.generation.settings import (
    GeneratorRecipe,
    GeneratorTrainSettings,
    ModelSettings,
    NewGeneratorSettings,
    RowsSettings,
)
from isogloss.recipe import place_name

_SECTIONS: dict[tuple[str, ...], type[BaseModel]] = {
    (): GeneratorRecipe,
    ("model",): ModelSettings,
    ("model", "new"): NewGeneratorSettings,
    ("rows",): RowsSettings,
    ("train",): GeneratorTrainSettings,
}


def shipped_generator_recipes() -> dict[str, Path]:
    """Names and files of the generator recipes that come with isogloss."""
    folder = Path(str(resources.files("isogloss") / "recipes" / "generators"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_generator_recipe(name_or_path: str | Path, *, overrides: Sequence[str] = ()) -> GeneratorRecipe:
    """Reads the recipe of a generator and checks all of it.

    Args:
        name_or_path: Name of a shipped recipe, or path of a YAML file.
        overrides: Changes such as `train.max_steps=10`; the value is read as YAML.

    Raises:
        RecipeError: With every fault of the recipe.
        UsageError: If its prompt is none.
    """
    path = _recipe_path(name_or_path)
    with open_text(path) as stream:
        try:
            content = read_yaml(stream.read())
        except (YAMLError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path} is no YAML: {error}", next_step="Mend it; nothing was started.") from error
    if not isinstance(content, dict):
        raise RecipeError(
            f"{path} holds no fields", next_step=f"Shipped are: {', '.join(shipped_generator_recipes())}."
        )
    faults = [fault for override in overrides if (fault := _apply(content, override)) is not None]
    recipe = None
    try:
        recipe = GeneratorRecipe.model_validate(content)
    except ValidationError as error:
        faults += [_fault(dict(problem)) for problem in error.errors()]
    raise_faults(RecipeError, str(name_or_path), faults, "Nothing was started.")
    if recipe is None:
        raise RecipeError(f"{name_or_path} could not be read")
    Prompt(recipe.model.template)
    return recipe


def _recipe_path(name_or_path: str | Path) -> Path:
    shipped = shipped_generator_recipes()
    path = Path(name_or_path)
    if path.is_file():
        return path
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    raise RecipeError(
        f"'{name_or_path}' is neither a file nor a generator recipe{did_you_mean(str(name_or_path), shipped)}",
        next_step=f"Shipped are: {', '.join(shipped)}.",
    )


def _apply(content: dict[str, Any], override: str) -> Fault | None:
    """Sets one `a.b=c` in place; gives a fault where it does not fit."""
    name, equals, value = override.partition("=")
    where = f"--set {override}"
    if not equals or not name:
        return Fault(where, "has no '='", "write FIELD=VALUE, such as train.max_steps=100")
    try:
        parsed = read_yaml(value)
    except YAMLError:
        return Fault(where, f"'{value}' is no YAML value")
    place: Any = content
    *parents, last = name.split(".")
    for part in parents:
        place = place.setdefault(part, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            return Fault(where, f"'{part}' has no fields")
    place[last] = parsed
    return None


def _fault(problem: dict[str, Any]) -> Fault:
    location = tuple(problem["loc"])
    where = place_name(location)
    if problem["type"] == "extra_forbidden":
        known = list(_SECTIONS.get(tuple(map(str, location[:-1])), GeneratorRecipe).model_fields)
        return Fault(where, f"is no field{did_you_mean(str(location[-1]), known)}", f"it has: {', '.join(known)}")
    if problem["type"] == "missing":
        return Fault(where, "is missing")
    message = str(problem["msg"]).removeprefix("Value error, ")
    shown = "" if isinstance(problem.get("input"), (dict, list)) else f"{problem.get('input')!r}: "
    return Fault(where, shown + message[:1].lower() + message[1:])
