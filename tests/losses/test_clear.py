"""CLEAR is the sum that its method file works out, and nothing but the rows' own texts count in it.

1. Every worked value, of the whole and of its three parts, in both directions of the KL.
2. The properties: alike sides have no divergence, scaling and row order change nothing, gradient reaches all five
   kinds of texts, α = β = 0 leaves the translations alone.
3. A missing negative never counts as a zero vector: ragged rows give what a softmax over the present ones gives.
4. Questions that share a passage are no negatives of each other.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from isogloss.losses import TERMS, Embeddings, clear

LN3 = math.log(3)
EYE = torch.eye(2, dtype=torch.float64)
EXAMPLE = (EYE, EYE, EYE.flip(0)[:, None], EYE, torch.stack([EYE[1], -EYE[1]])[:, None])
Clear = TERMS["clear"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 0.723890),
        ({"kl": False}, 0.905891),
        ({"alpha": 0.0, "beta": 0.0}, 0.980829),
        ({"alpha": 1.0, "beta": 0.0}, 0.793483),
        ({"alpha": 0.0, "beta": 1.0}, 0.070827),
        ({"alpha": 0.0, "beta": 1.0, "kl_direction": "forward_reverse"}, 0.087306),
        ({"scale": 20.0}, 0.485203),
        ({"scale": 20.0, "alpha": 0.0, "beta": 0.0}, 0.693147),
        ({"scale": 20.0, "alpha": 1.0, "beta": 0.0}, 0.346574),
        ({"scale": 20.0, "alpha": 0.0, "beta": 1.0}, 0.346574),
    ],
)
def test_the_worked_example(options, expected):
    assert clear(*EXAMPLE, **{"scale": LN3, **options}).item() == pytest.approx(expected, abs=1e-6)


def test_the_defaults_are_those_of_the_method():
    assert clear(*EXAMPLE).item() == pytest.approx(0.485203, abs=1e-6)
    divergence = clear(*EXAMPLE, alpha=0.0, beta=1.0, kl_direction="forward_reverse").item()
    assert divergence == pytest.approx(4.653, abs=1e-3)


def test_without_negative_queries_the_reverse_is_another_number():
    hidden = torch.ones(2, 1, dtype=torch.bool)
    reverse = clear(*EXAMPLE, scale=LN3, alpha=1.0, kl=False, query_mask=hidden)
    assert reverse.item() == pytest.approx(0.287682, abs=1e-6)


def texts(rows=4, n=3, dim=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(rows, dim), (rows, dim), (rows, n, dim), (rows, dim), (rows, n, dim)]
    return [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]


def test_alike_sides_do_not_diverge():
    query, _, negatives, _, other = texts()
    assert clear(query, query, negatives, query, negatives, alpha=0.0, beta=1.0).item() == pytest.approx(0, abs=1e-12)
    assert clear(query, query, negatives, query, other, alpha=0.0, beta=1.0) > 0.01


def test_neither_row_order_nor_scale_changes_it():
    order = torch.tensor([2, 0, 3, 1])
    given = texts()
    plain = clear(*given)
    torch.testing.assert_close(clear(*(one[order] for one in given)), plain, rtol=0, atol=1e-12)
    torch.testing.assert_close(clear(7 * given[0], *given[1:]), plain, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("alpha", "beta", "reached"), [(0.4, 0.2, 5), (0.0, 0.0, 3), (0.0, 1.0, 5)])
def test_where_gradient_goes(alpha, beta, reached):
    given = [one.requires_grad_() for one in texts()]
    clear(*given, alpha=alpha, beta=beta).backward()
    moved = [bool(one.grad.abs().sum() > 0) for one in given]
    assert moved == [True] * reached + [False] * (5 - reached)


def plain(query, passage, negatives, translated, queries, there, scale=20.0):
    """The three parts over the present negatives, row by row, for negatives that both sides have."""

    def log_softmax(anchor, answers, own):
        candidates = [*answers, *(own[j, m] for m in range(own.shape[1]) for j in range(len(own)) if there[j, m])]
        return torch.log_softmax(
            torch.stack([scale * F.cosine_similarity(anchor, one, dim=0) for one in candidates]), 0
        )

    forward = torch.stack([log_softmax(one, passage, negatives) for one in query])
    reverse = torch.stack([log_softmax(one, translated, queries) for one in passage])
    own = -torch.diagonal(forward[:, : len(query)]).mean(), -torch.diagonal(reverse[:, : len(query)]).mean()
    return *own, (reverse.exp() * (reverse - forward)).sum(1).mean()


def test_missing_negatives_do_not_count():
    given = texts()
    there = torch.tensor([[True, True, True], [True, False, False], [True, True, False], [False, False, False]])
    forward, reverse, divergence = plain(*given, there)
    expected = 0.4 * forward + 0.4 * reverse + 0.2 * divergence
    found = clear(*given, passage_mask=~there, query_mask=~there)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    assert abs(float(clear(*given) - expected)) > 1e-3
    roles = ("query", "passage", "negative_passages", "translated_query", "negative_queries")
    e = Embeddings(
        dict(zip(roles, given, strict=True)),
        text_ids={
            "query": torch.arange(4),
            "passage": torch.arange(4) + 10,
            "translated_query": torch.arange(4) + 20,
            "negative_passages": torch.where(there, torch.arange(12).reshape(4, 3) + 30, -1),
            "negative_queries": torch.where(there, torch.arange(12).reshape(4, 3) + 50, -1),
        },
    )
    torch.testing.assert_close(Clear()(e), expected, rtol=0, atol=1e-10)


def embeddings(passages=(10, 11, 12, 13), translated=(20, 21, 22, 23), negative_queries=None, n_queries=3):
    query, passage, negatives, translation, queries = texts()
    ids = {"query": torch.arange(4), "passage": torch.tensor(passages), "translated_query": torch.tensor(translated)}
    ids["negative_passages"] = torch.arange(12).reshape(4, 3) + 30
    vectors = {"query": query, "passage": passage, "negative_passages": negatives, "translated_query": translation}
    if n_queries:
        vectors["negative_queries"] = queries[:, :n_queries]
        given = torch.arange(12).reshape(4, 3)[:, :n_queries] + 50
        ids["negative_queries"] = given if negative_queries is None else torch.tensor(negative_queries)
    return Embeddings(vectors, text_ids=ids)


def test_questions_of_one_passage_are_no_negatives_of_each_other():
    shared = embeddings(
        passages=(10, 10, 12, 13), negative_queries=[[50, 51], [52, 53], [20, 55], [56, 57]], n_queries=2
    )
    _, reverse = Clear()._masks(shared)
    hidden = {tuple(place) for place in reverse.nonzero().tolist()}
    # Columns 0..3 are the translations, 4..7 the first negative queries, 8..11 the second, 12..15 none.
    assert {(0, 1), (1, 0), (0, 6), (1, 6)} <= hidden, "row 2's first negative is the question of row 0"
    assert (2, 6) not in hidden
    assert Clear()(shared) != Clear(mask_false_negatives=False)(shared)
    assert 0 < Clear().masked_share(shared) < 1


def test_rows_without_a_translation_are_left_out():
    e = embeddings(translated=(20, -1, 22, 23))
    kept = torch.tensor([0, 2, 3])
    query, passage, negatives, translation, queries = (one[kept] for one in texts())
    torch.testing.assert_close(Clear()(e), clear(query, passage, negatives, translation, queries))
    nothing = Clear()(embeddings(translated=(-1, -1, -1, -1)))
    assert nothing.item() == 0


def test_sides_of_different_width_meet_where_both_have_a_negative():
    query, passage, negatives, translation, queries = texts()
    forward = clear(query, passage, negatives, translation, queries, alpha=0.0, beta=0.0)
    reverse = clear(query, passage, negatives[:, :1], translation, queries[:, :1], alpha=1.0, beta=0.0)
    both = clear(query, passage, negatives[:, :1], translation, queries[:, :1], alpha=0.0, beta=1.0)
    found = Clear()(embeddings(n_queries=1))
    torch.testing.assert_close(found, 0.4 * forward + 0.4 * reverse + 0.2 * both, rtol=0, atol=1e-10)
    assert Clear()(embeddings(n_queries=0)).isfinite()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: clear(*EXAMPLE, alpha=0.9, beta=0.2), "alpha 0.9 and beta 0.2"),
        (lambda: clear(*EXAMPLE, kl_direction="both"), "reverse_forward, forward_reverse"),
        (lambda: clear(*EXAMPLE, scale=0), "scale 0"),
        (lambda: clear(*EXAMPLE[:4], EXAMPLE[4].repeat(1, 2, 1)), "1 negative_passages but 2 negative_queries"),
        (lambda: clear(EYE[:1], *EXAMPLE[1:]), r"\(1, 2\)"),
        (lambda: clear(*EXAMPLE, passage_mask=torch.ones(2, 3, dtype=torch.bool)), r"\(2, 3\)"),
        (lambda: Clear(alpha=0.9), "alpha 0.9"),
    ],
)
def test_misfits_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
