"""From a recipe's words to terms and sources: every name and option is checked, and all faults come together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from isogloss.errors import DataError, Fault, RecipeError, did_you_mean, raise_faults
from isogloss.losses import TERMS, required_roles
from isogloss.recipe import Check, Recipe, load_recipe
from isogloss.training.objective import BoundTerm, Objective
from isogloss.training.sources import SOURCE_KINDS, Source, SourceContext
from isogloss.training.texts import TextTable

_TERM_FIELDS = ("term", "on", "weight")
_SOURCE_FIELDS = ("kind", "path", "batch")


def check_objective(content: Mapping[str, Any]) -> Iterable[Fault]:
    """Faults of the terms of a raw recipe: unknown names, unknown or unfit options."""
    objective = content.get("objective")
    for index, settings in enumerate(objective if isinstance(objective, list) else []):
        name = settings.get("term") if isinstance(settings, dict) else None
        if isinstance(name, str):
            yield from _faults(TERMS, name, settings, _TERM_FIELDS, f"objective[{index}]", "term")


def check_sources(content: Mapping[str, Any]) -> Iterable[Fault]:
    """Faults of the sources of a raw recipe: unknown kinds, unknown or unfit options."""
    sources = content.get("sources")
    for name, settings in (sources if isinstance(sources, dict) else {}).items():
        if isinstance(settings, dict):
            kind = settings.get("kind") or name
            yield from _faults(SOURCE_KINDS, str(kind), settings, _SOURCE_FIELDS, f"sources.{name}", "kind")


RECIPE_CHECKS: tuple[Check, ...] = (check_objective, check_sources)


def load_training_recipe(name_or_path: str, *, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe, checked down to the options of its terms and sources.

    Raises:
        RecipeError: With every fault.
    """
    return load_recipe(name_or_path, overrides=overrides, checks=RECIPE_CHECKS)


def bind_objective(recipe: Recipe) -> Objective:
    """The terms of a recipe, bound to their sources.

    Raises:
        RecipeError: If a term or option is unknown.
    """
    terms: list[BoundTerm] = []
    for settings in recipe.objective:
        term = _options(TERMS, settings.term, settings.options, "objective")
        name = f"{settings.term}({'+'.join(settings.sources)})"
        same = sum(bound.name.split("#")[0] == name for bound in terms)
        terms.append(BoundTerm(f"{name}#{same + 1}" if same else name, term, settings.sources, settings.weight))
    return Objective(terms)


def open_sources(recipe: Recipe, texts: TextTable, passage_text: Callable[[str, str], str]) -> dict[str, Source]:
    """The sources of a recipe, read.

    Raises:
        DataError: If files are faulty or give no rows, or languages are not in them.
        RecipeError: If a term needs a role that its sources do not have.
    """
    sources: dict[str, Source] = {}
    faults: list[Fault] = []
    for index, (name, settings) in enumerate(recipe.sources.items()):
        kind = _options(SOURCE_KINDS, settings.kind or name, settings.options, f"sources.{name}")
        context = SourceContext(name, index, recipe.train.seed, texts, passage_text)
        sources[name] = kind.open(settings, context)
        faults.extend(context.faults)
    raise_faults(DataError, "training data", faults, "Nothing was started.")
    return sources


def check_roles(objective: Objective, sources: Mapping[str, Source]) -> None:
    """Raises where a term needs roles that its sources do not have.

    Raises:
        RecipeError: With every such term.
    """
    faults = []
    for bound in objective.terms:
        there = {role for name in bound.sources for role in sources[name].roles}
        for role in (*required_roles(bound.term), *bound.teacher_roles):
            if role not in there:
                has = f"they have: {', '.join(sorted(there))}"
                faults.append(Fault(bound.name, f"needs '{role}', which its sources do not have", has))
    raise_faults(RecipeError, "objective", faults, "Nothing was started.")


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
