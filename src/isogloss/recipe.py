"""A recipe is a run: one YAML file that states model, data, objective, optimiser, evaluation and expected scores.

All faults of a recipe come in one `RecipeError`. What only a trainer knows (the terms and the kinds of sources) is
checked by functions that the caller hands in, so that this module needs no torch.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from isogloss.errors import Fault, RecipeError, did_you_mean, raise_faults

Check = Callable[[Mapping[str, Any]], Iterable[Fault]]


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars: `on` is a field, `no` is Norwegian, and 2e-5 is a number."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.[0-9]+[eE][-+]?[0-9]+)$"),
    list("-+.0123456789"),
)


def read_yaml(text: str) -> Any:
    """What a YAML text holds, read by the rules of YAML 1.2 for words and numbers.

    Raises:
        yaml.YAMLError: If it is no YAML.
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of the safe loader


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _OpenSection(BaseModel):
    """A section whose further fields belong to a term or to a kind of source, which checks them."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @property
    def options(self) -> dict[str, Any]:
        """The fields that this section itself does not know."""
        return dict(self.model_extra or {})


class NewModelSettings(_Section):
    """A static model made from nothing but texts: its vocabulary, and random vectors to begin with.

    Attributes:
        parallel: Files with many languages a line, or two-column files; patterns may be given.
        rows: Files of training rows.
        languages: Languages whose texts make the vocabulary.
        favoured: Those of them that weigh `favour` times as much as others.
        favour: That factor.
        english: Weight of English.
        dimension: Length of a vector.
        whole_words: Words with a vector of their own.
        pieces: Pieces for all other words and for unspaced scripts.
        least_count: Words seen less often than this make no difference.
        characters_per_file: Most characters that are read of a language in one file.
        longest: Most characters of a text.
        seed: Of the sample and the random vectors.
    """

    parallel: list[str]
    rows: list[str] = Field(default_factory=list)
    languages: list[str] = Field(min_length=1)
    favoured: list[str] = Field(default_factory=list)
    favour: float = Field(default=4.0, gt=0)
    english: float = Field(default=5.0, gt=0)
    dimension: int = Field(default=256, ge=2)
    whole_words: int = Field(default=30_000, ge=1)
    pieces: int = Field(default=30_000, ge=100)
    least_count: int = Field(default=3, ge=1)
    characters_per_file: int = Field(default=400_000, ge=1)
    longest: int = Field(default=700, ge=1)
    seed: int = Field(default=13, ge=0)

    def weights(self) -> dict[str, float]:
        """Weight of each language that has one."""
        return {**dict.fromkeys(self.favoured, self.favour), "en": self.english}


class ModelSettings(_Section):
    """Which retriever is trained, and what of it.

    Attributes:
        base: Path or name of a model; `bundled` is the one that comes with isogloss, `new` one made by `new`.
        new: What a new model is made from.
        precision: `float16` halves the folder of a static model when it is saved.
        towers: `shared` trains one encoder for both roles, `separate` two, `frozen_passage` the query tower alone.
        passages_from: `bank` reads the vectors of frozen passages instead of computing them.
        bank: Folder of that bank.
    """

    base: str = "bundled"
    new: NewModelSettings | None = None
    precision: Literal["as_is", "float16"] = "as_is"
    towers: Literal["shared", "separate", "frozen_passage"] = "shared"
    passages_from: Literal["tower", "bank"] = "tower"
    bank: str | None = None

    @model_validator(mode="after")
    def _new_fits(self) -> ModelSettings:
        if (self.base == "new") != (self.new is not None):
            raise ValueError("base: new and the section 'new' belong together")
        return self

    @model_validator(mode="after")
    def _bank_fits(self) -> ModelSettings:
        if self.passages_from == "bank" and self.bank is None:
            raise ValueError("passages_from: bank needs 'bank', the folder of the passages' vectors")
        if self.passages_from == "bank" and self.towers != "frozen_passage":
            raise ValueError(f"passages_from: bank needs towers: frozen_passage, not '{self.towers}'")
        return self


class TeacherSettings(_Section):
    """Where a teacher's vectors come from.

    Attributes:
        model: Path or name of the teacher, which encodes what its bank does not hold.
        bank: Folder with the teacher's vectors.
        projection: `pca` turns the teacher's vectors into the student's dimension where that is smaller.
    """

    model: str | None = None
    bank: str | None = None
    projection: Literal["none", "pca"] = "none"

    @model_validator(mode="after")
    def _has_one(self) -> TeacherSettings:
        if self.model is None and self.bank is None:
            raise ValueError("a teacher needs 'model' or 'bank'")
        return self


class SourceSettings(_OpenSection):
    """A stream of training texts; the kind of the source says which further fields it has.

    Attributes:
        kind: Kind of the source; the name of the source where it is left out.
        path: File or files.
        batch: Rows of each step, over all processes.
    """

    kind: str | None = None
    path: str | list[str] | None = None
    batch: int = Field(default=64, ge=1)

    @property
    def paths(self) -> tuple[str, ...]:
        """The files, always as a tuple."""
        if self.path is None:
            return ()
        return (self.path,) if isinstance(self.path, str) else tuple(self.path)


class TermSettings(_OpenSection):
    """One term of the objective; the term says which further fields it has.

    Attributes:
        term: Name of the loss.
        on: Source or sources whose rows it reads.
        weight: Its weight in the sum.
    """

    term: str
    on: str | list[str]
    weight: float = Field(default=1.0, ge=0.0)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources, always as a tuple."""
        return (self.on,) if isinstance(self.on, str) else tuple(self.on)


class TrainSettings(_Section):
    """Optimisation, under the names of Hugging Face's training arguments, and the few fields of ours.

    Attributes:
        mini_batch_tokens: Most tokens (padding counted) that a forward pass holds at once; memory follows it, results
            do not.
        mini_batch_size: Most texts that a forward pass holds at once.
        gather_across_devices: Whether the rows of all processes are negatives of each other.
        dropout: Whether dropout is on in the trained towers.
        freeze: Regular expressions over parameter names; a match is not trained.
        sparse_embeddings: Gradients of static token tables hold the rows of the step alone; with `optim: sparse_adam`
            only those rows are updated.
        bf16: `auto` computes in bfloat16 where a GPU does; weights stay in float32.
    """

    learning_rate: float = Field(default=2e-5, gt=0)
    max_steps: int | None = Field(default=None, ge=1)
    num_train_epochs: float = Field(default=1.0, gt=0)
    warmup_steps: int = Field(default=0, ge=0)
    warmup_ratio: float = Field(default=0.0, ge=0, lt=1)
    lr_scheduler_type: str = "linear"
    lr_scheduler_kwargs: dict[str, float] = Field(default_factory=dict)
    optim: str = "adamw_torch"
    optim_args: str | None = None
    weight_decay: float = Field(default=0.0, ge=0)
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    max_grad_norm: float = Field(default=0.0, ge=0)
    bf16: Literal["auto", "always", "never"] = "auto"
    gradient_checkpointing: bool = False
    seed: int = Field(default=13, ge=0)
    logging_steps: int = Field(default=50, ge=1)
    save_strategy: Literal["steps", "no"] = "steps"
    save_steps: int = Field(default=500, ge=1)
    save_total_limit: int | None = Field(default=2, ge=1)
    report_to: str | list[str] = "none"
    mini_batch_tokens: int | None = Field(default=None, ge=1)
    mini_batch_size: int | None = Field(default=None, ge=1)
    gather_across_devices: bool = True
    dropout: bool = True
    freeze: list[str] = Field(default_factory=list)
    sparse_embeddings: bool = False


class EvaluateSettings(_Section):
    """One evaluation after training."""

    data: str
    pairs: list[str] = Field(default_factory=lambda: ["same", "to-en", "from-en"])
    measures: list[str] = Field(default_factory=lambda: ["nDCG@10"])


class Expectation(_Section):
    """A score that the run should reach."""

    value: float
    tolerance: float = Field(default=0.01, ge=0)


class Recipe(_Section):
    """A whole run.

    Paths in it are relative to the folder that the run is started in.
    """

    description: str = ""
    model: ModelSettings = Field(default_factory=ModelSettings)
    teacher: TeacherSettings | None = None
    sources: dict[str, SourceSettings] = Field(min_length=1)
    objective: list[TermSettings] = Field(min_length=1)
    train: TrainSettings = Field(default_factory=TrainSettings)
    evaluate: list[EvaluateSettings] = Field(default_factory=list)
    expect: dict[str, Expectation] = Field(default_factory=dict)

    def to_yaml(self) -> str:
        """The recipe with every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def digest(self) -> str:
        """Hash over everything that changes what a run computes: neither logging nor saving nor evaluation does."""
        content = self.model_dump(mode="json", exclude={"description", "evaluate", "expect"})
        for field in ("logging_steps", "save_strategy", "save_steps", "save_total_limit", "report_to"):
            content["train"].pop(field)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


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
    section = sections.get(str(location[0]), Recipe) if location else Recipe
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
