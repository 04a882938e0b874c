"""What waits for its exact score is enough, and not too much.

1. The k best by exact scores stay, whatever the float32 scores are within their margins, in any order of blocks.
2. The floors are reached by k passages, exactly.
3. What can no longer be among the best goes; so many near ties are not taken, and nothing that was there is lost.
"""

from __future__ import annotations

import numpy as np

from isogloss.indexing import VectorTable, search
from isogloss.indexing.candidates import Candidates
from isogloss.indexing.screening import Pairs, Screen

NOTHING = np.empty((3, 0), dtype=np.float32)
MARGIN = 0.01


def all_pairs(scores: np.ndarray, margin: float = MARGIN) -> Pairs:
    """Every passage with every query, by scores of shape (queries, passages)."""
    queries, passages = np.indices(scores.shape).reshape(2, -1)
    return Pairs(passages, queries, scores[queries, passages].astype(np.float32), np.full(len(scores), margin))


def waiting(candidates: Candidates) -> set[tuple[int, int]]:
    queries, rows = candidates.pairs()
    assert (np.diff(rows) >= 0).all()
    return set(zip(queries.tolist(), rows.tolist(), strict=True))


def test_the_best_stay_and_little_else() -> None:
    generator = np.random.default_rng(1)
    scores = generator.standard_normal((3, 400))
    rounded = scores + generator.uniform(-MARGIN, MARGIN, scores.shape)
    for order in (np.arange(400), np.argsort(scores[0]), np.argsort(-scores[0])):
        candidates = Candidates(3, 10)
        for first in range(0, 400, 50):
            rows = order[first : first + 50]
            pairs = all_pairs(rounded[:, rows])
            assert candidates.add(pairs, rows[pairs.passages], NOTHING)
        best = {(query, row) for query in range(3) for row in np.argsort(-scores[query])[:10].tolist()}
        assert best <= waiting(candidates)
        assert len(waiting(candidates)) < 3 * 20
        floors = candidates.floors(NOTHING)
        assert (np.sort(scores, axis=1)[:, -10] >= floors).all()
        assert (floors > np.sort(scores, axis=1)[:, -12] - 4 * MARGIN).all()


def test_exact_scores_of_others_raise_the_floor() -> None:
    candidates = Candidates(3, 2)
    pairs = all_pairs(np.tile([0.1, 0.2, 0.3], (3, 1)))
    candidates.add(pairs, pairs.passages, np.full((3, 2), 0.5, dtype=np.float32))
    assert waiting(candidates) == set()
    np.testing.assert_allclose(candidates.floors(np.full((3, 2), 0.5, dtype=np.float32)), 0.5 - MARGIN)


def test_there_is_no_floor_before_there_are_enough() -> None:
    candidates = Candidates(3, 4)
    pairs = all_pairs(np.ones((3, 3)))
    assert candidates.add(pairs, pairs.passages, NOTHING)
    assert np.isneginf(candidates.floors(NOTHING)).all()


def test_a_later_wider_margin_counts_for_all() -> None:
    candidates = Candidates(3, 1)
    first = all_pairs(np.tile([0.50, 0.45], (3, 1)), margin=0.03)
    assert candidates.add(first, first.passages, NOTHING)
    later = all_pairs(np.tile([0.52], (3, 1)), margin=0.04)
    assert candidates.add(later, later.passages + 2, NOTHING)
    assert {row for _, row in waiting(candidates)} == {0, 1, 2}


def test_too_many_near_ties_are_not_taken() -> None:
    candidates = Candidates(3, 1)
    few, many = all_pairs(np.ones((3, 200))), all_pairs(np.ones((3, 300)))
    assert candidates.add(few, few.passages, NOTHING)
    assert not candidates.add(many, many.passages + 200, NOTHING)
    assert waiting(candidates) == {(query, row) for query in range(3) for row in range(200)}


def test_a_search_among_many_copies_of_the_best_gives_the_same_bits(monkeypatch) -> None:
    passages = np.random.default_rng(2).standard_normal((16_384, 24)).astype(np.float32)
    copies = np.random.default_rng(3).permutation(16_384)[:600]
    passages[copies] = passages[0] * 2
    queries = passages[:3] + np.float32(0.01)
    table = VectorTable([f"p{row}" for row in range(len(passages))], passages)
    refused = []
    added = Candidates.add
    monkeypatch.setattr(Candidates, "add", lambda *given: refused.append(not (taken := added(*given))) or taken)
    screened = search(queries, ["a", "b", "c"], table, k=5, block=8192)
    assert any(refused)
    monkeypatch.setattr(Screen, "pairs", lambda *given: None)
    whole = search(queries, ["a", "b", "c"], table, k=5, block=8192)
    assert [list(run.items()) for run in screened.values()] == [list(run.items()) for run in whole.values()]
