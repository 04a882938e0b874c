"""Vectors that training reads and does not compute: frozen passages from a bank, a teacher's from bank or model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.bank import Bank
from isogloss.errors import DataError, Fault, RecipeError, raise_faults
from isogloss.recipe import TeacherSettings
from isogloss.records import Role, Text
from isogloss.training.encoders import ComputedVectors, VectorStore
from isogloss.training.texts import MISSING, Ids, TextTable

if TYPE_CHECKING:
    from isogloss.models.retriever import Retriever

PROJECTION_SAMPLE = 20_000


class Student(Protocol):
    """What a teacher must know of its student."""

    @property
    def dimension(self) -> int:
        """Length of its vectors."""

    def encode(self, texts: Sequence[str], *, role: Role) -> NDArray[np.float32]:
        """Unit vectors, shape (texts, dimension)."""


class BankVectors:
    """Vectors of a bank, found by the text.

    Args:
        bank: The bank.
        texts: Texts of the run.
        whole_text: How a passage of the bank is written in a row: with its title.
    """

    def __init__(self, bank: Bank, texts: TextTable, whole_text: Callable[[Text], str]) -> None:
        self._bank = bank
        self._texts = texts
        self._ids: dict[int, str] = {}
        for text in bank.texts():
            number = texts.number(whole_text(text))
            if number != MISSING:
                self._ids.setdefault(number, text.id)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._bank.dimension

    def holds(self, numbers: Ids) -> NDArray[np.bool_]:
        """Whether the bank has each text."""
        return np.asarray([number in self._ids for number in numbers.tolist()], dtype=np.bool_)

    def vectors(self, numbers: Ids) -> NDArray[np.float32]:
        """Vectors of some texts, float32.

        Raises:
            DataError: If the bank lacks some, with all of them.
        """
        self.require(numbers)
        return self._bank.get([self._ids[number] for number in numbers.tolist()])

    def require(self, numbers: Ids) -> None:
        """Checks that the bank has all of some texts.

        Raises:
            DataError: With every text that it lacks.
        """
        missing = numbers[~self.holds(numbers)]
        faults = [Fault("", f"not there: {self._texts[number][:80]!r}") for number in missing.tolist()]
        step = "Add them with `isogloss encode --append`, or set model.passages_from=tower."
        raise_faults(DataError, f"the bank {self._bank.path} lacks texts of the training rows", faults, step)


def passage_bank(path: str, retriever: Retriever, texts: TextTable, wanted: Ids) -> VectorStore:
    """Vectors of the passages from a bank of this retriever's passage tower.

    Args:
        path: Folder of the bank.
        retriever: Its passage tower must have made the bank.
        texts: Texts of the run.
        wanted: Texts that the rows need.

    Raises:
        DataError: If the bank lacks some of them.
        StaleBankError: If another tower made it.
    """
    bank = Bank.open(Path(path))
    bank.require(retriever.passage.fingerprint)
    stored = BankVectors(bank, texts, retriever.passage.whole_text)
    stored.require(wanted)
    return ComputedVectors(stored.vectors)


def teacher_vectors(settings: TeacherSettings, texts: TextTable, wanted: Ids, student: Student) -> VectorStore:
    """A teacher's vectors of texts: from its bank where that has them, else from its model.

    The model encodes as the bank was made, with the passage tower; without a bank with the query tower, for sentences
    are compared with sentences.

    Args:
        settings: The recipe's teacher.
        texts: Texts of the run.
        wanted: Texts that it will be asked for.
        student: The student before its training.

    Raises:
        DataError: If there is a bank alone and it lacks some texts.
        RecipeError: If the vectors have another length than the student's and nothing projects them.
        StaleBankError: If there are both and another model made the bank.
    """
    bank = Bank.open(Path(settings.bank)) if settings.bank else None
    stored = BankVectors(bank, texts, lambda text: text.text) if bank is not None else None
    model = None
    role: Role = "query" if bank is None else "passage"
    if settings.model is not None and (stored is None or not stored.holds(wanted).all()):
        from isogloss.models.retriever import Retriever

        model = Retriever.load(settings.model, on_overflow="ignore")
        if bank is not None:
            bank.require(model.passage.fingerprint)
    elif stored is not None:
        stored.require(wanted)

    def encode(numbers: Ids) -> NDArray[np.float32]:
        held = stored.holds(numbers) if stored is not None else np.zeros(len(numbers), dtype=np.bool_)
        parts: dict[bool, NDArray[np.float32]] = {}
        if stored is not None and held.any():
            parts[True] = stored.vectors(numbers[held])
        if model is not None and not held.all():
            parts[False] = model.encode(texts.texts(numbers[~held].tolist()), role=role)
        vectors = np.zeros((len(numbers), next(iter(parts.values())).shape[1]), dtype=np.float32)
        for side, part in parts.items():
            vectors[held == side] = part
        return vectors

    size = stored.dimension if stored is not None else model.dimension if model is not None else student.dimension
    turn = _turn(settings, encode, size, texts, _sample(wanted), student)
    return ComputedVectors(encode if turn is None else lambda numbers: _unit(encode(numbers) @ turn))


def _turn(
    settings: TeacherSettings,
    encode: Callable[[Ids], NDArray[np.float32]],
    size: int,
    texts: TextTable,
    sample: Ids,
    student: Student,
) -> NDArray[np.float32] | None:
    """The matrix that brings the teacher's vectors among the student's, shape (size, student's), if one is needed."""
    if settings.projection == "procrustes":
        return nearest_turn(encode(sample), student.encode(texts.texts(sample.tolist()), role="query"))
    if size == student.dimension:
        return None
    if settings.projection == "none" or size < student.dimension:
        raise RecipeError(
            f"the teacher's vectors have {size} dimensions, the student's {student.dimension}",
            next_step="Set teacher.projection to procrustes, or to pca where the teacher's are more.",
        )
    return principal_axes(encode(sample), student.dimension)


def principal_axes(vectors: NDArray[np.float32], dimension: int) -> NDArray[np.float32]:
    """Directions of greatest energy, shape (dim, dimension), about the origin, so that cosines keep their meaning."""
    energy = vectors.astype(np.float64).T @ vectors.astype(np.float64)
    _, directions = np.linalg.eigh(energy)
    axes: NDArray[np.float32] = directions[:, ::-1][:, :dimension].astype(np.float32)
    return axes


def nearest_turn(vectors: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """The turn that brings vectors nearest to others of the same texts (orthogonal Procrustes; Schönemann 1966).

    Args:
        vectors: What is turned, shape (texts, dim).
        others: Where to, shape (texts, other dim).

    Returns:
        A matrix of shape (dim, other dim); where `dim` is not the larger, it changes no cosine.
    """
    left, _, right = np.linalg.svd(vectors.astype(np.float64).T @ others.astype(np.float64), full_matrices=False)
    turn: NDArray[np.float32] = (left @ right).astype(np.float32)
    return turn


def _sample(numbers: Ids) -> Ids:
    if len(numbers) <= PROJECTION_SAMPLE:
        return numbers
    return np.random.default_rng(0).choice(numbers, size=PROJECTION_SAMPLE, replace=False)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (vectors / np.maximum(length, 1e-12)).astype(np.float32)
    return unit
