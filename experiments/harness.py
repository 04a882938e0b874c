"""Runs an experiment: trains each arm with each seed, measures it, and writes what came out as one JSON file.

What an arm × seed gave lies in a folder named by everything that it was computed from. A run that is stopped goes on
with what is missing, and a changed recipe, changed data or another start model is a new folder, never an old score.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments.design import (
    MEASURE,
    UNTRAINED,
    Arm,
    Choice,
    Contrast,
    EvaluationSet,
    Experiment,
    Json,
    Workspace,
)
from experiments.statistics import PairValues, differences, interval, mean_of, summary, verdict
from isogloss.datasets import load
from isogloss.errors import ModelError
from isogloss.evaluation import evaluate
from isogloss.files import read_json, write_json
from isogloss.models.retriever import Retriever
from isogloss.recipe import Recipe
from isogloss.records import EvalSet
from isogloss.training import load_training_recipe, train
from isogloss.training.run_folder import MANIFEST, package_versions
from isogloss.training.sources.reading import file_hashes

HOME = Path(__file__).parent
RESULTS = HOME / "results"
SCORES = "scores.json"
RUN = "run"
ROUNDED = 5

__all__ = ["Arm", "Choice", "Contrast", "EvaluationSet", "Experiment", "Json", "Workspace", "run_experiment"]


@dataclass
class Runner:
    """One experiment on one machine.

    Attributes:
        experiment: The experiment.
        workspace: Its folders.
    """

    experiment: Experiment
    workspace: Workspace
    _sets: dict[str, EvalSet] = field(default_factory=dict)
    _fingerprints: dict[str, str] = field(default_factory=dict)

    @cached_property
    def chosen(self) -> dict[str, Any]:
        """By arm, the value that did best on its held-out rows, and what all values gave."""
        choice = self.experiment.choice
        if choice is None:
            return {}
        found: dict[str, Any] = {}
        for arm in self.experiment.arms:
            if arm.rate_of:
                continue
            scores = {}
            for value in choice.values:
                measured = self.measured(arm, choice.seed, (choice.development,), (f"{choice.field}={value}",))
                scores[value] = round(mean_of(measured["values"][choice.development.name]), ROUNDED)
            best = max(scores, key=lambda value: (scores[value], -value))
            found[arm.name] = {"value": best, "scores": {str(value): score for value, score in scores.items()}}
        return found

    def results(self) -> dict[str, Any]:
        """Trains and measures all that is missing, and sums up."""
        self.workspace.work.mkdir(parents=True, exist_ok=True)
        self.experiment.prepare(self.workspace)
        start = self._untrained()
        measured = {UNTRAINED: [start]}
        for arm in self.experiment.arms:
            measured[arm.name] = [
                self.measured(arm, seed, self.experiment.sets, self._choice_of(arm)) for seed in self.experiment.seeds
            ]
        further = dict(self.experiment.further(self.workspace))
        return {**self._described(start), **summed_up(self.experiment, measured, self._units()), "further": further}

    def measured(
        self, arm: Arm, seed: int, sets: Iterable[EvaluationSet], further: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """What an arm gave with a seed: values by set, pair and query; trained only where it is not there yet."""
        overrides = [self.workspace.fill(text, seed) for text in (*arm.overrides, *further, f"train.seed={seed}")]
        recipe = load_training_recipe(self.workspace.fill(arm.recipe, seed), overrides=overrides)
        key = self._key(recipe, sets)
        folder = self.workspace.work / "runs" / f"{_plain(arm.name)}-{seed}-{key}"
        if (folder / SCORES).is_file():
            return dict(read_json(folder / SCORES))
        _say(f"{self.experiment.name}: {arm.name}, seed {seed} {' '.join(further)}")
        began = time.process_time()
        report = train(recipe, folder / RUN, progress=False)
        trained = time.process_time() - began
        self._check_start(recipe, report.folder)
        found = self._evaluated(str(report.model), sets) | {
            "train_seconds": round(trained, 2),
            "steps": report.plan.steps,
            "losses": dict(report.losses),
        }
        write_json(folder / SCORES, found)
        shutil.rmtree(folder / RUN)  # a model is made again from its recipe; hundreds of them fill a disk
        return found

    def _choice_of(self, arm: Arm) -> tuple[str, ...]:
        choice = self.experiment.choice
        if choice is None:
            return ()
        return (f"{choice.field}={self.chosen[arm.rate_of or arm.name]['value']}",)

    def _untrained(self) -> dict[str, Any]:
        """The start model of the first arm on the sets."""
        arm = self.experiment.arms[0]
        overrides = [self.workspace.fill(text, self.experiment.seeds[0]) for text in arm.overrides]
        recipe = load_training_recipe(self.workspace.fill(arm.recipe), overrides=overrides)
        base = recipe.model.base
        if base == "new":
            return {"values": {}, "seconds": 0.0, "model": "new", "fingerprint": ""}
        key = _digest([self._fingerprint(base), [asdict(one) for one in self.experiment.sets]])
        file = self.workspace.work / "runs" / f"{UNTRAINED}-{key}" / SCORES
        if not file.is_file():
            _say(f"{self.experiment.name}: {UNTRAINED}")
            model = Path(base).name
            write_json(
                file,
                self._evaluated(base, self.experiment.sets) | {"model": model, "fingerprint": self._fingerprint(base)},
            )
        return dict(read_json(file))

    def _evaluated(self, model: str, sets: Iterable[EvaluationSet]) -> dict[str, Any]:
        began = time.process_time()
        retriever = Retriever.load(model, on_overflow="ignore")
        values = {}
        for one in sets:
            evaluation = evaluate(retriever, self._loaded(one), pairs=one.pairs, measures=MEASURE, resamples=1)
            values[one.name] = {
                name: dict(cell.per_query[MEASURE]) for name, cell in evaluation.cells.items() if not cell.blank
            }
        return {"values": values, "seconds": round(time.process_time() - began, 2)}

    def _loaded(self, one: EvaluationSet) -> EvalSet:
        path = self.workspace.fill(one.path)
        if path not in self._sets:
            self._sets[path] = load(path)
        return self._sets[path]

    def _units(self) -> dict[str, dict[str, str]]:
        """By set, the question that each query is a translation of."""
        return {
            one.name: {query.id: query.parallel_id or query.id for query in self._loaded(one).queries}
            for one in self.experiment.sets
        }

    def _fingerprint(self, base: str) -> str:
        if base not in self._fingerprints:
            retriever = Retriever.load(base)
            self._fingerprints[base] = f"{retriever.query.fingerprint.digest}{retriever.passage.fingerprint.digest}"
        return self._fingerprints[base]

    def _check_start(self, recipe: Recipe, folder: Path) -> None:
        """Raises where the start model was replaced since this process read it: its arms would have different ones."""
        began_from = read_json(folder / MANIFEST)["fingerprints"]["base"]
        known = self._fingerprints.get(recipe.model.base, "")
        if known and known != f"{began_from['query']}{began_from['passage']}":
            raise ModelError(f"the model '{recipe.model.base}' was replaced meanwhile", next_step="Run it again.")

    def _key(self, recipe: Recipe, sets: Iterable[EvaluationSet]) -> str:
        """Short hash over all that decides the scores of a run."""
        paths = [path for source in recipe.sources.values() for path in source.paths]
        if recipe.model.new is not None:
            paths += [*recipe.model.new.parallel, *recipe.model.new.rows, *recipe.model.new.lexicons]
        base = "" if recipe.model.base == "new" else self._fingerprint(recipe.model.base)
        files = sorted(file_hashes(paths).values())
        return _digest([recipe.digest(), base, files, [asdict(one) for one in sets]])

    def _described(self, start: Mapping[str, Any]) -> dict[str, Any]:
        experiment = self.experiment
        return {
            "name": experiment.name,
            "measure": MEASURE,
            "seeds": list(experiment.seeds),
            "start": {"model": start["model"], "fingerprint": start["fingerprint"][:16]},
            "arms": [asdict(arm) for arm in experiment.arms],
            "sets": [asdict(one) for one in experiment.sets],
            "chosen": {"field": experiment.choice.field, "arms": self.chosen} if experiment.choice else None,
            "versions": package_versions(),
        }


def summed_up(
    experiment: Experiment, measured: Mapping[str, list[dict[str, Any]]], units: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Scores, intervals and verdicts from what every arm and seed gave.

    Args:
        experiment: Names the sets and the contrasts.
        measured: By arm, of each seed: `values` by set, pair and query, and `train_seconds`.
        units: By set, the question that a query id belongs to.
    """
    arms = {name: runs for name, runs in measured.items() if runs[0]["values"]}
    return {
        "queries": {
            one.name: {pair: len(values) for pair, values in next(iter(arms.values()))[0]["values"][one.name].items()}
            for one in experiment.sets
        },
        "scores": {
            name: {one.name: _by_pair(runs, one.name) for one in experiment.sets} for name, runs in arms.items()
        },
        "means": {
            name: {
                one.name: summary([run["values"][one.name] for run in runs], units[one.name]) for one in experiment.sets
            }
            for name, runs in arms.items()
        },
        "contrasts": [_decided(contrast, arms, units) for contrast in experiment.contrasts],
        "seconds": {
            "training": round(sum(run.get("train_seconds", 0.0) for runs in measured.values() for run in runs), 1),
            "evaluation": round(sum(run["seconds"] for runs in measured.values() for run in runs), 1),
        },
    }


def _by_pair(runs: list[dict[str, Any]], name: str) -> dict[str, list[float]]:
    """Of each pair, the mean over queries of each seed."""
    return {
        pair: [round(sum(run["values"][name][pair].values()) / len(queries), ROUNDED) for run in runs]
        for pair, queries in runs[0]["values"][name].items()
    }


def _decided(
    contrast: Contrast, arms: Mapping[str, list[dict[str, Any]]], units: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    better, worse = arms[contrast.better], arms[contrast.worse]
    # The untrained model has no seeds: it is compared with each of them.
    count = max(len(better), len(worse))
    better, worse = (runs * count if len(runs) == 1 else runs for runs in (better, worse))
    first, second = ([_selected(run["values"], contrast) for run in runs] for runs in (better, worse))
    joined = {f"{name}/{query}": f"{name}/{unit}" for name in contrast.on for query, unit in units[name].items()}
    found = differences(first, second)
    whole = interval(found, joined)
    return {
        **asdict(contrast),
        "difference": whole.to_json(),
        "by_seed": [round(mean_of(run), ROUNDED) for run in found],
        "by_pair": {pair: interval([{pair: run[pair]} for run in found], joined).to_json() for pair in found[0]},
        "verdict": verdict(whole, contrast.expected, contrast.margin),
    }


def _selected(values: Mapping[str, PairValues], contrast: Contrast) -> dict[str, dict[str, float]]:
    """The values of a contrast's sets and pairs, under names that no two sets share."""
    return {
        f"{name}/{pair}": {f"{name}/{query}": value for query, value in queries.items()}
        for name in contrast.on
        for pair, queries in values[name].items()
        if not contrast.pairs or pair in contrast.pairs
    }


def run_experiment(experiment: Experiment, data: Path, work: Path) -> Path:
    """Runs an experiment and writes `results/NAME.json`; what is there already is not computed again.

    Args:
        experiment: The experiment.
        data: Folder with `train`, `parallel` and `retrieval`.
        work: Folder for all experiments' own files.
    """
    runner = Runner(experiment, Workspace(data.resolve(), work.resolve() / experiment.name))
    file = RESULTS / f"{experiment.name}.json"
    write_json(file, runner.results())
    return file


def _plain(name: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in name)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
