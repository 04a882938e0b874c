"""`train`: one recipe, one folder with the model, its log, its checkpoints and a manifest of what really happened."""

from __future__ import annotations

import copy
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch

from isogloss.engines.static import StaticEngine
from isogloss.engines.torch_tower import TorchTower, TorchTowers
from isogloss.errors import RecipeError
from isogloss.files import file_errors, refuse_occupied, write_json
from isogloss.models.keeping import keep_of_start, refuse_other_than_static
from isogloss.models.persistence import MODEL as MODEL_FOLDER
from isogloss.models.retriever import Retriever
from isogloss.models.whitening import refuse_unfit, whiten
from isogloss.progress import progress_bar
from isogloss.recipe import Recipe
from isogloss.records import Role
from isogloss.training import checkpoints
from isogloss.training.assembly import bind_objective, check_dimensions, check_roles, load_training_recipe, open_sources
from isogloss.training.best import Best, take_best
from isogloss.training.encoders import FrozenEncoder, MiniBatch, TrainedEncoder, VectorStore, frozen_tower
from isogloss.training.measuring import Measuring
from isogloss.training.objective import Objective
from isogloss.training.plan import Plan, make_plan
from isogloss.training.processes import current_processes, join_processes
from isogloss.training.report import TrainReport
from isogloss.training.rounding import save_rounded
from isogloss.training.run_folder import MANIFEST, MODEL, Resume, find_checkpoint, package_versions
from isogloss.training.settings import (
    autocast_context,
    check_arguments,
    in_bfloat16,
    plain_towers,
    step_count,
    trainable_towers,
    training_arguments,
)
from isogloss.training.sources import Source
from isogloss.training.sources.apart import Apart
from isogloss.training.sources.reading import file_hashes
from isogloss.training.start import start_for_a_look, start_model
from isogloss.training.step import Batch, CachedStep, Encoder
from isogloss.training.stored_vectors import passage_bank, teacher_vectors
from isogloss.training.texts import Ids, TextTable, unique_numbers
from isogloss.training.trainer import LOG, Advance, RecipeTrainer, truncate_log
from isogloss.training.trial import Trial, try_step


def train(
    recipe: str | Path | Recipe,
    out: str | Path,
    *,
    resume: Resume = "auto",
    overrides: Sequence[str] = (),
    dry_run: bool = False,
    retriever: Retriever | None = None,
    announce: Callable[[str], None] | None = None,
    progress: bool = True,
) -> TrainReport:
    """Trains a retriever by a recipe.

    Args:
        recipe: Name of a shipped recipe, path of one, or a recipe.
        out: Folder for the model, the log, the checkpoints and the manifest.
        resume: `auto` goes on from the newest checkpoint in `out`, `previous` from the newest intact one, `never` wants
            an empty folder.
        overrides: Changes such as `train.max_steps=10`; for recipes by name or path.
        dry_run: Reads everything, makes the plan and stops; `out` stays as it is.
        retriever: Trained instead of the recipe's `model.base`.
        announce: Takes the lines of the plan before the first step.
        progress: Whether a progress bar is shown where standard error is a terminal.

    Raises:
        CheckpointError: If a checkpoint is corrupt, incomplete or of another run.
        DataError: If training data are faulty.
        RecipeError: If the recipe is faulty, or expects scores that its evaluations would not give.
        UsageError: If `out` holds something else.
    """
    join_processes()
    chosen = recipe if isinstance(recipe, Recipe) else load_training_recipe(str(recipe), overrides=overrides)
    folder = Path(out)
    processes = current_processes()
    say = _ignore if announce is None or processes.rank else announce
    measuring = Measuring(chosen)  # first: a start model may take minutes, a wrong path shall not
    if retriever is None and chosen.model.new is not None:
        if processes.rank:
            processes.wait()  # the first process makes it, the others find it
        make = start_for_a_look if dry_run else start_model
        retriever = make(chosen.model.new, folder, say, Apart(chosen.keep_apart))
        if not processes.rank:
            processes.wait()
    run = _Run.prepare(chosen, retriever)
    for line in run.plan.lines():
        say(line)
    checkpoint = find_checkpoint(folder, resume, run.digest)
    refuse_occupied(folder / MODEL, overwrite=True, kind=MODEL_FOLDER)  # now, not when all is trained
    if dry_run:
        return TrainReport(folder, None, run.plan)
    shown = progress and sys.stderr.isatty()
    report = run.execute(folder, checkpoint, say, measuring, progress=shown)
    if processes.rank or report.model is None:
        return report
    return replace(report, measured=measuring(report.model, folder, progress=shown))


def _ignore(line: str) -> None:
    """Takes a line and does nothing with it."""


@dataclass
class _Run:
    """Everything that a recipe names, opened."""

    recipe: Recipe
    retriever: Retriever
    towers: TorchTowers
    texts: TextTable
    sources: dict[str, Source]
    objective: Objective
    plan: Plan

    @cached_property
    def data(self) -> dict[str, dict[str, str]]:
        """Hash of each file of each source, and of those that they are kept apart from."""
        found = {name: file_hashes(self.recipe.sources[name].paths) for name in self.sources}
        return found | ({"keep_apart": file_hashes(self.recipe.keep_apart)} if self.recipe.keep_apart else {})

    @cached_property
    def digest(self) -> str:
        """Hash over what the run computes with: recipe, data and the model that it begins from."""
        base = [self.retriever.tower(role).fingerprint.digest for role in ("query", "passage")]
        parts = [self.recipe.digest(), self.data, base]
        if self.recipe.plugins:
            parts.append(file_hashes(self.recipe.plugins))
        content = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    @classmethod
    def prepare(cls, recipe: Recipe, retriever: Retriever | None) -> _Run:
        base = retriever or Retriever.load(recipe.model.base)
        if recipe.model.towers != "shared" and base.towers == "shared":
            base = base.untie(frozen_passage=recipe.model.towers == "frozen_passage")
        if recipe.model.towers != base.towers:
            if recipe.model.towers == "shared" or base.towers == "frozen_passage":
                raise RecipeError(
                    f"the towers of '{recipe.model.base}' are {base.towers}, the recipe wants {recipe.model.towers}",
                    next_step=f"Set model.towers={base.towers}.",
                )
            base = base.untie(frozen_passage=True)
        if recipe.model.keep_of_start is not None:
            refuse_other_than_static(base)
        if recipe.model.whitening:
            refuse_unfit(base)
        texts = TextTable()
        objective = bind_objective(recipe)
        apart = Apart(recipe.keep_apart)
        sources = open_sources(recipe, texts, _passage_text(base), apart)
        check_roles(objective, sources)
        if recipe.teacher is None and any(bound.teacher_roles for bound in objective.terms):
            raise RecipeError("a term matches a teacher, and the recipe has none", next_step="Add: teacher: {bank: …}")
        check_dimensions(recipe, base.dimension)
        towers = trainable_towers(base, recipe)
        steps = step_count(recipe.train, sources)
        check_arguments(recipe.train, steps)
        plan = make_plan(recipe, steps, sources, objective, towers, notes=apart.notes())
        return cls(recipe, base, towers, texts, sources, objective, plan)

    def draw(self, step: int) -> Batch:
        """The rows of a step."""
        return Batch(
            {name: source.draw(step) for name, source in self.sources.items()},
            {name: source.roles for name, source in self.sources.items()},
        )

    def execute(
        self,
        folder: Path,
        checkpoint: Path | None,
        say: Callable[[str], None],
        measuring: Measuring,
        *,
        progress: bool,
    ) -> TrainReport:
        """Tries a step, trains, takes the best checkpoint where one is asked for, saves, and writes the manifest."""
        settings = self.recipe.train
        with file_errors(folder, "write"):
            folder.mkdir(parents=True, exist_ok=True)
        resumed_from = int(checkpoint.name.split("-")[1]) if checkpoint is not None else 0
        first = current_processes().rank == 0
        if first:
            truncate_log(folder / LOG, resumed_from)
        trainer = RecipeTrainer(
            self.towers,
            training_arguments(settings, folder, self.plan.steps),
            make_step=self._make_step,
            draw=self.draw,
            run_digest=self.digest,
            dropout=settings.dropout,
            sparse_adam=settings.optim == "sparse_adam",
            keep_freed=isinstance(self.retriever.query.engine, StaticEngine),
        )
        trial = self._try(trainer)
        for line in trial.lines():
            say(line)
        with progress_bar("Training", self.plan.steps, show=progress and first) as advance:
            trainer.add_callback(Advance(advance))
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint is not None else None)
        counted = trainer.finish()
        best = self._best(folder, measuring, progress=progress) if first and measuring.metric is not None else None
        if best is not None:
            say(str(best))
        report = TrainReport(
            folder=folder,
            model=folder / MODEL,
            plan=self.plan,
            resumed_from=resumed_from,
            seconds=counted.seconds,
            losses=counted.last,
            rows_seen=counted.rows_seen({name: tuple(source.group_names) for name, source in self.sources.items()}),
            drift=trainer.drift(),
            learning_rate_sum=counted.learning_rate_sum,
            trial=trial,
            best=best,
        )
        if first:
            model = self._finished(self.towers)
            rounding = save_rounded(model, folder / MODEL, self.recipe.model.precision, measuring.sets)
            if rounding.asked != "as_is":
                say(str(rounding))
            report = replace(report, rounding=rounding)
            write_json(folder / MANIFEST, self._manifest(report))
        current_processes().wait()
        return report

    def _finished(self, towers: TorchTowers) -> Retriever:
        """The model that comes out of trained towers, which are of no use afterwards."""
        model = self.retriever.with_towers(plain_towers(towers))
        keep, strength = self.recipe.model.keep_of_start, self.recipe.model.whitening
        if keep is not None:
            model = keep_of_start(model, self.retriever, **keep.model_dump())
        return whiten(model, strength=strength) if strength else model

    def _best(self, folder: Path, measuring: Measuring, *, progress: bool) -> Best:
        def measure() -> float | None:
            return measuring.decide(self._finished(copy.deepcopy(self.towers)))

        count = len(checkpoints.checkpoints(folder))
        with progress_bar("Measuring checkpoints", count, show=progress) as advance:
            metric = str(measuring.metric)
            return take_best(self.towers, folder, measure, metric=metric, last_step=self.plan.steps, advance=advance)

    def _try(self, trainer: RecipeTrainer) -> Trial:
        settings = self.recipe.train
        self.towers.train(settings.dropout)
        bf16 = in_bfloat16(settings, trainer.args.device)
        return try_step(cast("CachedStep", trainer.step), self.draw(0), self.towers, self.plan, bf16=bf16)

    def _make_step(self, device: torch.device) -> CachedStep:
        settings = self.recipe.train
        mini_batch = MiniBatch(settings.mini_batch_tokens, settings.mini_batch_size)
        autocast = autocast_context(settings, device)
        trained: dict[int, Encoder] = {}
        encoders: dict[Role, Encoder] = {}
        for role, tower in self.towers.towers.items():
            if role == "passage" and self.towers.frozen_passage:
                encoders[role] = FrozenEncoder(self._frozen_passages(tower, mini_batch), device)
            elif not any(parameter.requires_grad for parameter in tower.parameters()):
                encoders[role] = FrozenEncoder(frozen_tower(tower, self.texts, mini_batch=mini_batch), device)
            else:
                encoder = TrainedEncoder(tower, self.texts, mini_batch=mini_batch, autocast=autocast)
                encoders[role] = trained.setdefault(id(tower), encoder)
        return CachedStep(
            encoders,
            self.objective,
            teacher=self._teacher(),
            processes=current_processes(),
            gather=settings.gather_across_devices,
        )

    def _frozen_passages(self, tower: TorchTower, mini_batch: MiniBatch) -> VectorStore:
        model = self.recipe.model
        if model.passages_from == "bank" and model.bank is not None:
            return passage_bank(model.bank, self.retriever, self.texts, self._numbers_encoded_as("passage"))
        return frozen_tower(tower, self.texts, mini_batch=mini_batch)

    def _teacher(self) -> VectorStore | None:
        if self.recipe.teacher is None:
            return None
        wanted = [
            self.sources[name].numbers(role)
            for name, roles in self.objective.teacher_roles.items()
            for role in sorted(roles)
        ]
        return teacher_vectors(self.recipe.teacher, self.texts, unique_numbers(wanted), self.retriever)

    def _numbers_encoded_as(self, tower: Role) -> Ids:
        wanted = [
            source.numbers(role)
            for name, source in self.sources.items()
            for role in source.roles
            if source.roles[role] == tower and self.objective.uses(name, role)
        ]
        return unique_numbers(wanted)

    def _manifest(self, report: TrainReport) -> dict[str, Any]:
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "run_digest": self.digest,
            "versions": package_versions(),
            "data": self.data,
            "fingerprints": {
                "base": {role: self.retriever.tower(role).fingerprint.digest for role in ("query", "passage")},
            },
            "processes": current_processes().count,
            "plan": self.plan.lines(),
            "steps": self.plan.steps,
            "resumed_from": report.resumed_from,
            "seconds": round(report.seconds, 3),
            "losses": dict(report.losses),
            "drift": report.drift,
            "learning_rate_sum": report.learning_rate_sum,
            "rows_seen": {source: dict(rows) for source, rows in report.rows_seen.items()},
            "best": None if report.best is None else report.best.to_json(),
            "rounding": None if report.rounding is None else report.rounding.to_json(),
        }


def _passage_text(retriever: Retriever) -> Callable[[str, str], str]:
    from isogloss.records import Text

    return lambda title, passage: retriever.passage.whole_text(Text("", passage, title=title))
