"""From what a user has to the method that fits, as a recipe that keeps the comments of the shipped one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from isogloss.errors import Fault, UsageError, raise_faults
from isogloss.recipe.editing import Path as Place
from isogloss.recipe.editing import with_value, without
from isogloss.recipe.loading import shipped_recipes
from isogloss.recipe.model import ModelSettings

Labels = Literal["english", "many", "none"]
BUNDLED = ModelSettings().base
GPU_BASE = "intfloat/multilingual-e5-small"
GPU_MINI_BATCH = 128
# Of the bundled static model and of a transformer; ours, but where the recipe says otherwise.
RATES = {
    "english-query-tuning": (1e-4, 4e-8),
    "clear": (1e-3, 5e-5),
    "language-agnostic": (1e-3, 2e-5),
    "retrofit": (1e-3, 2e-5),
    "query-generator-student": (1e-3, 2e-5),
}


@dataclass(frozen=True)
class Possessions:
    """What a user has.

    Attributes:
        labels: Languages of the labelled rows.
        rows: Files of labelled rows: a question and a passage that answers it.
        parallel: Files of translations.
        plain: Files of plain text.
        translated_queries: Files of English rows with their question in another language.
        generated: Files of rows with a query generator's scores and queries.
        keep_index: Bank of passage vectors that must stay what they are.
        base: Model to begin from; empty takes the bundled one, or a small transformer where there is a GPU.
        gpu: Whether there is a GPU to train on.
    """

    labels: Labels = "english"
    rows: tuple[str, ...] = ()
    parallel: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    translated_queries: tuple[str, ...] = ()
    generated: tuple[str, ...] = ()
    keep_index: str = ""
    base: str = ""
    gpu: bool = False


@dataclass(frozen=True)
class Choice:
    """The method for what a user has.

    Attributes:
        recipe: Name of the shipped recipe.
        why: Why it is this one.
        text: The recipe as YAML, comments included.
        notes: What is not used, and what to do before or after.
    """

    recipe: str
    why: str
    text: str
    notes: tuple[str, ...]


def choose(has: Possessions) -> Choice:
    """The method that fits, and its recipe over the user's files.

    Raises:
        UsageError: With everything that is missing or does not exist, or where nothing can be learned from.
    """
    recipe, why = _method(has)
    faults = list(_faults(has, recipe))
    raise_faults(UsageError, f"The method would be '{recipe}'", faults, "Nothing was written.")
    static, transformer = RATES[recipe]
    base = has.base or (GPU_BASE if has.gpu and not has.keep_index else BUNDLED)
    edits: dict[Place, Any] = {
        ("model", "base"): base,
        ("train", "learning_rate"): static if base == BUNDLED else transformer,
        **_paths(has, recipe),
    }
    if base != BUNDLED:
        edits["train", "mini_batch_size"] = GPU_MINI_BATCH if has.gpu else 32
    text = shipped_recipes()[recipe].read_text(encoding="utf-8")
    for place, value in edits.items():
        text = with_value(text, place, value)
    for place in _superfluous(has, recipe):
        text = without(text, place)
    return Choice(recipe, why, text, tuple(_notes(has, recipe)))


def _method(has: Possessions) -> tuple[str, str]:
    if has.keep_index:
        return "english-query-tuning", "the index must stay, so that only the query tower may change"
    if has.translated_queries:
        return "clear", "English passages with translated questions teach both directions at once"
    if has.generated:
        return "query-generator-student", "a query generator's scores and queries stand in for labels"
    if has.parallel:
        return "language-agnostic", "translations carry English labels to other languages"
    if has.labels == "many":
        return "retrofit", "labels in many languages with mined negatives are the strongest signal"
    return "english-query-tuning", "English labels alone tune the query tower and harm no stored vector"


def _faults(has: Possessions, recipe: str) -> Iterator[Fault]:
    if has.labels == "none" and not (has.parallel or has.translated_queries or has.generated):
        yield Fault(
            "--labels none",
            "there is nothing to learn from",
            "labelled rows (--rows), translations (--parallel), or questions made by `isogloss generate` (--generated)",
        )
    elif has.labels != "none" and not has.rows and recipe not in ("clear", "query-generator-student"):
        yield Fault("--rows", "is missing: the files of the labels")
    if has.plain and not has.parallel:
        yield Fault("--plain", "needs --parallel: plain text says nothing without translations beside it")
    named = {
        "--rows": has.rows,
        "--parallel": has.parallel,
        "--plain": has.plain,
        "--translated-queries": has.translated_queries,
        "--generated": has.generated,
        "--keep-index": (has.keep_index,) if has.keep_index else (),
    }
    for option, paths in named.items():
        for path in paths:
            if not Path(path).exists():
                yield Fault(option, f"there is no {path}")


def _paths(has: Possessions, recipe: str) -> dict[Place, Any]:
    if recipe == "language-agnostic":
        found = {"labels": has.rows, "pairs": has.parallel, "plain": has.plain}
    else:
        found = {
            "rows": {"clear": has.translated_queries, "query-generator-student": has.generated}.get(recipe, has.rows)
        }
    edits: dict[Place, Any] = {
        ("sources", source, "path"): paths[0] if len(paths) == 1 else list(paths)
        for source, paths in found.items()
        if paths
    }
    if recipe == "language-agnostic" and has.labels == "many":
        edits["sources", "labels", "batch_language"] = "one"
    if has.keep_index:
        edits["model", "passages_from"] = "bank"
        edits["model", "bank"] = has.keep_index
    return edits


def _superfluous(has: Possessions, recipe: str) -> Iterator[Place]:
    """Parts of the recipe that need what the user does not have, the last ones first."""
    if recipe != "language-agnostic":
        return
    if not has.plain:
        yield "objective", 2
    if has.labels == "none":
        yield "objective", 0
    if not has.plain:
        yield "sources", "plain"
    if has.labels == "none":
        yield "sources", "labels"
    elif has.labels == "many":
        yield "sources", "labels", "languages"


def _notes(has: Possessions, recipe: str) -> Iterator[str]:
    used = {
        "english-query-tuning": ("rows",),
        "clear": ("translated_queries",),
        "query-generator-student": ("generated",),
        "language-agnostic": ("rows", "parallel", "plain"),
        "retrofit": ("rows",),
    }[recipe]
    for name in ("rows", "parallel", "plain", "translated_queries", "generated"):
        if getattr(has, name) and name not in used:
            yield f"--{name.replace('_', '-')} is not used by this method."
    if recipe == "retrofit":
        yield "It wants hard negatives: isogloss mine ROWS --model STRONG --out mined.jsonl, then --rows mined.jsonl."
    if recipe == "english-query-tuning" and not has.keep_index:
        yield "With an index at hand, --keep-index BANK reads the passages' vectors from it and saves their encoding."
    if recipe == "clear":
        yield "It learns more where rows have negative_passages and negative_queries; `isogloss mine` finds the former."
