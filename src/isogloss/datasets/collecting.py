"""What every reader does with a record: check id, text and language, and remember the faults with their places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isogloss.errors import DataError, Fault, UnknownLanguageError, raise_faults
from isogloss.languages import is_undetermined, normalize
from isogloss.records import EvalSet, Text

NOT_KNOWN = "Where nobody knows it, leave it out, or give und."
MEND = "Mend these places; nothing was loaded."


@dataclass
class Languages:
    """Language tags of one input, normalised; an unknown tag is one fault, however many lines carry it."""

    faults: list[Fault]
    _known: dict[object, str | None] = field(default_factory=dict)
    _unknown: dict[object, tuple[int, str, int]] = field(default_factory=dict)

    def read(self, tag: object, where: str) -> str | None:
        """The normalised tag, or None where there is none, it says that nobody knows (`und`), or it is unknown.

        Args:
            tag: The tag as written, None where the record has none.
            where: Place of the record.
        """
        if tag is None or tag == "":
            return None
        key = tag if isinstance(tag, str) else repr(tag)
        if is_undetermined(key):
            return None
        if key not in self._known:
            try:
                self._known[key] = normalize(key)
            except UnknownLanguageError as error:
                self._known[key] = None
                self._unknown[key] = (len(self.faults), error.message, 0)
                self.faults.append(Fault(where, error.message, f"{error.next_step} {NOT_KNOWN}"))
        if key in self._unknown:
            place, message, count = self._unknown[key]
            self._unknown[key] = (place, message, count + 1)
            first = self.faults[place]
            if count:
                lines = "once more" if count == 1 else f"{count:,} times more"
                self.faults[place] = Fault(first.where, f"{message}; it stands here {lines}", first.allowed)
        return self._known[key]


@dataclass
class Texts:
    """The queries or passages of one collection, gathered with their faults.

    Attributes:
        role: `query` or `passage`, for messages.
        faults: Where faults go.
        found: The texts by id, in the order of the source.
    """

    role: str
    faults: list[Fault]
    found: dict[str, Text] = field(default_factory=dict)
    _places: dict[str, str] = field(default_factory=dict)

    def add(self, text: Text, where: str) -> None:
        """Keeps a text unless its id is taken or it is empty; both are faults."""
        first = self._places.setdefault(text.id, where)
        if first is not where:
            self.faults.append(Fault(where, f"{self.role} id '{text.id}' is taken already, by {first}"))
        elif not (text.text.strip() or text.title.strip()):
            self.faults.append(Fault(where, f"{self.role} '{text.id}' has an empty text"))
        else:
            self.found[text.id] = text

    def refuse_spaces(self) -> None:
        """Adds a fault for each id with a space: judgements and runs in TREC's form cannot hold them."""
        for identifier in self.found:
            if has_space(identifier):
                message = f"{self.role} id '{identifier}' holds a space, which TREC runs cannot carry"
                self.faults.append(Fault(self._places[identifier], message, "rename it, in the judgements too"))

    def __contains__(self, identifier: str) -> bool:
        # Also a text that was refused: judgements of it are no faults of their own.
        return identifier in self._places


def has_space(identifier: str) -> bool:
    """Whether an id holds white space of any kind."""
    return len(identifier.split()) != 1 or identifier != identifier.strip()


def read_string(
    record: Mapping[str, Any], keys: Iterable[str], where: str, faults: list[Fault], *, numbers: bool = False
) -> str | None:
    """The value of the first of `keys` that a record has, if it is a string.

    Args:
        record: The record.
        keys: Possible names of the value.
        where: Place of the record.
        faults: Where to add that it is missing, or no string.
        numbers: Whether a whole number will do, as it does for an id.

    Returns:
        The string, or None after adding a fault.
    """
    names = tuple(keys)
    for key in names:
        value = record.get(key)
        if isinstance(value, str):
            return value
        if numbers and isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value is not None:
            faults.append(Fault(where, f"'{key}' is no string but {type(value).__name__}"))
            return None
    has = ", ".join(map(str, record)) or "nothing"
    wanted = " or ".join(f"'{key}'" for key in names)
    faults.append(Fault(where, f"{wanted} is missing", f"the record has: {has}"))
    return None


def read_id(record: Mapping[str, Any], keys: Iterable[str], where: str, faults: list[Fault]) -> str | None:
    """As `read_string`, a number too, and not blank."""
    identifier = read_string(record, keys, where, faults, numbers=True)
    if identifier is not None and not identifier.strip():
        faults.append(Fault(where, "the id is empty"))
        return None
    return identifier


@dataclass
class Judgements:
    """Relevance judgements, checked against the texts they name."""

    faults: list[Fault]
    qrels: dict[str, dict[str, int]] = field(default_factory=dict)

    def add_file(
        self,
        judged: Iterable[tuple[str, Mapping[str, int], Mapping[str, int]]],
        path: Path,
        queries: Texts,
        passages: Texts,
        ending: str = "",
    ) -> None:
        """Keeps the judgements of one file.

        Args:
            judged: (query id, grade by passage id, line by passage id).
            path: The file, for messages.
            queries: The queries they may name.
            passages: The passages they may name.
            ending: What the ids in the set have beyond those in the file.
        """
        for query, grades, lines in judged:
            query_id = query + ending
            if query_id not in queries:
                self.faults.append(Fault(f"{path}:{min(lines.values())}", f"query '{query}' is in no query file"))
                continue
            row = self.qrels.setdefault(query_id, {})
            for passage, grade in grades.items():
                passage_id = passage + ending
                if passage_id in passages:
                    row[passage_id] = grade
                else:
                    message = f"passage '{passage}' is not in the corpus"
                    self.faults.append(Fault(f"{path}:{lines[passage]}", message))


def finish(
    name: str,
    subject: Path,
    queries: Texts,
    passages: Texts,
    qrels: Mapping[str, Mapping[str, int]],
    faults: list[Fault],
) -> EvalSet:
    """The evaluation set, or one error with all faults.

    Queries without a judgement are left out and counted in `notes`.

    Raises:
        DataError: If there are faults, ids with spaces among them, or nothing to evaluate.
    """
    queries.refuse_spaces()
    passages.refuse_spaces()
    raise_faults(DataError, str(subject), faults, MEND)
    kept = tuple(text for text in queries.found.values() if qrels.get(text.id))
    if not kept or not passages.found:
        lacking = "passages" if not passages.found else "queries" if not queries.found else "judged queries"
        raise DataError(f"{subject} has no {lacking}", next_step="Check that the files are complete.")
    dropped = len(queries.found) - len(kept)
    notes = (f"{dropped:,} of {len(queries.found):,} queries have no judgement and are left out",) if dropped else ()
    return EvalSet(name, kept, tuple(passages.found.values()), qrels, notes=notes)
