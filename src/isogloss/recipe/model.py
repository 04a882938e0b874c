"""The section `model` of a recipe: which retriever is trained, what it is made of, what is done to it at the end."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from isogloss.recipe.base import Section


class NewModelSettings(Section):
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


class LoraSettings(Section):
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


class KeepSettings(Section):
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
AFTER_THE_STEPS = ("precision", "keep_of_start", "whitening")


class ModelSettings(Section):
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
