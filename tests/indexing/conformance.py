"""The rules that every engine keeps, as functions of a maker of engines; `test_conformance` runs them on each.

A rule gets `make`, which gives a new, empty engine, and `reopen`, which closes one and opens it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from isogloss.errors import DataError, StaleBankError
from isogloss.indexing.protocol import Index, IndexAbout, Where
from isogloss.records import Text

DIMENSION = 16
PARTS = {"weights": "w1", "tokenizer": "t1", "prompt": ""}
ABOUT = IndexAbout("", PARTS, DIMENSION, "float16")
LANGUAGES = ("de", "en", "th", "sw")


def passages_of(count: int) -> list[Text]:
    """Passages of which one in 200 is Swahili, with metadata and right-to-left, unspaced and quoted texts."""
    texts = ("Der Fluss", 'a "quoted" one', "แม่น้ำ", "نهر طويل")
    return [
        Text(
            f"p{row:05d}",
            f"{texts[row % 4]} {row}",
            language="sw" if row % 200 == 7 else LANGUAGES[row % 3],
            title="Titel" if row % 2 else "",
            metadata={
                "year": 2000 + row % 10,
                "kind": "news" if row % 50 == 0 else "web",
                "tags": ["a", f"t{row % 3}"],
                "checked": (True, False, 1, 0, "true")[row % 5],
            },
        )
        for row in range(count)
    ]


def vectors_of(count: int, seed: int = 5) -> Any:
    """Unit vectors, float32, around a few centres, as those of texts are."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((20, DIMENSION))
    found = centres[generator.integers(0, 20, count)] + 0.7 * generator.standard_normal((count, DIMENSION))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def best(passages: Sequence[Text], vectors: Any, query: Any, k: int, where: Where) -> list[str]:
    """The k best ids by a plain second formula."""
    allowed = [row for row, passage in enumerate(passages) if where.allows(passage)]
    return sorted((passages[row].id for row in allowed), key=lambda name: -float(vectors[int(name[1:])] @ query))[:k]


def filled(make: Callable[[], Index], count: int = 400) -> tuple[Index, list[Text], Any]:
    """An engine with passages and its graph."""
    index, passages, vectors = make(), passages_of(count), vectors_of(count)
    index.add(passages, vectors)
    index.optimize()
    return index, passages, vectors


def rule_finds_the_nearest(make: Any, reopen: Any) -> None:
    index, passages, vectors = filled(make)
    queries = vectors_of(8, seed=6)
    for where in (Where(), Where(("sw",)), Where(("de", "th")), Where(metadata={"kind": "news"}), WORD_OR_NUMBER):
        found = index.search(queries, k=10, where=where)
        hits = wanted = 0
        for scores, query in zip(found, queries, strict=True):
            truth = best(passages, vectors, query, 10, where)
            hits, wanted = hits + len(set(truth) & set(scores)), wanted + len(truth)
        assert hits >= 0.98 * wanted, (where, hits, wanted)


WORD_OR_NUMBER = Where(("de", "en"), {"year": [2001, 2004], "tags": "t1"})


def rule_filters_never_shorten(make: Any, reopen: Any) -> None:
    index, passages, _ = filled(make)
    narrow = [Where(("sw",)), Where(metadata={"kind": "news"}), WORD_OR_NUMBER, Where(("sw",), {"year": 2007})]
    alike = [Where(metadata={"checked": value}) for value in (True, False, 1, [0, True], "true")]
    for where in narrow + alike:
        allowed = {passage.id for passage in passages if where.allows(passage)}
        assert index.count(where) == len(allowed), where
        for scores in index.search(vectors_of(2, seed=8), k=9, where=where):
            assert len(scores) == min(9, len(allowed)), where
            assert set(scores) <= allowed, where


def rule_orders_as_trec_eval(make: Any, reopen: Any) -> None:
    index = make()
    index.add([Text(name, f"text {name}") for name in ("a", "c", "b")], np.tile(np.eye(DIMENSION)[:1], (3, 1)))
    (scores,) = index.search(np.eye(DIMENSION)[:1], k=3)
    assert list(scores) == ["c", "b", "a"]
    assert abs(scores["a"] - 1) < 2e-3


def rule_keeps_texts(make: Any, reopen: Any) -> None:
    index, passages, _ = filled(make, 60)
    assert index.passages(["p00007", "p00003"]) == [passages[7], passages[3]]
    assert sorted(index.all_passages(), key=lambda passage: passage.id) == passages
    expected = {tag: sum(passage.language == tag for passage in passages) for tag in LANGUAGES}
    assert index.languages() == dict(sorted(expected.items()))
    refused(lambda: index.passages(["p00001", "none"]), "none")


def rule_changes_and_deletes(make: Any, reopen: Any) -> None:
    index, _passages, vectors = filled(make, 60)
    new = Text("p00003", "changed", language="en")
    index.update([new], vectors[30:31])
    assert index.passages(["p00003"]) == [new]
    assert list(index.search(vectors[30:31], k=2)[0]) == ["p00030", "p00003"]
    index.delete(["p00030"])
    assert list(index.search(vectors[30:31], k=1)[0]) == ["p00003"]
    assert index.count() == 59
    assert index.known(["p00030", "p00003"]) == {"p00003"}


def rule_refuses_whole_writes(make: Any, reopen: Any) -> None:
    index, passages, vectors = filled(make, 20)
    fresh = Text("new", "a new one")
    refused(lambda: index.add([fresh, passages[4]], vectors[:2]), "p00004")
    refused(lambda: index.add([fresh, fresh], vectors[:2]), "new")
    refused(lambda: index.update([fresh], np.full((1, DIMENSION), np.nan)), "new")
    refused(lambda: index.delete(["p00001", "none"]), "none")
    assert index.count() == 20
    assert not index.known(["new"])


def rule_is_there_again(make: Any, reopen: Any) -> None:
    index, _passages, vectors = filled(make, 60)
    index.delete(["p00002"])
    index = reopen(index)
    assert index.count() == 59
    assert dict(index.about.parts) == PARTS
    assert list(index.search(vectors[5:6], k=1)[0]) == ["p00005"]


def rule_keeps_what_is_said_of_words(make: Any, reopen: Any) -> None:
    index, *_ = filled(make, 20)
    assert index.about.no_words == ()
    index.leave_out_words(["th", "de"])
    index = reopen(index)
    assert index.about.no_words == ("de", "th")
    index.leave_out_words([])
    assert reopen(index).about.no_words == ()


def rule_refuses_another_tower(make: Any, reopen: Any) -> None:
    index = reopen(make())
    index.about.require(PARTS, index.url)
    try:
        index.about.require({**PARTS, "prompt": "query: "}, index.url)
    except StaleBankError as error:
        assert "prompt" in str(error)
    else:
        raise AssertionError("a stale fingerprint was taken")


def refused(action: Callable[[], object], named: str) -> None:
    """Checks that an action raises a `DataError` that names an id."""
    try:
        action()
    except DataError as error:
        assert named in str(error)
    else:
        raise AssertionError(f"nothing was raised about {named}")


RULES = {name.removeprefix("rule_"): rule for name, rule in list(globals().items()) if name.startswith("rule_")}
