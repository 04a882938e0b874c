"""`train_generator`: one recipe, one folder with the generator, its log, its checkpoints and a manifest."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isogloss.errors import RecipeError, UsageError
from isogloss.files import file_errors, refuse_occupied, write_json
from isogloss.generation.best import LOG as DEVELOPMENT_LOG
from isogloss.generation.best import KeepBest
from isogloss.generation.generator import GENERATOR, QueryGenerator
from isogloss.generation.new_model import new_model, new_tokenizer
from isogloss.generation.prompts import Prompt
from isogloss.generation.recipe import load_generator_recipe
from isogloss.generation.rows import LabelledRows, labelled_rows, language_of
from isogloss.generation.settings import GeneratorRecipe, GeneratorTrainSettings
from isogloss.generation.step import SOURCE, GenerationStep, token_rows
from isogloss.progress import progress_bar
from isogloss.recipe import TrainSettings
from isogloss.training.processes import current_processes
from isogloss.training.run_folder import MANIFEST, MODEL, Resume, find_checkpoint, package_versions
from isogloss.training.settings import autocast_context, check_arguments, training_arguments
from isogloss.training.sources.base import TableSource
from isogloss.training.sources.reading import file_hashes
from isogloss.training.step import Batch
from isogloss.training.trainer import LOG, Advance, RecipeTrainer, truncate_log


@dataclass(frozen=True)
class GeneratorReport:
    """What a run did.

    Attributes:
        folder: Its folder.
        model: The generator in it; None after a dry run.
        steps: Steps of the whole run.
        rows: Training rows by language of the query.
        held_out: Rows held out.
        resumed_from: Step of the checkpoint it went on from, 0 for none.
        seconds: Time of all its parts.
        losses: Last mean of the loss and of each term, per row.
        best_step: Step whose weights were kept.
        best_loss: Its loss over the held-out rows; None without such rows.
        rows_seen: Rows by language that the run read.
    """

    folder: Path
    model: Path | None
    steps: int
    rows: dict[str, int]
    held_out: int
    resumed_from: int = 0
    seconds: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)
    best_step: int | None = None
    best_loss: float | None = None
    rows_seen: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        model = None if self.model is None else str(self.model)
        return {**values, "folder": str(self.folder), "model": model, "seconds": round(self.seconds, 3)}


def train_generator(
    recipe: str | Path | GeneratorRecipe,
    out: str | Path,
    *,
    resume: Resume = "auto",
    overrides: Sequence[str] = (),
    dry_run: bool = False,
    announce: Callable[[str], None] | None = None,
    progress: bool = True,
) -> GeneratorReport:
    """Trains a query generator by a recipe; the same call goes on where an interrupted run stopped.

    Args:
        recipe: Name of a shipped generator recipe, path of one, or a recipe.
        out: Folder for the generator, the logs, the checkpoints and the manifest.
        resume: As for `isogloss.training.train`.
        overrides: Changes such as `train.max_steps=10`; for recipes by name or path.
        dry_run: Reads everything and stops.
        announce: Takes what is about to be done.
        progress: Whether a progress bar is shown where standard error is a terminal.

    Raises:
        CheckpointError: If a checkpoint is corrupt, incomplete or of another run.
        DataError: If the rows are faulty.
        ModelError: If the model to begin from cannot be opened.
        RecipeError: If the recipe is faulty.
        UsageError: If `out` holds something else, or several processes were started.
    """
    if current_processes().count > 1:
        raise UsageError("a generator is trained by one process", next_step="Start it without torchrun.")
    chosen = recipe if isinstance(recipe, GeneratorRecipe) else load_generator_recipe(recipe, overrides=overrides)
    folder = Path(out)
    run = _Run.prepare(chosen)
    if announce is not None:
        announce(run.plan())
    checkpoint = find_checkpoint(folder, resume, run.digest)
    refuse_occupied(folder / MODEL, overwrite=True, kind=GENERATOR)  # now, not when all is trained
    if dry_run:
        return run.report(folder, None)
    return run.execute(folder, checkpoint, progress=progress and sys.stderr.isatty())


@dataclass
class _Run:
    """Everything that a recipe names, opened."""

    recipe: GeneratorRecipe
    generator: QueryGenerator
    rows: LabelledRows
    settings: TrainSettings
    data: dict[str, str]
    digest: str

    @classmethod
    def prepare(cls, recipe: GeneratorRecipe) -> _Run:
        ranking = recipe.train.stage == "ranking"
        rows = labelled_rows(recipe.rows, seed=recipe.train.seed, need_negatives=ranking)
        settings = _hugging_face_settings(recipe.train)
        check_arguments(settings, recipe.train.max_steps)
        generator = _starting_generator(recipe, rows)
        data = file_hashes(recipe.rows.paths)
        content = json.dumps([recipe.digest(), data, generator.checkpoint, generator.note()], sort_keys=True)
        return cls(recipe, generator, rows, settings, data, hashlib.sha256(content.encode()).hexdigest())

    def plan(self) -> str:
        """What is about to be done, in a line."""
        languages = ", ".join(f"{language} {count:,}" for language, count in self.rows.counts().items())
        train = self.recipe.train
        return (
            f"{train.max_steps} steps of {train.batch} rows, stage {train.stage}; rows: {languages}; "
            f"{len(self.rows.held_out)} held out."
        )

    def report(self, folder: Path, model: Path | None) -> GeneratorReport:
        """The report before anything was done."""
        steps = self.recipe.train.max_steps
        return GeneratorReport(folder, model, steps, self.rows.counts(), len(self.rows.held_out))

    def execute(self, folder: Path, checkpoint: Path | None, *, progress: bool) -> GeneratorReport:
        """Trains, saves, and writes the manifest."""
        train = self.recipe.train
        with file_errors(folder, "write"):
            folder.mkdir(parents=True, exist_ok=True)
        resumed_from = int(checkpoint.name.split("-")[1]) if checkpoint is not None else 0
        for log in (LOG, DEVELOPMENT_LOG):
            truncate_log(folder / log, resumed_from)
        source = self._source()
        rows = token_rows(self.generator, self.rows.training, self._negatives)
        make_step = self._make_step(rows)
        best = self._keep_best(folder, make_step, resumed_from)
        with progress_bar("Training the generator", train.max_steps, show=progress) as advance:
            trainer = RecipeTrainer(
                self.generator.model,
                training_arguments(self.settings, folder, train.max_steps),
                make_step=make_step,
                draw=lambda number: Batch({SOURCE: source.draw(number)}, {SOURCE: {}}),
                run_digest=self.digest,
                dropout=train.dropout,
                callbacks=[Advance(advance), *([best] if best else [])],
            )
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint is not None else None)
        counted = trainer.finish()
        if best is not None:
            best.restore()
        self.generator.model.cpu().eval()
        self.generator.save(folder / MODEL, overwrite=True)
        report = replace(
            self.report(folder, folder / MODEL),
            resumed_from=resumed_from,
            seconds=counted.seconds,
            losses=dict(counted.last),
            best_step=best.step if best else train.max_steps,
            best_loss=best.loss if best else None,
            rows_seen=counted.rows_seen({SOURCE: tuple(source.group_names)}).get(SOURCE, {}),
        )
        write_json(folder / MANIFEST, self._manifest(report))
        return report

    @property
    def _negatives(self) -> int:
        return self.recipe.rows.negatives if self.recipe.train.stage == "ranking" else 0

    def _make_step(self, rows: Any) -> Callable[[torch.device], GenerationStep]:
        train = self.recipe.train
        return lambda device: GenerationStep(self.generator, rows, train, autocast_context(self.settings, device))

    def _keep_best(
        self, folder: Path, make_step: Callable[[torch.device], GenerationStep], resumed_from: int
    ) -> KeepBest | None:
        train = self.recipe.train
        if train.keep == "last" or not self.rows.held_out:
            return None
        held_out = token_rows(self.generator, self.rows.held_out, self._negatives)
        return KeepBest(
            self.generator.model,
            folder,
            loss=lambda: make_step(self.generator.device).value(held_out),
            every=train.eval_steps,
            from_step=resumed_from,
        )

    def _source(self) -> TableSource:
        """The rows in a fresh random order each epoch."""
        names = tuple(self.rows.counts())
        groups = np.asarray([names.index(language_of(row)) for row in self.rows.training], dtype=np.int64)
        columns = {"row": np.arange(len(groups), dtype=np.int64)}
        train = self.recipe.train
        return TableSource(
            SOURCE, columns, roles={}, groups=groups, group_names=names, batch=train.batch, seed=(train.seed, 0)
        )

    def _manifest(self, report: GeneratorReport) -> dict[str, Any]:
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "run_digest": self.digest,
            "versions": package_versions(),
            "data": self.data,
            "note": self.generator.note(),
            **{key: value for key, value in report.to_json().items() if key not in ("folder", "model")},
        }


def _starting_generator(recipe: GeneratorRecipe, rows: LabelledRows) -> QueryGenerator:
    """The generator that a run begins with, with the recipe's prompt and lengths."""
    model = recipe.model
    if model.new is None:
        generator = QueryGenerator.load(model.base)
        prompt = generator.prompt if model.prompt is None else Prompt(model.prompt)
    else:
        prompt = Prompt(model.template)
        texts = [prompt.render(row.passage, language_of(row), title=row.title) for row in rows.training]
        tokenizer = new_tokenizer([*dict.fromkeys(texts), *(row.query for row in rows.training)], model.new.pieces)
        generator = QueryGenerator(new_model(model.new, tokenizer), tokenizer, prompt)
    if generator.tokenizer.pad_token_id is None or generator.tokenizer.eos_token_id is None:
        raise RecipeError(f"the tokenizer of '{model.base}' has no padding or no end", next_step="Use mT5, T5 or ByT5.")
    return replace(
        generator,
        prompt=prompt,
        max_source_tokens=model.max_source_tokens,
        max_query_tokens=model.max_query_tokens,
        count_eos=model.count_eos,
    )


def _hugging_face_settings(train: GeneratorTrainSettings) -> TrainSettings:
    """The part of the settings that any trainer has."""
    return TrainSettings(
        learning_rate=train.learning_rate,
        max_steps=train.max_steps,
        warmup_steps=train.warmup_steps,
        lr_scheduler_type=train.lr_scheduler_type,
        optim=train.optim,
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        bf16=train.bf16,
        seed=train.seed,
        logging_steps=train.logging_steps,
        save_steps=train.save_steps,
        save_total_limit=train.save_total_limit,
    )
