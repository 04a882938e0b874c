"""What an experiment is: arms that are trained, sets that they are measured on, and the contrasts that decide.

In every path and override `{data}` stands for the folder of the data, `{work}` for the experiment's own folder and
`{seed}` for the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

MEASURE = "nDCG@10"
UNTRAINED = "untrained"
SCALAR_END = "\n...\n"

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Workspace:
    """Where an experiment finds its data and leaves its own files.

    Attributes:
        data: Folder with `train`, `parallel` and `retrieval`.
        work: The experiment's folder.
    """

    data: Path
    work: Path

    def fill(self, text: str, seed: int | None = None) -> str:
        """The text with its places filled in; other braces stay, since YAML has them too."""
        values = {"{data}": str(self.data), "{work}": str(self.work)}
        if seed is not None:
            values["{seed}"] = str(seed)
        for place, value in values.items():
            text = text.replace(place, value)
        return text


def as_overrides(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Fields of a recipe and their values as the overrides of an arm, each value as YAML on one line."""
    written = {field: yaml.safe_dump(value, default_flow_style=True, width=10_000) for field, value in fields.items()}
    # YAML ends a lone scalar with a line of dots.
    return tuple(f"{field}={value.removesuffix(SCALAR_END).strip()}" for field, value in written.items())


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        name: Its name in tables.
        words: What it is, for a reader.
        recipe: A shipped recipe, or the path of one.
        overrides: Changes of the recipe; `train.seed` is added.
        rate_of: Arm whose chosen value this one takes, where it has too little to choose by; itself where empty.
    """

    name: str
    words: str
    recipe: str
    overrides: tuple[str, ...] = ()
    rate_of: str = ""


@dataclass(frozen=True)
class EvaluationSet:
    """What the arms are measured on.

    Attributes:
        name: Its name in tables.
        path: Folder or name of a set.
        pairs: Language pairs, in the words of `isogloss evaluate --pairs`.
    """

    name: str
    path: str
    pairs: str = "all"


@dataclass(frozen=True)
class Choice:
    """A setting that each arm chooses by rows held out from its training, never by an evaluation set.

    Attributes:
        field: The setting, such as `train.learning_rate`.
        values: What is tried.
        development: Set made of the held-out rows, by `prepare`.
        seed: Of the runs that are compared.
    """

    field: str
    values: tuple[float, ...]
    development: EvaluationSet
    seed: int = 1


@dataclass(frozen=True)
class Contrast:
    """Two arms of which the claim says how they differ.

    Attributes:
        claim: In words.
        better: The arm that the claim is about.
        worse: The arm that it is compared with.
        on: Sets over whose language pairs the difference is averaged, each pair counting once.
        pairs: Only these pairs of them, all where empty.
        expected: `higher`, or `not lower`: by `margin` at most.
        margin: Largest loss that counts as none.
    """

    claim: str
    better: str
    worse: str
    on: tuple[str, ...]
    pairs: tuple[str, ...] = ()
    expected: Literal["higher", "not lower"] = "higher"
    margin: float = 0.01


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    Attributes:
        name: Its name on the command line, and of its results.
        title: Heading of its section.
        claim: The claim in words, with its source.
        design: What was done, for a reader: data, budget, what is ours.
        arms: What is trained.
        sets: What it is measured on.
        contrasts: What decides.
        seeds: Of the training, at least three.
        prepare: Makes the files that the arms need; called in every run, so it leaves alone what is there.
        choice: What is chosen on held-out rows, if anything.
        tried: What else was tried, what went against the expectation, and why.
        further: Measures more than the arms' scores, such as a teacher's quality; it goes into the results.
        figures: Gives further lines of the page from the results.
        pictures: Gives SVG files that these lines show, by name.
    """

    name: str
    title: str
    claim: str
    design: tuple[str, ...]
    arms: tuple[Arm, ...]
    sets: tuple[EvaluationSet, ...]
    contrasts: tuple[Contrast, ...]
    seeds: tuple[int, ...] = (13, 14, 15)
    prepare: Callable[[Workspace], None] = lambda workspace: None
    choice: Choice | None = None
    tried: tuple[str, ...] = ()
    further: Callable[[Workspace], Json] = lambda workspace: {}
    figures: Callable[[Json], list[str]] = lambda results: []
    pictures: Callable[[Json], Mapping[str, str]] = lambda results: {}

    def __post_init__(self) -> None:
        known = {UNTRAINED, *(arm.name for arm in self.arms)}
        sets = {one.name for one in self.sets}
        for contrast in self.contrasts:
            unknown = [*({contrast.better, contrast.worse} - known), *(set(contrast.on) - sets)]
            if unknown:
                raise ValueError(f"{self.name}: the contrast '{contrast.claim}' names {', '.join(unknown)}")
        if len(self.seeds) < 3:
            raise ValueError(f"{self.name}: at least three seeds are wanted")
