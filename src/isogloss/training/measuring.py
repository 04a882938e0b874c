"""The evaluations that a recipe names, carried out after its training, and the scores that it expects of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from isogloss.datasets import load
from isogloss.errors import Fault, IsoglossError, RecipeError, did_you_mean, raise_faults
from isogloss.evaluation.evaluate import evaluate
from isogloss.evaluation.measures import parse_measures
from isogloss.evaluation.pairs import parse_pairs, with_languages
from isogloss.models.retriever import Retriever
from isogloss.recipe import EvaluateSettings, Expectation, Recipe
from isogloss.records import EvalSet

FOLDER = "evaluation"
_MEANS = ("macro", "micro", "worst")


@dataclass(frozen=True)
class Checked:
    """A score that the recipe expects.

    Attributes:
        expected: What it says.
        found: What was measured; None where the cell is blank.
    """

    expected: Expectation
    found: float | None

    @property
    def met(self) -> bool:
        """Whether the score is as near as the tolerance allows, above or below."""
        return self.found is not None and abs(self.found - self.expected.value) <= self.expected.tolerance

    def __str__(self) -> str:
        found = "no value" if self.found is None else f"{self.found:.4f}"
        return f"{found}, expected {self.expected.value:g} ± {self.expected.tolerance:g}"


@dataclass(frozen=True)
class Measured:
    """What the evaluations of a run found.

    Attributes:
        scores: Every value, under the names that `expect` uses.
        checked: What was expected, by the same names.
    """

    scores: Mapping[str, float]
    checked: Mapping[str, Checked]

    @property
    def missed(self) -> list[str]:
        """Expectations that were not met, in words."""
        return [f"{name}: {one}" for name, one in self.checked.items() if not one.met]


class Measuring:
    """The evaluations of a recipe, read and checked before its training starts.

    Args:
        recipe: The recipe.

    Raises:
        RecipeError: If a set cannot be read, pairs or measures mean nothing in it, two sets have one name, or a score
            is expected, or chooses the best checkpoint, that no evaluation would give; all of it at once.

    Attributes:
        metric: The score that chooses the best checkpoint, if one does.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._expected = recipe.expect
        self._deciding: tuple[EvaluateSettings, EvalSet] | None = None
        self.metric = recipe.train.metric_for_best_model
        self._asked: list[tuple[EvaluateSettings, EvalSet]] = []
        faults: list[Fault] = []
        names: list[str] = []
        for number, settings in enumerate(recipe.evaluate):
            try:
                eval_set = with_languages(load(settings.data))
                if eval_set.name in {known.name for _, known in self._asked}:
                    faults.append(Fault(f"evaluate[{number}].data", f"a second set is called '{eval_set.name}'"))
                given = list(_names(eval_set, settings))
                names += given
                self._asked.append((settings, eval_set))
                if self.metric in given:
                    self._deciding = self._asked[-1]
            except IsoglossError as error:
                details = "; ".join(f"{fault.where} {fault.message}" for fault in error.faults)
                faults.append(Fault(f"evaluate[{number}]", ": ".join(filter(None, (error.message, details)))))
        if len(self._asked) == len(recipe.evaluate):
            faults += _unknown(recipe.expect, names)
            if self.metric is not None and self._deciding is None:
                hint = did_you_mean(self.metric, names)
                faults.append(Fault("train.metric_for_best_model", f"no evaluation gives {self.metric}{hint}"))
        raise_faults(RecipeError, "the recipe's evaluation", faults, "Nothing was started.")

    @property
    def sets(self) -> list[EvalSet]:
        """What is measured on."""
        return [eval_set for _, eval_set in self._asked]

    def decide(self, retriever: Retriever) -> float | None:
        """The score by which the best checkpoint is chosen; None where it has no value."""
        if self._deciding is None or self.metric is None:
            raise ValueError("the recipe has no train.metric_for_best_model")
        settings, eval_set = self._deciding
        found = evaluate(retriever, eval_set, pairs=settings.pairs, measures=settings.measures, resamples=1)
        return found.flat().get(self.metric)

    def __call__(self, model: Path, folder: Path, *, progress: bool = False) -> Measured:
        """Measures a model on every set, and leaves runs, scores and tables in `folder/evaluation/SET`."""
        scores: dict[str, float] = {}
        retriever = Retriever.load(model) if self._asked else None
        for settings, eval_set in self._asked:
            found = evaluate(
                retriever,
                eval_set,
                pairs=settings.pairs,
                measures=settings.measures,
                out=folder / FOLDER / eval_set.name,
                name=folder.name,
                progress=progress,
                overwrite=True,
            )
            scores |= found.flat()
        checked = {name: Checked(expected, scores.get(name)) for name, expected in self._expected.items()}
        return Measured(scores, checked)


def _names(eval_set: EvalSet, settings: EvaluateSettings) -> Iterator[str]:
    """Names of all values that an evaluation gives, as `Evaluation.flat` has them."""
    groups = parse_pairs(settings.pairs, eval_set)
    for measure in parse_measures(settings.measures):
        for group in groups:
            yield from (f"{eval_set.name}/{group.name}/{measure}/{mean}" for mean in _MEANS)
            yield from (f"{eval_set.name}/{pair}/{measure}" for pair in group.pairs)


def _unknown(expected: Mapping[str, Expectation], names: list[str]) -> list[Fault]:
    if expected and not names:
        return [Fault("expect", "scores are expected, and 'evaluate' names no set to measure them on")]
    return [
        Fault(f"expect.{name}", f"no evaluation of the recipe gives it{did_you_mean(name, names)}")
        for name in expected
        if name not in names
    ]
