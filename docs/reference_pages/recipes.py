"""The pages of all recipe fields: sections, kinds of sources, terms, and the recipes that come with isogloss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fields import field_table, first_words

from isogloss.generation import settings as generator
from isogloss.generation.recipe import shipped_generator_recipes
from isogloss.losses import TERMS
from isogloss.recipe import model, sections, shipped_recipes
from isogloss.training.sources import SOURCE_KINDS

SECTIONS: tuple[tuple[str, type[Any]], ...] = (
    ("The whole", sections.Recipe),
    ("`model`", model.ModelSettings),
    ("`model.new`", model.NewModelSettings),
    ("`model.lora`", model.LoraSettings),
    ("`model.keep_of_start`", model.KeepSettings),
    ("`teacher`", sections.TeacherSettings),
    ("`train`", sections.TrainSettings),
    ("`evaluate`, each", sections.EvaluateSettings),
    ("`expect`, each", sections.Expectation),
)
GENERATOR_SECTIONS: tuple[tuple[str, type[Any]], ...] = (
    ("The whole", generator.GeneratorRecipe),
    ("`model`", generator.ModelSettings),
    ("`model.new`", generator.NewGeneratorSettings),
    ("`rows`", generator.RowsSettings),
    ("`train`", generator.GeneratorTrainSettings),
)


def recipe_pages() -> dict[str, str]:
    """Place to text."""
    return {
        "reference/recipes.md": _fields_page(),
        "reference/generator-recipes.md": _generator_page(),
        "reference/shipped-recipes.md": _shipped_page(),
    }


def _fields_page() -> str:
    parts = [
        "# Fields of a recipe",
        "Made from the code when this site is built. `isogloss recipe check FILE` names every fault at once, "
        "`--set a.b=value` changes one field; items of lists are named by number, as in `objective.0.weight=0.5`. "
        "The [shipped recipes](shipped-recipes.md) are examples.",
        *(_section(title, cls) for title, cls in SECTIONS),
        "## `sources`: a name each, with the fields of its kind",
        first_words(sections.SourceSettings),
        field_table(sections.SourceSettings),
        *(_section(f"`kind: {name}`", cls, level=3) for name, cls in SOURCE_KINDS.items()),
        "## `objective`: a list of terms",
        first_words(sections.TermSettings),
        field_table(sections.TermSettings),
        *(_term(name, cls) for name, cls in TERMS.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _generator_page() -> str:
    head = (
        "# Fields of a generator's recipe\n\nOf `isogloss generator train`; see [how to](../how-to/query-generator.md)."
    )
    return "\n\n".join([head, *(_section(title, cls) for title, cls in GENERATOR_SECTIONS)]) + "\n"


def _shipped_page() -> str:
    parts = ["# Shipped recipes", "`isogloss recipe show NAME` prints one; copy it to change it."]
    for name, path in shipped_recipes().items():
        parts.append(_verbatim(name, path))
    parts.append("# Shipped recipes of generators")
    parts += [_verbatim(name, path) for name, path in shipped_generator_recipes().items()]
    return "\n\n".join(parts) + "\n"


def _verbatim(name: str, path: Path) -> str:
    return f"## {name}\n\n```yaml\n{path.read_text('utf-8').rstrip()}\n```"


def _section(title: str, cls: type[Any], level: int = 2) -> str:
    return f"{'#' * level} {title}\n\n{first_words(cls)}\n\n{field_table(cls)}"


def _term(name: str, cls: type[Any]) -> str:
    roles = ", ".join(f"`{role}`" for role in cls.roles)
    optional = ", ".join(f"`{role}`" for role in cls.optional_roles)
    reads = f"Reads {roles}" + (f"; where rows have them, {optional}." if optional else ".")
    return f"### `term: {name}`\n\n{first_words(cls)} {reads}\n\n{field_table(cls)}"
