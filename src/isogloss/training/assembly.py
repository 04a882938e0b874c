"""From a recipe's words to terms and sources: every name and option is checked, and all faults come together."""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from isogloss.errors import DataError, Fault, FileError, RecipeError, did_you_mean, raise_faults
from isogloss.files import check_file
from isogloss.recipe import Check, Recipe, load_recipe, shipped_recipes
from isogloss.training.objective import BoundTerm, Objective
from isogloss.training.plugins import Registries, registries
from isogloss.training.sources import Source, SourceContext
from isogloss.training.sources.apart import Apart
from isogloss.training.texts import TextTable

_TERM_FIELDS = ("term", "on", "weight")
_SOURCE_FIELDS = ("kind", "path", "batch")


def check_objective(content: Mapping[str, Any]) -> Iterable[Fault]:
    """Faults of the terms of a raw recipe: unknown names, unknown or unfit options, terms that need another."""
    terms = _registries(content).terms
    objective = content.get("objective")
    listed = [one for one in objective if isinstance(one, dict)] if isinstance(objective, list) else []
    for index, settings in enumerate(listed):
        name = settings.get("term")
        if isinstance(name, str):
            yield from _faults(terms, name, settings, _TERM_FIELDS, f"objective[{index}]", "term")
    yield from _alone(terms, listed)


def _alone(terms: Mapping[str, type[Any]], listed: Sequence[Mapping[str, Any]]) -> Iterable[Fault]:
    """Terms that may make all vectors alike without another one that keeps them apart."""
    counted = {str(settings.get("term")) for settings in listed if settings.get("weight", 1.0)}
    for index, settings in enumerate(listed):
        name = str(settings.get("term"))
        needed = getattr(terms.get(name), "needs_beside", None)
        if name in counted and needed is not None and needed not in counted and settings.get("force") is not True:
            yield Fault(
                f"objective[{index}]",
                f"'{name}' without '{needed}' is at its best where all vectors are alike",
                f"add {needed} with a weight above 0, or force: true",
            )


def check_plugins(content: Mapping[str, Any]) -> Iterable[Fault]:
    """Faults of the files that a raw recipe takes terms from."""
    yield from _registries(content).faults


def _registries(content: Mapping[str, Any]) -> Registries:
    plugins = content.get("plugins")
    return registries([path for path in plugins if isinstance(path, str)] if isinstance(plugins, list) else [])


def check_sources(content: Mapping[str, Any]) -> Iterable[Fault]:
    """Faults of the sources of a raw recipe: unknown kinds, unknown or unfit options."""
    kinds = _registries(content).kinds
    sources = content.get("sources")
    for name, settings in (sources if isinstance(sources, dict) else {}).items():
        if isinstance(settings, dict):
            kind = settings.get("kind") or name
            yield from _faults(kinds, str(kind), settings, _SOURCE_FIELDS, f"sources.{name}", "kind")


RECIPE_CHECKS: tuple[Check, ...] = (check_plugins, check_objective, check_sources)


def load_training_recipe(name_or_path: str, *, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe, checked down to the options of its terms and sources.

    Raises:
        RecipeError: With every fault.
    """
    return load_recipe(name_or_path, overrides=overrides, checks=RECIPE_CHECKS)


def bind_objective(recipe: Recipe) -> Objective:
    """The terms of a recipe, bound to their sources.

    Raises:
        RecipeError: If a term or option is unknown, a plugin is faulty, or a term needs another.
    """
    known = registries(recipe.plugins)
    faults = [*known.faults, *_alone(known.terms, [settings.model_dump() for settings in recipe.objective])]
    raise_faults(RecipeError, "objective", faults, "Nothing was started.")
    terms: list[BoundTerm] = []
    for settings in recipe.objective:
        term = _options(known.terms, settings.term, settings.options, "objective")
        name = f"{settings.term}({'+'.join(settings.sources)})"
        same = sum(bound.name.split("#")[0] == name for bound in terms)
        terms.append(BoundTerm(f"{name}#{same + 1}" if same else name, term, settings.sources, settings.weight))
    return Objective(terms, dimensions=recipe.dimensions)


def check_dimensions(recipe: Recipe, dimension: int) -> None:
    """Checks that nested dimensions fit a model, and that all of it is trained.

    Raises:
        RecipeError: If the largest of them is not the model's own.
    """
    if recipe.dimensions and max(recipe.dimensions) != dimension:
        listed = ", ".join(map(str, recipe.dimensions))
        fault = Fault("dimensions", f"{listed}: the largest is not that of the model", f"{dimension} and smaller ones")
        raise_faults(RecipeError, "recipe", [fault], "Nothing was started.")


def open_sources(
    recipe: Recipe, texts: TextTable, passage_text: Callable[[str, str], str], apart: Apart | None = None
) -> dict[str, Source]:
    """The sources of a recipe, read, without the texts that are kept apart.

    Raises:
        DataError: If files are faulty or give no rows, or languages are not in them.
        FileError: With all files that are not there.
        RecipeError: If a term needs a role that its sources do not have.
    """
    kinds = registries(recipe.plugins).kinds
    sources: dict[str, Source] = {}
    faults: list[Fault] = []
    for index, (name, settings) in enumerate(recipe.sources.items()):
        kind = _options(kinds, settings.kind or name, settings.options, f"sources.{name}")
        context = SourceContext(
            name, index, recipe.train.seed, texts, passage_text, opened=dict(sources), apart=apart or Apart()
        )
        try:
            sources[name] = kind.open(settings, context)
        except FileError:
            _name_missing_files(recipe)
            raise
        faults.extend(context.faults)
    raise_faults(DataError, "training data", faults, "Nothing was started.")
    return sources


def _name_missing_files(recipe: Recipe) -> None:
    """Raises with every file of a source that is not there, by its field of the recipe; a pattern is no file."""
    missing = [
        (f"sources.{name}.path", path)
        for name, settings in recipe.sources.items()
        for path in settings.paths
        if not glob.has_magic(path) and not Path(path).exists()
    ]
    if not missing:
        return
    shipped = [load_recipe(path) for path in shipped_recipes().values()]
    placeholders = {path for one in shipped for settings in one.sources.values() for path in settings.paths}
    faults = []
    for field, path in missing:
        try:
            check_file(path)
        except FileError as error:
            stands_for = f"there is no file {path}, which in the shipped recipes stands for a file of yours"
            faults.append(Fault(field, stands_for if path in placeholders else error.message))
    names = dict.fromkeys(field for field, _ in missing)
    given = " ".join(f"--set {field}=FILE" for field in names)
    raise_faults(FileError, "training data", faults, f"Give your own: {given}. Nothing was started.")


def check_roles(objective: Objective, sources: Mapping[str, Source]) -> None:
    """Raises where a term needs roles or values that its sources do not have.

    Raises:
        RecipeError: With every such term, and every one that would compare a row with nothing.
    """
    faults: list[Fault] = []
    for bound in objective.terms:
        faults.extend(_without_negatives(bound, sources))
        there = {role for name in bound.sources for role in sources[name].roles}
        for role in (*bound.roles, *bound.teacher_roles):
            if role not in there:
                has = f"they have: {', '.join(sorted(there))}"
                faults.append(Fault(bound.name, f"needs '{role}', which its sources do not have", has))
        values = {value for name in bound.sources for value in getattr(sources[name], "value_names", ())}
        for value in bound.value_names:
            if value not in values:
                has = f"they have: {', '.join(sorted(values)) or 'none'}"
                faults.append(Fault(bound.name, f"needs the values '{value}', which no row has", has))
    raise_faults(RecipeError, "objective", faults, "Nothing was started.")


def _without_negatives(bound: BoundTerm, sources: Mapping[str, Source]) -> Iterable[Fault]:
    """A fault where a term would be 0 in every step: one row, and nothing that it could be told from."""
    count = getattr(bound.term, "negatives", None)
    rows = sum(sources[name].batch for name in bound.sources)
    given = any(role.startswith("negative") for name in bound.sources for role in sources[name].roles)
    if count is not None and rows == 1 and not given and int(count(rows, 0)) == 0:
        message = "would learn nothing: a step has 1 row, without a negative to tell its passage from"
        yield Fault(bound.name, message, "2 rows or more, in a batch of 2 or more, or rows with negative passages")


def _faults(
    registry: Mapping[str, type[Any]],
    name: str,
    settings: Mapping[str, Any],
    own: Sequence[str],
    where: str,
    field: str,
) -> Iterable[Fault]:
    if name not in registry:
        known = f"known are: {', '.join(registry)}"
        yield Fault(f"{where}.{field}", f"'{name}' is no {field}{did_you_mean(name, registry)}", known)
        return
    options = {key: value for key, value in settings.items() if key not in own}
    known_options = [option.name for option in dataclasses.fields(registry[name])]
    for option in options:
        if option not in known_options:
            hint = did_you_mean(str(option), known_options)
            yield Fault(f"{where}.{option}", f"is no option of '{name}'{hint}", f"it has: {', '.join(known_options)}")
    try:
        TypeAdapter(registry[name]).validate_python({key: options[key] for key in options if key in known_options})
    except ValidationError as error:
        for problem in error.errors():
            place = ".".join(str(part) for part in problem["loc"])
            yield Fault(f"{where}.{place}", f"{problem['input']!r}: {problem['msg'][:1].lower()}{problem['msg'][1:]}")


def _options(registry: Mapping[str, type[Any]], name: str, options: Mapping[str, Any], where: str) -> Any:
    faults = list(_faults(registry, name, options, (), where, "name"))
    raise_faults(RecipeError, where, faults, "Nothing was started.")
    return TypeAdapter(registry[name]).validate_python(dict(options))
