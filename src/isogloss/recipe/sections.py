"""The sections of a recipe as dataclasses: every field with its meaning, its default and its bounds."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from isogloss.recipe.base import OpenSection, Section
from isogloss.recipe.model import AFTER_THE_STEPS, ModelSettings


class TeacherSettings(Section):
    """Where a teacher's vectors come from.

    Attributes:
        model: Path or name of the teacher, which encodes what its bank does not hold.
        bank: Folder with the teacher's vectors.
        projection: `pca` turns the teacher's vectors into the student's dimension where that is smaller; `procrustes`
            turns them, shorter or longer, to where the untrained student has the same texts.
    """

    model: str | None = None
    bank: str | None = None
    projection: Literal["none", "pca", "procrustes"] = "none"

    @model_validator(mode="after")
    def _has_one(self) -> TeacherSettings:
        if self.model is None and self.bank is None:
            raise ValueError("a teacher needs 'model' or 'bank'")
        return self


class SourceSettings(OpenSection):
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


class TermSettings(OpenSection):
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


LEAST_HALF_RATE = 1e-6
_TAKE_SPARSE = ("sparse_adam", "adagrad", "sgd")


_WITHOUT_EFFECT_ON_STEPS = (
    "logging_steps", "save_strategy", "save_steps", "save_total_limit", "metric_for_best_model", "report_to",
)  # fmt: skip


class TrainSettings(Section):
    """Optimisation, under the names of Hugging Face's training arguments, and the few fields of ours.

    Attributes:
        learning_rate: Highest learning rate, after the warm-up.
        max_steps: Steps of the run; where it is left out, `num_train_epochs` decide.
        num_train_epochs: Passes over the rows of the source with the most batches, where `max_steps` is left out.
        warmup_steps: Steps over which the rate rises from 0.
        warmup_ratio: The same as a share of all steps, where `warmup_steps` is 0.
        lr_scheduler_type: How the rate falls: `linear`, `cosine`, `constant`, or another scheduler of transformers.
        lr_scheduler_kwargs: Further arguments of the scheduler.
        optim: Optimiser, by its name in transformers, or `sparse_adam`.
        optim_args: Further arguments of the optimiser, as transformers takes them.
        weight_decay: Weight decay.
        adam_beta1: β₁ of Adam.
        adam_beta2: β₂ of Adam.
        adam_epsilon: ε of Adam.
        max_grad_norm: Norm to which gradients are clipped; 0 clips nothing.
        gradient_checkpointing: Computes the inner values of a transformer once more instead of keeping them: less
            memory, more time. Needs `dropout`.
        seed: Of the order of rows, dropout and new weights.
        logging_steps: Steps between two lines of `train-log.jsonl`.
        save_strategy: Whether checkpoints are written.
        save_steps: Steps between two checkpoints.
        save_total_limit: Checkpoints that are kept.
        metric_for_best_model: A score of the recipe's `evaluate`, named as in `expect`: of the checkpoints that were
            kept, and the last step, the one with most of it becomes the model. Take a development set, for a set that
            chooses is no test any more.
        report_to: Experiment trackers, by their names in transformers, such as `tensorboard`; `none` for none.
        mini_batch_tokens: Most tokens (padding counted) that a forward pass holds at once; memory follows it, results
            do not. By default 1,024 on a CPU and 16,384 on a GPU; 4,194,304 for static models, which hold no
            activations of tokens.
        mini_batch_size: Most texts that a forward pass holds at once.
        gather_across_devices: Whether the rows of all processes are negatives of each other.
        dropout: Whether dropout is on in the trained towers.
        freeze: What is not trained: `none`, or names of groups (`ffn_out`, `attn_out`, `both`, `embeddings`; see
            `isogloss.training.groups`) and regular expressions over parameter names.
        master_dtype: In what the trained weights are kept and updated. `float32` loses steps below half the spacing of
            its numbers, `float64` does not (it computes in float64 too, and saves float32); `bfloat16` is refused
            below a learning rate of 1e-6, where nothing would move.
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
    optim: str = "adamw_torch_fused"
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
    metric_for_best_model: str | None = None
    report_to: str | list[str] = "none"
    mini_batch_tokens: int | None = Field(default=None, ge=1)
    mini_batch_size: int | None = Field(default=None, ge=1)
    gather_across_devices: bool = True
    dropout: bool = True
    freeze: list[str] = Field(default_factory=list)
    master_dtype: Literal["float32", "float64", "bfloat16"] = "float32"
    sparse_embeddings: bool = False

    @field_validator("freeze", mode="before")
    @classmethod
    def _one_or_none(cls, value: Any) -> Any:
        """A single word stands for a list of it, `none` for an empty one."""
        if isinstance(value, str):
            return [] if value == "none" else [value]
        return value

    @model_validator(mode="after")
    def _master_fits(self) -> TrainSettings:
        if self.master_dtype == "bfloat16" and self.learning_rate < LEAST_HALF_RATE:
            raise ValueError(
                f"master_dtype: bfloat16 needs a learning_rate of {LEAST_HALF_RATE:g} or more, for rounding takes "
                "smaller steps back; float32 or float64 take them"
            )
        if self.master_dtype != "float32" and self.sparse_embeddings:
            raise ValueError("sparse_embeddings: true needs master_dtype: float32")
        return self

    @model_validator(mode="after")
    def _best_fits(self) -> TrainSettings:
        if self.metric_for_best_model is not None and self.save_strategy == "no":
            raise ValueError("metric_for_best_model chooses among checkpoints, and save_strategy: no writes none")
        return self

    @model_validator(mode="after")
    def _checkpointing_fits(self) -> TrainSettings:
        if self.gradient_checkpointing and not self.dropout:
            raise ValueError(
                "gradient_checkpointing: true needs dropout: true, for transformers computes layers once more in "
                "training mode alone; to have no dropout, set its rates to 0 in the model's config.json"
            )
        return self

    @model_validator(mode="after")
    def _sparse_fits(self) -> TrainSettings:
        if self.optim == "sparse_adam" and not self.sparse_embeddings:
            raise ValueError("optim: sparse_adam needs sparse_embeddings: true")
        if self.sparse_embeddings and self.optim not in _TAKE_SPARSE:
            raise ValueError(f"sparse_embeddings: true needs an optim of {', '.join(_TAKE_SPARSE)}, not '{self.optim}'")
        if self.sparse_embeddings and self.max_grad_norm > 0:
            raise ValueError("sparse_embeddings: true needs max_grad_norm: 0, for sparse gradients are not clipped")
        return self


class EvaluateSettings(Section):
    """An evaluation that belongs to the run: `isogloss train` carries it out when the training is done.

    Attributes:
        data: The evaluation set.
        pairs: Pairs of query and passage languages.
        measures: Measures, by the names of ir_measures.
    """

    data: str
    pairs: list[str] = Field(default_factory=lambda: ["same", "to-en", "from-en"])
    measures: list[str] = Field(default_factory=lambda: ["nDCG@10"])


class Expectation(Section):
    """A score that the run should reach, above or below by no more than the tolerance; `isogloss train` checks it.

    Attributes:
        value: The score.
        tolerance: How far a score may be from it.
    """

    value: float
    tolerance: float = Field(default=0.01, ge=0)


class Recipe(Section):
    """A whole run.

    Paths in it are relative to the folder that the run is started in.

    Attributes:
        description: What the recipe is for, in a sentence.
        model: Which retriever is trained, and what of it.
        teacher: Where a teacher's vectors come from, for terms that match them.
        sources: Streams of training texts by name; every step takes a batch of each.
        objective: The terms whose weighted sum is trained.
        train: Optimisation.
        evaluate: Evaluations that belong to the run, carried out at its end.
        expect: Scores that they should find, by `set/pairs/measure/macro` (or `micro`, `worst`) or `set/de-en/measure`.
            With one missed, the exit code is 3.
        keep_apart: JSONL files of evaluation sets whose texts no source may hold: rows with one of them are dropped.
        plugins: Python files with terms of your own; they are code that runs with your rights.
        dimensions: Nested dimensions: each term counts at all of them, as `[320, 128, 64]` or with weights as
            `{320: 1.0, 128: 0.5}`. The largest is the model's own. Vectors may then be cut to any of them.
    """

    description: str = ""
    plugins: list[str] = Field(default_factory=list)
    keep_apart: list[str] = Field(default_factory=list)
    model: ModelSettings = Field(default_factory=ModelSettings)
    teacher: TeacherSettings | None = None
    sources: dict[str, SourceSettings] = Field(min_length=1)
    objective: list[TermSettings] = Field(min_length=1)
    dimensions: dict[Annotated[int, Field(ge=1)], Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    train: TrainSettings = Field(default_factory=TrainSettings)
    evaluate: list[EvaluateSettings] = Field(default_factory=list)
    expect: dict[str, Expectation] = Field(default_factory=dict)

    @field_validator("dimensions", mode="before")
    @classmethod
    def _weighted(cls, value: Any) -> Any:
        """A list stands for weights of 1."""
        if not isinstance(value, list):
            return value
        if len(set(map(str, value))) < len(value):
            raise ValueError("names a number twice")
        return dict.fromkeys(value, 1.0)

    @model_validator(mode="after")
    def _lora_fits(self) -> Recipe:
        if self.model.lora is not None and self.train.freeze:
            raise ValueError("train.freeze has no meaning beside model.lora, which freezes all but its adapters")
        return self

    def to_yaml(self) -> str:
        """The recipe with every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def digest(self) -> str:
        """Hash over everything that changes what the steps of a run compute: no logging, saving or evaluation does."""
        content = self.model_dump(mode="json", exclude={"description", "evaluate", "expect"})
        if not self.plugins:
            content.pop("plugins")
        if not self.keep_apart:
            content.pop("keep_apart")
        if not self.dimensions:
            content.pop("dimensions")
        if self.model.lora is None:
            content["model"].pop("lora")
        for field in AFTER_THE_STEPS:
            content["model"].pop(field)
        if self.train.master_dtype == "float32":
            content["train"].pop("master_dtype")
        for field in _WITHOUT_EFFECT_ON_STEPS:
            content["train"].pop(field)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
