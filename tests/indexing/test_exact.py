"""Exact search is the reference that every other index is measured by.

1. It finds what a plain product and a full sort find, in trec_eval's order, also where ties straddle the cut-off.
2. No score depends on the size of a block, on the place of a passage, or on the other vectors.
3. A score is the dot product, rounded once to float32.
4. A mask leaves out passages and changes nothing else; what it allows is compared a full block at a time.
5. Bad input is refused with the ids of what is bad.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from isogloss.errors import DataError, UsageError
from isogloss.indexing import VectorTable, search
from isogloss.indexing.fixed_point import exact_scores, fixed_point
from isogloss.indexing.ranking import PassageOrder, largest, ranked_passages, ranking_keys
from isogloss.indexing.screening import Screen


def unit_vectors(count: int, dimension: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def table_of(matrix: np.ndarray) -> VectorTable:
    return VectorTable([f"p{row}" for row in range(len(matrix))], matrix)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_agrees_with_a_full_sort(dtype: type) -> None:
    queries, passages = unit_vectors(7, 32, 1), unit_vectors(200, 32, 2).astype(dtype)
    passages[50:120] = passages[50]
    run = search(queries, [f"q{row}" for row in range(7)], table_of(passages), k=60, block=33)
    for row in range(7):
        exact = [math.fsum(map(float, queries[row].astype(np.float64) * passage)) for passage in passages]
        expected = sorted(((np.float32(score), f"p{number}") for number, score in enumerate(exact)), reverse=True)[:60]
        assert list(run[f"q{row}"]) == [name for _, name in expected]
        np.testing.assert_allclose(list(run[f"q{row}"].values()), [score for score, _ in expected], atol=1e-7)


def test_ties_at_the_cut_off_go_to_the_larger_id_as_a_string() -> None:
    passages = np.tile(unit_vectors(1, 8, 3), (12, 1))
    run = search(passages[:1], ["q"], table_of(passages), k=4, block=5)
    assert list(run["q"]) == ["p9", "p8", "p7", "p6"]


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
def test_no_bit_depends_on_blocks_places_or_neighbours(block: int) -> None:
    queries, passages = unit_vectors(600, 48, 4), unit_vectors(150, 48, 5)
    names = [f"p{row}" for row in range(150)]
    whole = search(queries, [f"q{row}" for row in range(600)], VectorTable(names, passages), k=20)
    shuffled = np.random.default_rng(6).permutation(150)
    table = VectorTable([names[row] for row in shuffled], passages[shuffled])
    some = search(queries[590:], [f"q{row}" for row in range(590, 600)], table, k=20, block=block)
    assert all(list(some[name].items()) == list(whole[name].items()) for name in some)


def test_scores_are_the_exact_sums_of_the_fixed_point_vectors() -> None:
    queries, passages = fixed_point(unit_vectors(3, 300, 7)), fixed_point(unit_vectors(4, 300, 8) * 100)
    scores = exact_scores(queries, passages)
    for row in range(3):
        for column in range(4):
            left = [Fraction(value) * Fraction(queries.scales[row]) for value in queries.integers[row].tolist()]
            right = [
                Fraction(value) * Fraction(passages.scales[column]) for value in passages.integers[column].tolist()
            ]
            exact = sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0))
            assert scores[row, column] == np.float32(float(exact))


@pytest.mark.parametrize("length", [1e-15, 0.7, 1.0, 1.5, 3e10])
def test_sums_stay_within_what_float64_holds(length: float) -> None:
    one = np.full((1, 4096), length / 64)
    spike = np.eye(1, 4096) * length
    for vector in (one, spike):
        integers = fixed_point(vector).integers
        assert (integers**2).sum() < 2**53
        assert np.abs(integers).max() >= 2**19
        np.testing.assert_allclose(exact_scores(fixed_point(vector), fixed_point(vector)), length**2, rtol=1e-6)


def test_zero_and_negative_scores_keep_their_order() -> None:
    passages = np.array([[-1, 0], [0, 0], [-0.0, 0], [1, 0]], dtype=np.float32)
    run = search(np.array([[1, 0]]), ["q"], table_of(passages), k=4)
    assert run == {"q": {"p3": 1.0, "p2": 0.0, "p1": 0.0, "p0": -1.0}}
    assert list(run["q"]) == ["p3", "p2", "p1", "p0"]


def test_a_mask_leaves_out_passages_and_changes_no_score() -> None:
    queries, passages = unit_vectors(3, 16, 9), unit_vectors(40, 16, 10)
    allowed = np.arange(40) % 3 == 0
    names = ["a", "b", "c"]
    everything = search(queries, names, table_of(passages), k=40)
    some = search(queries, names, table_of(passages), k=40, block=7, allowed=allowed)
    for name in names:
        assert some[name] == {key: score for key, score in everything[name].items() if allowed[int(key[1:])]}


class Stored:
    """Passages stored in blocks of seven."""

    def __init__(self, matrix: np.ndarray) -> None:
        self.ids = [f"p{row}" for row in range(len(matrix))]
        self.dimension = matrix.shape[1]
        self._matrix = matrix

    def vectors(self):
        for first in range(0, len(self.ids), 7):
            yield first, self.ids[first : first + 7], self._matrix[first : first + 7]


@pytest.mark.parametrize("block", [2, 5, 9, 100])
@pytest.mark.parametrize("every", [1, 3, 11])
def test_stored_blocks_are_joined_and_cut_to_what_is_asked(monkeypatch: pytest.MonkeyPatch, block, every) -> None:
    queries, passages = unit_vectors(3, 16, 11), unit_vectors(40, 16, 12)
    allowed = np.arange(40) % every == 0
    sizes = []
    pairs = Screen.pairs
    monkeypatch.setattr(Screen, "pairs", lambda own, rows, *given: sizes.append(len(rows)) or pairs(own, rows, *given))
    found = search(queries, ["a", "b", "c"], Stored(passages), k=4, block=block, allowed=allowed)
    assert sizes == [block] * (allowed.sum() // block) + [rest for rest in [allowed.sum() % block] if rest]
    assert found == search(queries, ["a", "b", "c"], table_of(passages), k=4, allowed=allowed)


def test_an_order_made_before_changes_nothing() -> None:
    queries, table = unit_vectors(3, 16, 13), table_of(np.tile(unit_vectors(5, 16, 14), (8, 1)))
    shared = PassageOrder(table.ids)
    for k in (2, 30):
        with_it = search(queries, ["a", "b", "c"], table, k=k, order=shared)
        without = search(queries, ["a", "b", "c"], table, k=k)
        assert [list(run.items()) for run in with_it.values()] == [list(run.items()) for run in without.values()]


def test_no_queries_and_no_passages_give_empty_results() -> None:
    assert search(np.empty((0, 4)), [], table_of(unit_vectors(3, 4, 1))) == {}
    assert search(unit_vectors(1, 4, 1), ["q"], table_of(np.empty((0, 4), dtype=np.float32))) == {"q": {}}


def test_all_faulty_arguments_are_named_at_once() -> None:
    with pytest.raises(UsageError) as error:
        search(unit_vectors(2, 4, 1), ["q", "q"], table_of(unit_vectors(3, 5, 1)), k=0, allowed=np.ones(2, dtype=bool))
    assert {fault.where for fault in error.value.faults} == {"query_vectors", "query_ids", "k", "allowed"}


def test_vectors_that_are_not_finite_and_ids_that_repeat_are_refused() -> None:
    passages = unit_vectors(9, 4, 1)
    passages[7, 2] = np.nan
    allowed = np.arange(9) != 3
    with pytest.raises(DataError, match="'p7'"):
        search(unit_vectors(1, 4, 2), ["q"], table_of(passages), block=5, allowed=allowed)
    with pytest.raises(DataError, match="'q'"):
        search(np.full((1, 4), np.inf), ["q"], table_of(unit_vectors(2, 4, 1)))
    with pytest.raises(DataError, match="'same' appears twice"):
        PassageOrder(["same", "other", "same"])


def test_ranking_in_memory_is_ranking_by_keys() -> None:
    scores = {"a": 0.1 + 1e-12, "b": 0.1, "é": 0.5, "z": 0.5, "10": -2.0, "9": -2.0}
    order = PassageOrder(list(scores))
    keys = ranking_keys(np.array([list(scores.values())], dtype=np.float32), order.places)
    assert list(order.results(largest(keys, 6)[0])) == ranked_passages(scores) == ["é", "z", "b", "a", "9", "10"]
