"""The losses are the equations of the method files, to the sixth decimal, in float64.

1. Each worked example has its value, whatever mode, denominator, distance or temperature.
2. The order of the rows changes nothing; neither does scaling where a cosine is used.
3. Masks hide candidates and never the positive; a row whose negatives are all hidden has loss 0; ragged rows equal the
   same rows one by one.
4. `own_only` rows send no gradient to other rows' texts; a teacher gets none at all.
5. A misfit is a ValueError that names what was given and what is allowed.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from isogloss.losses import (
    EmbeddingMatch,
    Embeddings,
    InfoNCE,
    SemanticContrastive,
    Triplet,
    embedding_match,
    infonce,
    semantic_contrastive,
    triplet,
)
from isogloss.losses.infonce import candidate_mask

LN3 = 1 / math.log(3)
EYE = torch.eye(2, dtype=torch.float64)


def random_unit(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1)


def at_cosine(cosine: float) -> Tensor:
    """A unit vector with this cosine to (1, 0)."""
    return torch.tensor([[cosine, math.sqrt(1 - cosine**2)]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("mode", "negatives", "expected"),
    [
        ("in_batch", EYE.flip(0), 0.287682),
        ("in_batch_own", EYE.flip(0), 0.510826),
        ("in_batch_all", EYE.flip(0), 0.980829),
        ("own_only", EYE.flip(0), 0.287682),
        ("in_batch", EYE, 0.287682),
        ("in_batch_own", EYE, 0.847298),
        ("in_batch_all", EYE, 0.980829),
        ("own_only", EYE, 0.693147),
    ],
)
@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_infonce_modes(mode, negatives, expected, similarity):
    loss = infonce(EYE, EYE, negatives[:, None], temperature=LN3, mode=mode, similarity=similarity)
    assert loss.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("temperature", "expected"), [(0.05, 0.478742), (0.01, 0.012468), (1.0, 1.318778)])
def test_infonce_of_english_query_tuning(temperature, expected):
    columns = torch.tensor([[0.90, 0.80, 0.85, 0.78], [0.79, 0.92, 0.81, 0.88]], dtype=torch.float64).T
    loss = infonce(EYE, columns[:2], columns[2:, None], temperature=temperature, mode="in_batch_all")
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_infonce_of_language_agnostic_retrieval():
    passages = torch.tensor([[3.0], [1.0], [0.0]], dtype=torch.float64)
    query = torch.ones(1, 1, dtype=torch.float64)
    loss = infonce(query, passages[:1], passages[None, 1:], temperature=1.0, mode="own_only")
    assert loss.item() == pytest.approx(0.169846, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"margin": 0.1, "distance": "cosine"}, 0.05),
        ({"margin": 0.1, "distance": "euclidean"}, 0.0),
        ({"margin": 5, "distance": "euclidean"}, 4.899491),
        ({}, 0.05),
    ],
)
def test_triplet(options, expected):
    query = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert triplet(query, at_cosine(0.90), at_cosine(0.85), **options).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("denominator", "temperature", "expected"),
    [
        ("cross", 1.0, 0.598139),
        ("cross", 0.1, 0.126928),
        ("cross", 0.05, 0.018150),
        ("all", 1.0, 0.957474),
        ("all", 0.1, 0.966802),
    ],
)
def test_semantic_contrastive(denominator, temperature, expected):
    target = torch.tensor([[0.8, 0.6], [0.6, 0.8]], dtype=torch.float64)
    loss = semantic_contrastive(EYE, target, temperature=temperature, denominator=denominator)
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_embedding_match():
    teacher = at_cosine(0.6)
    assert embedding_match(EYE[:1], teacher).item() == pytest.approx(0.4, abs=1e-9)
    assert embedding_match(EYE[:1], teacher, distance="mse").item() == pytest.approx((0.16 + 0.64) / 2, abs=1e-9)


def every_loss():
    rows = {name: random_unit(5, 4, seed=seed) for seed, name in enumerate(["first", "second", "third"])}
    negatives = random_unit(5, 3, 4, seed=9)
    for mode in ("in_batch", "in_batch_own", "in_batch_all", "own_only"):
        yield lambda s, o, m=mode: infonce(
            s * rows["first"][o], rows["second"][o], negatives[o], temperature=0.1, mode=m, similarity="cosine"
        )
    yield lambda s, o: triplet(s * rows["first"][o], rows["second"][o], rows["third"][o], margin=0.5)
    for denominator in ("cross", "all"):
        yield lambda s, o, d=denominator: semantic_contrastive(
            s * rows["first"][o], rows["second"][o], temperature=0.1, denominator=d
        )
    yield lambda s, o: embedding_match(s * rows["first"][o], rows["second"][o])


@pytest.mark.parametrize("loss", every_loss())
def test_neither_row_order_nor_scale_changes_a_loss(loss):
    order = torch.tensor([3, 0, 4, 1, 2])
    plain = loss(1.0, torch.arange(5))
    assert plain > 0.01
    torch.testing.assert_close(loss(1.0, order), plain, rtol=0, atol=1e-12)
    torch.testing.assert_close(loss(7.5, torch.arange(5)), plain, rtol=0, atol=1e-12)


def test_a_row_with_only_hidden_negatives_has_loss_zero():
    queries, passages, negatives = random_unit(2, 4), random_unit(2, 4, seed=1), random_unit(2, 3, 4, seed=2)
    everything = torch.ones(2, 8, dtype=torch.bool)
    assert infonce(queries, passages, negatives, temperature=0.05, mode="in_batch_all", mask=everything).item() == 0
    padding = torch.ones(2, 3, dtype=torch.bool)
    assert infonce(queries, passages, negatives, temperature=0.05, mode="own_only", mask=padding).item() == 0


def test_ragged_rows_are_the_same_rows_one_by_one():
    queries, passages, negatives = random_unit(3, 4), random_unit(3, 4, seed=1), random_unit(3, 2, 4, seed=2)
    counts = [2, 1, 0]
    padding = torch.tensor([[place >= count for place in range(2)] for count in counts])
    together = infonce(queries, passages, negatives, temperature=0.2, mode="own_only", mask=padding)
    alone = [
        infonce(queries[i : i + 1], passages[i : i + 1], negatives[i : i + 1, :n], temperature=0.2, mode="own_only")
        for i, n in enumerate(counts)
    ]
    torch.testing.assert_close(together, torch.stack(alone).mean())


def test_own_only_sends_no_gradient_to_other_rows():
    queries, passages, negatives = random_unit(2, 4), random_unit(2, 4, seed=1), random_unit(2, 3, 4, seed=2)
    for tensor in (passages, negatives):
        tensor.requires_grad_()
    queries[1] = 0  # nothing of row 1 then reaches its own texts
    infonce(queries, passages, negatives, temperature=0.1, mode="own_only").backward()
    assert passages.grad[0].abs().sum() > 0
    assert passages.grad[1].abs().sum() == 0
    assert negatives.grad[1].abs().sum() == 0


def test_the_teacher_gets_no_gradient():
    student, teacher = random_unit(2, 3).requires_grad_(), random_unit(2, 3, seed=1).requires_grad_()
    for distance in ("cosine", "mse"):
        embedding_match(student, teacher, distance=distance).backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


def row_embeddings(passage_ids, query_ids, negative_ids=None):
    rows = len(passage_ids)
    vectors = {"query": random_unit(rows, 4), "passage": random_unit(rows, 4, seed=1)}
    ids = {"query": torch.tensor(query_ids), "passage": torch.tensor(passage_ids)}
    if negative_ids is not None:
        vectors["negative_passages"] = random_unit(rows, len(negative_ids[0]), 4, seed=2)
        ids["negative_passages"] = torch.tensor(negative_ids)
    return Embeddings(vectors, text_ids=ids)


def test_infonce_term_hides_duplicates_known_answers_and_padding():
    e = row_embeddings([10, 11, 10, 12], [0, 1, 2, 1], [[20, -1], [10, 20], [21, -1], [22, 11]])
    off = InfoNCE(mask_duplicates=False, mask_false_negatives=False).mask(e, with_negatives=True)
    assert off.nonzero().tolist() == [[row, column] for row in range(4) for column in (5, 9)]
    hidden = InfoNCE(mask_false_negatives=False).mask(e, with_negatives=True) & ~off
    # Columns 0..3 are the passages, 4..11 the negatives; a row's own positive is listed too, the loss keeps it.
    assert hidden.nonzero().tolist() == [[0, 0], [0, 2], [0, 6], [1, 1], [1, 11], [2, 0], [2, 2], [2, 6], [3, 3]]
    known = InfoNCE(mask_duplicates=False).mask(e, with_negatives=True) & ~off
    assert [1, 3] in known.nonzero().tolist(), "rows 1 and 3 ask the same, so each answers the other"
    assert [3, 1] in known.nonzero().tolist()
    assert [3, 11] in known.nonzero().tolist(), "11 answers query 1, wherever it stands"
    assert [0, 3] not in known.nonzero().tolist()


def test_infonce_term_with_masks_equals_the_loss_without_the_hidden_candidates():
    e = row_embeddings([10, 11, 10], [0, 1, 2])
    masked = InfoNCE(temperature=0.5)(e)
    logits = e.query @ e.passage.T / 0.5
    by_hand = [
        torch.logsumexp(logits[0, [0, 1]], 0) - logits[0, 0],
        torch.logsumexp(logits[1, [0, 1, 2]], 0) - logits[1, 1],
        torch.logsumexp(logits[2, [1, 2]], 0) - logits[2, 2],
    ]
    torch.testing.assert_close(masked, torch.stack(by_hand).mean())
    assert InfoNCE().masked_share(e) == pytest.approx(2 / 6)


@pytest.mark.parametrize("mode", ["in_batch", "in_batch_own", "in_batch_all", "own_only"])
def test_the_masked_share_is_that_of_the_modes_candidates_without_the_positives(mode):
    e = row_embeddings([10, 11, 10, 11], [0, 1, 2, 3], [[1, -1], [7, 0], [8, 9], [-1, 1]])
    term = InfoNCE(mode=mode)
    mask = term.mask(e, with_negatives=mode != "in_batch")
    n = 0 if mode == "in_batch" else 2
    seen = ~candidate_mask(4, n, mode, None)
    seen[:, :4].fill_diagonal_(False)
    assert term.masked_share(e) == pytest.approx(int((seen & mask).sum()) / int(seen.sum()))
    assert 0 < term.masked_share(e) < 1


def test_reverse_weight_adds_the_other_direction():
    e = row_embeddings([10, 11, 12], [0, 1, 2])
    there = infonce(e.query, e.passage, temperature=0.1, mode="in_batch")
    back = infonce(e.passage, e.query, temperature=0.1, mode="in_batch")
    torch.testing.assert_close(InfoNCE(temperature=0.1, reverse_weight=0.5)(e), there + 0.5 * back)


def test_semantic_contrastive_term_hides_pairs_that_share_a_sentence():
    vectors = {"parallel_source": random_unit(3, 4), "parallel_target": random_unit(3, 4, seed=1)}
    ids = {"parallel_source": torch.tensor([1, 1, 2]), "parallel_target": torch.tensor([5, 6, 7])}
    e = Embeddings(vectors, text_ids=ids)
    own = SemanticContrastive().mask(e)
    assert own.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    assert SemanticContrastive().masked_share(e) == pytest.approx(2 / 6)
    assert SemanticContrastive(mask_duplicates=False)(e) != SemanticContrastive()(e)


def test_triplet_term_leaves_out_rows_without_a_negative():
    e = row_embeddings([10, 11], [0, 1], [[20], [-1]])
    alone = triplet(e.query[:1], e.passage[:1], e.negative_passages[:1, 0], margin=0.9)
    torch.testing.assert_close(Triplet(margin=0.9)(e), alone)


def test_embedding_match_term_pulls_both_sides_to_the_teacher_of_one():
    vectors = {"parallel_source": random_unit(3, 4), "parallel_target": random_unit(3, 4, seed=1)}
    teacher = random_unit(3, 4, seed=2)
    e = Embeddings(vectors, teacher={"parallel_source": teacher})
    both = (embedding_match(e.parallel_source, teacher) + embedding_match(e.parallel_target, teacher)) / 2
    torch.testing.assert_close(EmbeddingMatch()(e), both)
    one = EmbeddingMatch(student=("parallel_target",))(e)
    torch.testing.assert_close(one, embedding_match(e.parallel_target, teacher))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_vectors_give_a_float32_loss(dtype):
    unit = EYE.to(dtype)
    for loss in (
        infonce(unit, unit, temperature=0.05, mode="in_batch"),
        triplet(unit, unit, unit.flip(0)),
        semantic_contrastive(unit, unit, temperature=0.05),
        embedding_match(unit, unit),
    ):
        assert loss.dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: infonce(EYE, EYE, temperature=0.1, mode="in-batch"), "in_batch_own"),
        (lambda: infonce(EYE, EYE, temperature=0.0, mode="in_batch"), "temperature 0.0"),
        (lambda: infonce(EYE, EYE[:1], temperature=0.1, mode="in_batch"), r"\(1, 2\)"),
        (lambda: infonce(EYE, EYE, EYE, temperature=0.1, mode="in_batch_all"), r"negatives \(2, 2\)"),
        (lambda: infonce(EYE, EYE, temperature=0.1, mode="own_only"), "needs negatives"),
        (lambda: infonce(EYE, EYE, temperature=0.1, mask=torch.ones(2, 2)), "must be bool"),
        (lambda: infonce(EYE, EYE, temperature=0.1, mask=torch.ones(3, 2, dtype=torch.bool)), r"\(3, 2\)"),
        (lambda: infonce(EYE, EYE, temperature=0.1, similarity="cos"), "cosine"),
        (lambda: triplet(EYE, EYE, EYE, distance="l2"), "euclidean"),
        (lambda: triplet(EYE, EYE, EYE[:1]), r"\(1, 2\)"),
        (lambda: semantic_contrastive(EYE, EYE, temperature=0.1, denominator="both"), "cross, all"),
        (lambda: semantic_contrastive(EYE, EYE, temperature=-1), "temperature -1"),
        (lambda: embedding_match(EYE, EYE[:, :1]), r"\(2, 1\)"),
        (lambda: embedding_match(EYE, EYE, distance="l1"), "mse"),
    ],
)
def test_misfits_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_missing_role_is_named():
    with pytest.raises(KeyError, match="no vectors for the role 'query'"):
        InfoNCE()(Embeddings({"passage": EYE}))
    with pytest.raises(KeyError, match="no teacher's vectors"):
        EmbeddingMatch()(Embeddings({"parallel_source": EYE, "parallel_target": EYE}))
