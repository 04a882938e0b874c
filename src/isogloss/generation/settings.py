"""What can be set: the recipe of a generator, scoring, and generation. Values marked "ours" are in no paper."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from isogloss.generation.prompts import DEFAULT_PROMPT


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NewGeneratorSettings(_Section):
    """A small T5 from nothing, with a tokenizer of its own made from the rows; all values are ours.

    Attributes:
        pieces: Size of the vocabulary.
        dimension: Width of the model.
        layers: Layers of the encoder, and of the decoder.
        heads: Attention heads.
        feed_forward: Width of the feed-forward layers.
        dropout: Dropout rate.
        seed: Of the random weights.
    """

    pieces: int = Field(default=8000, ge=50)
    dimension: int = Field(default=128, ge=8)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    feed_forward: int = Field(default=256, ge=8)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    seed: int = Field(default=13, ge=0)

    @model_validator(mode="after")
    def _heads_fit(self) -> NewGeneratorSettings:
        if self.dimension % self.heads:
            raise ValueError(f"dimension {self.dimension} is no multiple of heads {self.heads}")
        return self


class ModelSettings(_Section):
    """Which generator is trained, and what it reads and writes.

    Attributes:
        base: Folder or hub name of an encoder-decoder, a generator trained before, or `new`.
        new: What a new one is made of.
        prompt: What the generator reads; a generator trained before keeps its own where this is left out.
        max_source_tokens: Longest prompt with passage, cut at its end.
        max_query_tokens: Longest query.
        count_eos: Whether the end-of-sequence token counts as a token of the query, in |q| and in the sum.
    """

    base: str = "google/mt5-base"
    new: NewGeneratorSettings | None = None
    prompt: str | None = None
    max_source_tokens: int = Field(default=128, ge=8)
    max_query_tokens: int = Field(default=32, ge=2)
    count_eos: bool = True

    @model_validator(mode="after")
    def _new_fits(self) -> ModelSettings:
        if (self.base == "new") != (self.new is not None):
            raise ValueError("base: new and the section 'new' belong together")
        return self

    @property
    def template(self) -> str:
        """The prompt, or the default one."""
        return self.prompt if self.prompt is not None else DEFAULT_PROMPT


class RowsSettings(_Section):
    """The labelled rows (passage, query, language of the query).

    Attributes:
        path: File or files.
        languages: Languages of the query that are taken; all where it is left out.
        per_language: Most rows of a language, drawn by the seed.
        development_share: Share of the passages whose rows are held out to choose the best step.
        development_rows: Most rows held out.
        negatives: Most negative passages of a row, for the ranking stage.
    """

    path: str | list[str] = Field(min_length=1)
    languages: list[str] | None = None
    per_language: int | None = Field(default=None, ge=1)
    development_share: float = Field(default=0.05, ge=0, lt=1)
    development_rows: int = Field(default=500, ge=1)
    negatives: int = Field(default=15, ge=1)

    @property
    def paths(self) -> list[str]:
        """The files, always as a list."""
        return [self.path] if isinstance(self.path, str) else list(self.path)


class GeneratorTrainSettings(_Section):
    """Optimisation, under Hugging Face's names.

    Attributes:
        stage: `generation` maximises the likelihood of the queries, `ranking` that of the passage among its negatives.
        learning_rate: Highest learning rate, after the warm-up.
        max_steps: Steps of the run.
        warmup_steps: Steps over which the rate rises from 0.
        lr_scheduler_type: How the rate falls, by its name in transformers.
        optim: Optimiser, by its name in transformers.
        weight_decay: Weight decay.
        max_grad_norm: Norm to which gradients are clipped; 0 clips nothing.
        bf16: `auto` computes in bfloat16 where a GPU does.
        dropout: Whether dropout is on.
        seed: Of the order of rows and dropout.
        logging_steps: Steps between two lines of the log.
        save_steps: Steps between two checkpoints.
        save_total_limit: Checkpoints that are kept.
        generation_weight: λ, weight of the generation loss in the ranking stage, so that it still generates.
        batch: Rows of a step.
        mini_batch_tokens: Most tokens (padding counted) of a forward pass; memory follows it, results do not.
        eval_steps: Steps between two looks at the held-out rows.
        keep: `best` saves the weights with the lowest held-out loss, `last` those of the last step.
    """

    stage: Literal["generation", "ranking"] = "generation"
    generation_weight: float = Field(default=0.0, ge=0)
    learning_rate: float = Field(default=1e-4, gt=0)
    max_steps: int = Field(default=2000, ge=1)
    batch: int = Field(default=128, ge=1)
    warmup_steps: int = Field(default=0, ge=0)
    lr_scheduler_type: str = "linear"
    optim: str = "adamw_torch"
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, ge=0)
    bf16: Literal["auto", "always", "never"] = "auto"
    dropout: bool = True
    seed: int = Field(default=13, ge=0)
    mini_batch_tokens: int = Field(default=8192, ge=1)
    eval_steps: int = Field(default=200, ge=1)
    keep: Literal["best", "last"] = "best"
    logging_steps: int = Field(default=20, ge=1)
    save_steps: int = Field(default=200, ge=1)
    save_total_limit: int | None = Field(default=2, ge=1)


class GeneratorRecipe(_Section):
    """A whole run of a generator's training.

    Attributes:
        description: What the recipe is for, in a sentence.
        model: Which generator is trained, and what it reads and writes.
        rows: The labelled rows.
        train: Optimisation.
    """

    description: str = ""
    model: ModelSettings = Field(default_factory=ModelSettings)
    rows: RowsSettings
    train: GeneratorTrainSettings = Field(default_factory=GeneratorTrainSettings)

    def digest(self) -> str:
        """Hash over everything that changes what a run computes."""
        content: dict[str, Any] = self.model_dump(mode="json", exclude={"description"})
        for name in ("logging_steps", "save_steps", "save_total_limit"):
            content["train"].pop(name)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class ScoreSettings(_Section):
    """How a generator scores candidates.

    Attributes:
        length_norm: Whether f_qg is the mean over the query's tokens (a temperature of its own) or their sum.
        batch_tokens: Most tokens (padding counted) of a forward pass.
        negatives: Most negative passages of a row that are kept and scored; all where it is left out.
    """

    length_norm: bool = True
    batch_tokens: int = Field(default=8192, ge=1)
    negatives: int | None = Field(default=None, ge=1)


class GenerateSettings(_Section):
    """What is generated, and what of it is kept.

    Attributes:
        queries_per_language: Queries for a passage in each language.
        seed: Of sampling, of query types and of length bands.
        batch: Passages that are written for at once.
        top_k: Sampling among the k likeliest tokens.
        temperature: Of sampling; 0 takes the likeliest token.
        max_new_tokens: Longest query.
        query_types: Types that are drawn for an endpoint's queries.
        length_bands: Length bands that are drawn for them.
        shortest_passage: Fewest characters of a corpus's passage; shorter ones are left out and counted.
        longest_passage: Most characters of it; no bound where it is left empty.
        language_filter: Whether a query must be in the language that was asked for.
        least_language_probability: Probability from which the language identifier's second choices still count.
        duplicate_filter: Whether a query that stands already for the passage, or for two passages, is dropped.
        copy_filter: Whether a query that copies a longer span of the passage is dropped.
        longest_copy: Longest copied span in words (in unspaced scripts: three characters each).
        reference_filter: Whether a query that speaks of "the document" or "the text" is dropped.
        round_trip_k: Ranks within which the retriever must find the passage; 0 is no such filter.
        weight: `one`, or `teacher`: T(p⁺|q′), the generator's probability of the passage among the row's candidates.
        teacher_round_trip: Whether the generator must rank the passage first among the row's candidates.
    """

    queries_per_language: int = Field(default=10, ge=1)
    seed: int = Field(default=13, ge=0)
    batch: int = Field(default=8, ge=1)
    top_k: int = Field(default=10, ge=1)
    temperature: float = Field(default=1.0, ge=0)
    max_new_tokens: int = Field(default=32, ge=1)
    query_types: list[str] = Field(
        default=["question", "keyword", "title-like", "claim", "task description"], min_length=1
    )
    length_bands: list[str] = Field(default=["short", "medium", "long"], min_length=1)
    shortest_passage: int = Field(default=200, ge=0)
    longest_passage: int | None = Field(default=2000, ge=1)
    language_filter: bool = True
    least_language_probability: float = Field(default=0.1, ge=0, le=1)
    duplicate_filter: bool = True
    copy_filter: bool = True
    longest_copy: int = Field(default=8, ge=1)
    reference_filter: bool = True
    round_trip_k: int = Field(default=0, ge=0)
    weight: Literal["one", "teacher"] = "one"
    teacher_round_trip: bool = False
