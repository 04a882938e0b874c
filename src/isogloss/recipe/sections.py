"""The sections of a recipe as dataclasses: every field with its meaning, its default and its bounds."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


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
    """A static model made from texts: its vocabulary, and vectors to begin with.

    Attributes:
        parallel: Files with many languages a line, or two-column files; patterns may be given.
        rows: Files of training rows.
        lexicons: Files of words in many languages; like `parallel` they say which pieces mean the same.
        languages: Languages whose texts make the vocabulary.
        favoured: Those of them that weigh `favour` times as much as others.
        favour: That factor.
        english: Weight of English.
        start: `random` gives each piece a random direction; `translations` turns those of other languages towards
            the English pieces that they go with in `parallel` and `lexicons`.
        own_direction: How much of its own direction a piece keeps there, from 0 to 1 (ours).
        lexicon_weight: What a line of a lexicon counts there; a line of a parallel file counts 1 (ours).
        file_weights: Factors on files by the beginning of their names, for the counts of translations.
        teacher: Path or name of a retriever whose vectors of English words take the place of random directions.
        teacher_share: Cosine of such a direction and the teacher's, from 0 to 1 (ours).
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
    lexicons: list[str] = Field(default_factory=list)
    languages: list[str] = Field(min_length=1)
    favoured: list[str] = Field(default_factory=list)
    favour: float = Field(default=4.0, gt=0)
    english: float = Field(default=5.0, gt=0)
    start: Literal["random", "translations"] = "random"
    own_direction: float = Field(default=0.3, ge=0, le=1)
    lexicon_weight: float = Field(default=2.0, gt=0)
    file_weights: dict[str, float] = Field(default_factory=dict)
    teacher: str | None = None
    teacher_share: float = Field(default=0.8, ge=0, le=1)
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


class LoraSettings(_Section):
    """Low-rank adapters that are trained in place of the backbone's weights, and added into these in the end.

    Attributes:
        rank: r, rows of each adapter's inner side.
        alpha: α; an adapter counts α/r.
        dropout: On the adapters' inputs.
        targets: `all` linear layers, or the ends of the names of some, such as `query` and `value`.
    """

    rank: int = Field(default=8, ge=1)
    alpha: int = Field(default=16, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: Literal["all"] | list[str] = "all"


class KeepSettings(_Section):
    """How much of the vectors that a static model begins with is in those that are saved.

    Attributes:
        direction: Weight of a piece's first direction beside 1 for the trained one (ours).
        length: Share of its first length in the geometric mean of both lengths (ours).
        power: Exponent on that mean; above 1, rare pieces, which are long, count still more than frequent ones (ours).
    """

    direction: float = Field(default=0.0, ge=0)
    length: float = Field(default=0.0, ge=0, le=1)
    power: float = Field(default=1.0, gt=0)


# What they change is done to the trained model: a finished run is saved with other values without a new step.
_AFTER_THE_STEPS = ("precision", "keep_of_start", "whitening")


class ModelSettings(_Section):
    """Which retriever is trained, and what of it.

    Attributes:
        base: Path or name of a model; `bundled` is the one that comes with isogloss, `new` one made by `new`.
        new: What a new model is made from.
        precision: `float16` or `int8` makes the folder of a static model a half or a quarter as large as float32 does.
        towers: `shared` trains one encoder for both roles, `separate` two, `frozen_passage` the query tower alone.
        passages_from: `bank` reads the vectors of frozen passages instead of computing them.
        bank: Folder of that bank.
        lora: Trains low-rank adapters alone; the saved model is a plain one.
        keep_of_start: Mixes the vectors that a static model began with into those that are saved.
        whitening: How far the pieces of a static model that is saved vary alike along all axes: 1 altogether.
    """

    base: str = "bundled"
    new: NewModelSettings | None = None
    precision: Literal["as_is", "float16", "int8"] = "as_is"
    towers: Literal["shared", "separate", "frozen_passage"] = "shared"
    passages_from: Literal["tower", "bank"] = "tower"
    bank: str | None = None
    lora: LoraSettings | None = None
    keep_of_start: KeepSettings | None = None
    whitening: float = Field(default=0.0, ge=0, le=1)

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

    @model_validator(mode="after")
    def _whitening_fits(self) -> ModelSettings:
        if self.whitening and self.towers == "frozen_passage":
            raise ValueError("whitening turns both towers, and towers: frozen_passage keeps the one of the passages")
        return self


class TeacherSettings(_Section):
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


LEAST_HALF_RATE = 1e-6
_TAKE_SPARSE = ("sparse_adam", "adagrad", "sgd")


_WITHOUT_EFFECT_ON_STEPS = (
    "logging_steps", "save_strategy", "save_steps", "save_total_limit", "metric_for_best_model", "report_to",
)  # fmt: skip


class TrainSettings(_Section):
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


class EvaluateSettings(_Section):
    """An evaluation that belongs to the run: `isogloss train` carries it out when the training is done.

    Attributes:
        data: The evaluation set.
        pairs: Pairs of query and passage languages.
        measures: Measures, by the names of ir_measures.
    """

    data: str
    pairs: list[str] = Field(default_factory=lambda: ["same", "to-en", "from-en"])
    measures: list[str] = Field(default_factory=lambda: ["nDCG@10"])


class Expectation(_Section):
    """A score that the run should reach, above or below by no more than the tolerance; `isogloss train` checks it.

    Attributes:
        value: The score.
        tolerance: How far a score may be from it.
    """

    value: float
    tolerance: float = Field(default=0.01, ge=0)


class Recipe(_Section):
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
        for field in _AFTER_THE_STEPS:
            content["model"].pop(field)
        if self.train.master_dtype == "float32":
            content["train"].pop("master_dtype")
        for field in _WITHOUT_EFFECT_ON_STEPS:
            content["train"].pop(field)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
