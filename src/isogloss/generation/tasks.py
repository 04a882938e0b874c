"""What is to be written: one task per passage and language, and who can write it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from isogloss.generation.settings import GenerateSettings
from isogloss.records import Text

INVALID = "invalid answer"


@dataclass(frozen=True)
class Task:
    """Queries to write for one passage in one language.

    Attributes:
        passage: The passage, with its title and language.
        language: Language of the queries.
        count: How many.
        number: Tells several tasks of one passage and language apart.
        query_type: Kind of query, empty where the writer knows none.
        length_band: How long it shall be, empty likewise.
    """

    passage: Text
    language: str
    count: int = 1
    number: int = 0
    query_type: str = ""
    length_band: str = ""

    @property
    def key(self) -> str:
        """Names the task in the journal."""
        content = [self.passage.title, self.passage.text, self.language, self.number, self.query_type, self.length_band]
        return hashlib.sha256(json.dumps([*content, self.count]).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Written:
    """What came of a task.

    Attributes:
        texts: The queries, as they came.
        failure: Why there is none, empty where there are.
        provenance: What the writer says of how they came about.
    """

    texts: tuple[str, ...]
    failure: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)


class Writer(Protocol):
    """Writes queries: a generator on this machine, or an endpoint."""

    many_at_once: bool

    def describe(self) -> dict[str, Any]:
        """What decides its answers; part of the journal's digest and of the provenance."""

    def write(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Written]]:
        """Works on tasks and gives each as soon as it is done, in any order."""


def make_tasks(
    passages: Sequence[Text], languages: Mapping[str, Sequence[str]], settings: GenerateSettings, *, many_at_once: bool
) -> list[Task]:
    """The tasks of passages.

    Args:
        passages: The passages, each once.
        languages: Passage id to the languages of its queries.
        settings: How many, which types and bands, and the seed that draws them.
        many_at_once: Whether a task asks for all queries of a language; else each is a task with a type and a band.
    """
    count = settings.queries_per_language
    tasks = []
    for passage in passages:
        for language in languages[passage.id]:
            if many_at_once:
                tasks.append(Task(passage, language, count))
                continue
            # By the passage's text, so that more passages do not change what the others are asked for.
            digest = hashlib.sha256(json.dumps([settings.seed, passage.text, language]).encode()).digest()
            generator = np.random.default_rng(list(digest))
            for number in range(count):
                kind = settings.query_types[int(generator.integers(len(settings.query_types)))]
                band = settings.length_bands[int(generator.integers(len(settings.length_bands)))]
                tasks.append(Task(passage, language, 1, number, kind, band))
    return tasks
