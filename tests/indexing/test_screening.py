"""Screening leaves out no passage that belongs to the k best, and so few pairs are left that comparing them is cheap.

All of it holds for the screen by float32 products and for the one by products of 8-bit integers.

1. With and without it a search gives the same bits, for vectors of any length, for float16, and where scores tie.
2. No pair whose score is the floor or more is left out, also where it is so by the last bit.
3. Where it cannot be sure, or cannot help, it says so, and everything is compared.
4. On vectors without ties it keeps little more than the k best of each query.
"""

from __future__ import annotations

import numpy as np
import pytest

from isogloss.indexing import VectorTable, exact, search
from isogloss.indexing.fixed_point import exact_scores, fixed_point
from isogloss.indexing.integer_screening import IntegerScreen, best_screen
from isogloss.indexing.screening import Screen


def by_integers(queries: np.ndarray) -> IntegerScreen:
    """The screen by integers, with a product that every processor has."""
    return IntegerScreen(queries, lambda rows, columns: rows.astype(np.int32) @ columns.astype(np.int32))


SCREENS = pytest.mark.parametrize("screen", [Screen, by_integers])


def made_up(kind: str, count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, 40)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    if kind == "float16":
        return vectors.astype(np.float16)
    if kind == "long and short":
        return vectors * np.float32(10.0) ** np.linspace(-3, 3, count, dtype=np.float32)[:, None]
    if kind == "near ties":  # differences of a few last bits around one another
        return np.nextafter(
            vectors[:5][np.arange(count) % 5], np.float32(np.where(np.arange(count)[:, None] % 3, 1, -1))
        )
    if kind == "tiny":
        return (vectors * np.float32(1e-12)).astype(np.float32)
    return vectors


@pytest.mark.parametrize("kind", ["unit", "float16", "long and short", "near ties", "tiny"])
@pytest.mark.parametrize("k", [1, 7, 60])
@SCREENS
def test_a_search_gives_the_same_bits(screen, kind: str, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, passages = made_up(kind, 9, 1), made_up(kind, 6000, 2)
    table = VectorTable([f"p{row}" for row in range(6000)], passages)
    names = [f"q{row}" for row in range(9)]
    monkeypatch.setattr(exact, "best_screen", screen)
    screened = search(queries, names, table, k=k, block=2500)
    for one in (Screen, IntegerScreen):
        monkeypatch.setattr(one, "pairs", lambda *arguments: None)
    whole = search(queries, names, table, k=k, block=2500)
    assert {name: list(found.items()) for name, found in screened.items()} == {
        name: list(found.items()) for name, found in whole.items()
    }


@pytest.mark.parametrize("kind", ["unit", "float16", "long and short", "near ties"])
@SCREENS
def test_no_pair_at_its_floor_is_left_out(screen, kind: str) -> None:
    queries, passages = made_up(kind, 8, 3), np.asarray(made_up(kind, 3000, 4), dtype=np.float32)
    scores = exact_scores(fixed_point(queries), fixed_point(passages))
    for rank in (1, 10, 100):
        floors = np.sort(scores, axis=1)[:, -rank].astype(np.float64)
        pairs = screen(queries).pairs(passages, floors, rank)
        if pairs is None:
            assert kind == "near ties", "nothing else is so crowded"
            continue
        kept = np.zeros(scores.shape, dtype=bool)
        kept[pairs.queries, pairs.passages] = True
        assert kept[scores >= floors[:, None]].all()


@SCREENS
def test_it_finds_its_floors_where_there_are_none(screen) -> None:
    queries, passages = made_up("unit", 8, 5), made_up("unit", 3000, 6)
    scores = exact_scores(fixed_point(queries), fixed_point(passages))
    pairs = screen(queries).pairs(passages, np.full(8, -np.inf), 10)
    assert pairs is not None
    kept = np.zeros(scores.shape, dtype=bool)
    kept[pairs.queries, pairs.passages] = True
    assert kept[scores >= np.sort(scores, axis=1)[:, [-10]]].all()
    assert kept.sum() < 8 * 3 * 10


@SCREENS
def test_little_more_than_the_best_is_kept(screen) -> None:
    queries, passages = made_up("unit", 50, 7), made_up("unit", 4000, 8)
    floors = np.sort(queries @ passages.T, axis=1)[:, -10].astype(np.float64)
    pairs = screen(queries).pairs(passages, floors, 10)
    assert pairs is not None
    assert 50 * 10 <= len(pairs.passages) <= 50 * 10 + 5


@pytest.mark.parametrize(
    ("queries", "passages", "k"),
    [
        (made_up("unit", 3, 1) * np.float32(1e-20), made_up("unit", 500, 2), 3),
        (made_up("unit", 3, 1), made_up("unit", 500, 2) * np.float32(1e20), 3),
        (made_up("unit", 3, 1), np.repeat(made_up("unit", 1, 2), 500, axis=0), 3),
        (made_up("unit", 3, 1), made_up("unit", 20, 2), 30),
    ],
    ids=["too short", "too long", "all equal", "fewer than wanted"],
)
@SCREENS
def test_where_it_cannot_help_everything_is_compared(screen, queries: np.ndarray, passages: np.ndarray, k: int) -> None:
    assert screen(queries).pairs(passages, np.full(3, -np.inf), k) is None


def test_few_queries_do_not_load_another_library() -> None:
    assert isinstance(best_screen(made_up("unit", 20, 1)), Screen)
