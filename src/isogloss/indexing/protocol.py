"""What an index is, whatever engine holds it: passages with vectors that can be added, replaced, deleted and searched.

An engine keeps four promises, which `tests/indexing/conformance.py` checks on each of them:

1. What was acknowledged stays: when `add`, `update` or `delete` has returned, a killed process loses nothing of it.
2. A filter never shortens a result: k passages are found wherever k are allowed, by exact search if need be.
3. Results follow trec_eval's order: score descending, passage id descending.
4. A query tower that does not belong to the vectors is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.hashing import parts_digest
from isogloss.errors import DataError, Fault, StaleBankError, UsageError, raise_faults
from isogloss.records import Text

PRECISIONS = ("float32", "float16", "int8")
Value = str | int | bool
Scores = dict[str, float]


@dataclass(frozen=True)
class Where:
    """Which passages may be found; all, where nothing is said.

    Attributes:
        languages: Normalised tags; a passage is in one of them.
        metadata: Values by key of the passages' metadata, one or several: a passage must have one of them, or a list
            that holds one of them. A number and its digits are not equal, nor are 1 and true.
    """

    languages: tuple[str, ...] = ()
    metadata: Mapping[str, Value | Sequence[Value]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.languages or self.metadata)

    def wanted(self) -> dict[str, list[Value]]:
        """The allowed values of each metadata key, as lists."""
        return {key: [value] if isinstance(value, (str, int)) else list(value) for key, value in self.metadata.items()}

    def allows(self, passage: Text) -> bool:
        """Whether a passage may be found."""
        if self.languages and passage.language not in self.languages:
            return False
        metadata = passage.metadata or {}
        return all(_matches(metadata.get(key), values) for key, values in self.wanted().items())


EVERY_PASSAGE = Where()


@dataclass(frozen=True)
class Change:
    """A change of an index that has begun: what a stopped one is known by.

    Attributes:
        kind: `add`, `update` or `delete`.
        digest: SHA-256 of what it takes in: the manifest of a bank, or ids.
        source: The same for people.
    """

    kind: str
    digest: str
    source: str

    def is_of(self, other: Change) -> bool:
        """Whether both are the same change; a bank may have been moved meanwhile."""
        return (self.kind, self.digest) == (other.kind, other.digest)

    def __str__(self) -> str:
        return f"--{self.kind} of {self.source}"


@dataclass(frozen=True)
class IndexAbout:
    """What an index says of itself.

    Attributes:
        engine: Name of the engine.
        parts: What made the vectors, by named part: the fingerprint of the passage tower.
        dimension: Length of a vector.
        precision: How vectors are kept: `float32`, `float16`, or `int8` with a rescoring by float16.
        building: What an unfinished build reads from; empty where the index is finished.
        no_words: Languages that its lexical index leaves out, sorted.
        word_parts: Whether the parts of words are terms of its lexical index beside the words.
        changing: The change that is going on, or was stopped before its end.
        graph: The `graph_degree` and `build_effort` that a build began with; None where that is not known.
    """

    engine: str
    parts: Mapping[str, str]
    dimension: int
    precision: str = "float16"
    building: str = ""
    no_words: tuple[str, ...] = ()
    word_parts: bool = True
    changing: Change | None = None
    graph: tuple[int, int] | None = None

    @property
    def digest(self) -> str:
        """One digest over all parts of the fingerprint."""
        return parts_digest(self.parts)

    def require(self, fingerprint: Any, place: str) -> None:
        """Checks that the passage tower with this fingerprint made the vectors.

        Args:
            fingerprint: The tower's fingerprint, or its parts.
            place: The index, for the message.

        Raises:
            StaleBankError: If another model, tokenizer, prompt, pooling, length or precision did, saying which part.
        """
        parts: Mapping[str, str] = getattr(fingerprint, "parts", fingerprint)
        faults = [
            Fault(name, f"the index has {_short(self.parts.get(name))}, the model has {_short(parts.get(name))}")
            for name in sorted({*self.parts, *parts})
            if self.parts.get(name) != parts.get(name)
        ]
        next_step = "Load the model that encoded the passages, or encode and index them again with this one."
        raise_faults(StaleBankError, f"{place} was made by another model", faults, next_step)


class Index(Protocol):
    """An engine that holds passages and their vectors.

    One process writes at a time. Whether others may read meanwhile is said by each engine.

    Attributes:
        url: Where it is.
        part: Passages after which a build calls `optimize`, so that a killed one need not do all of that again; 0
            where that is best done once, over all.
    """

    url: str
    part: int

    @property
    def about(self) -> IndexAbout:
        """What made the vectors, and how they are kept."""

    def add(self, passages: Sequence[Text], vectors: NDArray[Any]) -> None:
        """Adds passages that are not there yet; on return they are durable and can be found.

        Args:
            passages: Passages with ids of their own.
            vectors: Shape (passages, dimension), of the tower that `about` names.

        Raises:
            DataError: An id is there already or appears twice, or a vector is not finite; nothing was added then.
        """

    def update(self, passages: Sequence[Text], vectors: NDArray[Any]) -> None:
        """Adds passages, replacing those with the same ids; else as `add`."""

    def delete(self, ids: Sequence[str]) -> None:
        """Removes passages.

        Raises:
            DataError: An id is not there; nothing was removed then.
        """

    def search(self, vectors: NDArray[Any], *, k: int, where: Where = EVERY_PASSAGE) -> list[Scores]:
        """Finds the k best passages for each vector: id to score, best first.

        Fewer than k only where fewer are allowed.
        """

    def passages(self, ids: Sequence[str]) -> list[Text]:
        """The passages with these ids, in their order.

        Raises:
            DataError: An id is not there.
        """

    def all_passages(self) -> Iterator[Text]:
        """Every passage, in an order that stays the same as long as nothing is written."""

    def known(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that are there."""

    def count(self, where: Where = EVERY_PASSAGE) -> int:
        """How many passages are allowed."""

    def languages(self) -> dict[str, int]:
        """Passages by language, those without one left out."""

    def optimize(self) -> None:
        """Builds what makes searches fast; results are right without it."""

    def finish(self) -> None:
        """Marks a build as finished."""

    def note_change(self, change: Change | None) -> None:
        """Has `about` say that a change is going on; None that none is.

        Raises:
            UsageError: A bank, which is only read.
        """

    def leave_out_words(self, languages: Sequence[str]) -> None:
        """Has the lexical index leave out these languages, and no others; `about` says so from then on.

        Raises:
            UsageError: A bank, which is only read.
        """

    def snapshot(self, path: str) -> None:
        """Writes a copy of the index as it is now to a place that holds nothing.

        Raises:
            UsageError: The engine has tools of its own for that; the message names them.
        """

    def close(self) -> None:
        """Lets go of the engine; the index is not used afterwards."""


def check_write(passages: Sequence[Text], vectors: NDArray[Any], dimension: int) -> NDArray[np.float32]:
    """The vectors as float32, after checking them and the ids.

    Raises:
        UsageError: The shape does not fit.
        DataError: Ids that appear twice or are empty, or vectors that are not finite, all of them.
    """
    if np.shape(vectors) != (len(passages), dimension):
        raise UsageError(f"vectors: shape {np.shape(vectors)} (allowed: {(len(passages), dimension)})")
    matrix = np.asarray(vectors, dtype=np.float32)
    seen: set[str] = set()
    faults = []
    usable: NDArray[np.bool_] = np.asarray(np.isfinite(matrix).all(axis=1))
    for row, passage in enumerate(passages):
        if not passage.id or passage.id in seen:
            faults.append(Fault(f"id {passage.id!r}", "appears twice" if passage.id else "is empty"))
        if not usable[row]:
            faults.append(Fault(f"id {passage.id}", "its vector has a value that is not a finite number"))
        seen.add(passage.id)
    raise_faults(DataError, "Passages to index", faults, "Nothing was written.")
    return matrix


def refuse_known(known: set[str], place: str) -> None:
    """Raises a `DataError` that names the ids which are there already."""
    faults = [Fault(f"id {name}", "is in the index already") for name in sorted(known)]
    raise_faults(DataError, place, faults, "Nothing was written; to replace passages, update them.")


def refuse_unknown(ids: Sequence[str], known: set[str], place: str) -> None:
    """Raises a `DataError` that names the ids which are not there."""
    faults = [Fault(f"id {name}", "is not in the index") for name in dict.fromkeys(ids) if name not in known]
    raise_faults(DataError, place, faults, "Nothing was changed.")


def check_where(metadata: Mapping[str, Any]) -> None:
    """Refuses values that some engine cannot compare.

    Raises:
        UsageError: Keys with quotes or backslashes, or values that are no words, whole numbers or truth values, all.
    """
    faults = [
        Fault("metadata", f"key {key!r}", "no quotes, no backslashes") for key in metadata if set(key) & set('"\\')
    ]
    for key, given in metadata.items():
        values = given if isinstance(given, (list, tuple)) else [given]
        faults += [
            Fault(f"metadata {key}", f"{value!r}", "words, whole numbers of 64 bits, true and false can be filtered by")
            for value in values
            if not isinstance(value, (str, int)) or (isinstance(value, int) and not -(2**63) <= value < 2**63)
        ]
    raise_faults(UsageError, "metadata", faults)


def ordered(scores: Mapping[str, float], k: int) -> Scores:
    """The k best of one query in trec_eval's order."""
    by_rule = sorted(((float(np.float32(score)), name) for name, score in scores.items()), reverse=True)
    return {name: score for score, name in by_rule[:k]}


def _matches(found: Any, values: Sequence[Value]) -> bool:
    there = found if isinstance(found, list) else [found]
    return any(type(one) is type(value) and one == value for one in there for value in values)


def _short(value: str | None) -> str:
    if value is None:
        return "none"
    return repr(value if len(value) <= 60 else value[:12] + "…")
