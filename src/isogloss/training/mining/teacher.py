"""A teacher's scores of each row's candidates: any cross-encoder of sentence-transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from isogloss.errors import DataError, Fault, MissingExtraError, ModelError, raise_faults
from isogloss.models.hub import resolve_model
from isogloss.records import Row

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder


class Teacher(Protocol):
    """Scores pairs of a query and a passage."""

    name: str

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """A score for each pair, higher where the passage answers the query better."""


class CrossEncoderTeacher:
    """A cross-encoder as teacher; its scores are logits, without the activation that its folder may name.

    A sigmoid would press the scores of clear cases together, and both distillation terms compare differences.

    Args:
        model: The cross-encoder.
        name: Name that is recorded with the scores.
        batch_size: Pairs that are scored at once.

    Raises:
        ModelError: If it gives several scores for a pair.
    """

    def __init__(self, model: CrossEncoder, name: str, *, batch_size: int = 32) -> None:
        if model.num_labels != 1:
            raise ModelError(
                f"{name} gives {model.num_labels} scores for a pair of texts, not one",
                next_step="Take a cross-encoder that was trained to rank.",
            )
        self.name = name
        self._model = model
        self._batch_size = batch_size

    @classmethod
    def load(cls, path_or_name: str, *, batch_size: int = 32) -> CrossEncoderTeacher:
        """Loads a folder or a name on the hub; code that comes with it does not run.

        Raises:
            ModelError: If it cannot be loaded.
            MissingExtraError: If sentence-transformers is not installed.
        """
        try:
            from sentence_transformers import CrossEncoder
        except ModuleNotFoundError as missing:
            raise MissingExtraError("A cross-encoder as teacher", "train") from missing
        folder = resolve_model(path_or_name)
        try:
            # Weights come from safetensors or not at all: other checkpoints are pickles.
            model = CrossEncoder(str(folder), trust_remote_code=False, model_kwargs={"use_safetensors": True})
        except (OSError, ValueError, KeyError) as error:
            first_line = str(error).strip().split("\n")[0]
            raise ModelError(
                f"the teacher {path_or_name} cannot be loaded: {first_line}",
                next_step="Give a cross-encoder's folder, or its name on the hub.",
            ) from error
        return cls(model, path_or_name, batch_size=batch_size)

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Logits of the pairs; equal pairs are scored once."""
        import torch

        unique = list(dict.fromkeys(pairs))
        found = self._model.predict(
            unique,
            batch_size=self._batch_size,
            show_progress_bar=False,
            activation_fn=torch.nn.Identity(),
            convert_to_numpy=True,
        )
        values = dict(zip(unique, np.asarray(found, dtype=np.float64).reshape(-1).tolist(), strict=True))
        return [values[pair] for pair in pairs]


def teacher_scores(rows: Sequence[Row], passages: Sequence[str], teacher: Teacher) -> list[tuple[float, ...]]:
    """A teacher's scores of each row's candidates: its passage first, then its negative passages in their order.

    Args:
        rows: Rows with negatives.
        passages: The text of each row's passage, with its title where it has one.
        teacher: Scores pairs.

    Raises:
        DataError: If scores are not finite, with all the rows.
    """
    candidates = [(passage, *row.negative_passages) for row, passage in zip(rows, passages, strict=True)]
    pairs = [(row.query, text) for row, texts in zip(rows, candidates, strict=True) for text in texts]
    scores = iter(teacher.score(pairs))
    found = [tuple(next(scores) for _ in texts) for texts in candidates]
    faults = [
        Fault(f"row {row.row_id}", "has a score that is not a finite number")
        for row, values in zip(rows, found, strict=True)
        if not np.isfinite(values).all()
    ]
    raise_faults(DataError, f"Scores of {teacher.name}", faults, "Take another teacher.")
    return found
