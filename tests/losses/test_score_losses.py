"""Losses on a query's own candidates have the values of the query-generator-teacher file.

1. Distillation and alignment: every worked value, and the worked gradients.
2. The teacher, and the labelled query in the alignment, get no gradient; constants added to scores change nothing.
3. Rows without scores, without a generated query or with hidden candidates give what the others alone give.
4. The terms of MarginMSE, distillation and alignment read the candidates in the order of the scores.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from isogloss.losses import TERMS, Embeddings, alignment, distillation, infonce, margin_mse

Distillation, MarginMSE, Alignment = (TERMS[name] for name in ("distillation", "margin_mse", "alignment"))
NAN = math.nan


def row(*scores):
    return torch.tensor([scores], dtype=torch.float64)


def teacher_distribution(scores, **options):
    """The teacher's distribution as the loss uses it: its gradient on uniform student scores is 1/n − T."""
    student = torch.zeros_like(scores, requires_grad=True)
    distillation(student, scores, **options).backward()
    return (1 / scores.shape[1] - student.grad)[0].tolist()


@pytest.mark.parametrize(
    ("scores", "temperature", "expected"),
    [
        ((-0.2, -0.9), 1.0, [0.668188, 0.331812]),
        ((-0.6, -2.7), 1.0, [0.890903, 0.109097]),
        ((-1.0, -2.0, -3.0), 1.0, [0.665241, 0.244728, 0.090031]),
        ((-1.0, -2.0, -3.0), 0.5, [0.866813, 0.117310, 0.015876]),
        ((-1.0, -2.0, -3.0), 0.1, [0.999955, 4.54e-5, 2.06e-9]),
    ],
)
def test_teacher_distributions(scores, temperature, expected):
    assert teacher_distribution(row(*scores), teacher_temperature=temperature) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        ((0, 0), (-0.2, -0.9), 0.057693),
        ((0, 0), (-0.6, -2.7), 0.348524),
        ((2, 1, 0), (-1, -2, -3), 0.0),
        ((0, 1, 2), (-1, -2, -3), 1.150421),
        ((0, 0, 0), (-1, -2, -3), 0.266217),
        ((-1, -2, -3), (0, 0, 0), 0.308994),
        ((0, 0, 0), (-1, -2, -3), math.log(3) - 0.832396),
        ((2, 1, 0), (-1, -2, -4), 0.023475),
    ],
)
def test_distillation(student, teacher, expected):
    assert distillation(row(*student), row(*teacher)).item() == pytest.approx(expected, abs=1.1e-6)


def test_alignment():
    generated = row(2, 2, 0).requires_grad_()
    loss = alignment(row(3, 1, 0), generated)
    loss.backward()
    assert loss.item() == pytest.approx(0.318377, abs=1e-6)
    assert generated.grad[0].tolist() == pytest.approx([-0.375484, 0.354115, 0.021369], abs=1e-6)
    assert alignment(row(2, 2, 0), row(3, 1, 0)).item() == pytest.approx(0.411222, abs=1e-6)


def test_the_contrast_of_scores_and_the_total():
    def contrast(scores):
        passages = torch.tensor(scores, dtype=torch.float64)[:, None]
        return infonce(torch.ones(1, 1).double(), passages[:1], passages[None, 1:], temperature=1.0, mode="own_only")

    assert contrast([-0.2, -0.9, -1.4]).item() == pytest.approx(0.586552, abs=1e-6)
    labelled = contrast([2.0, 1.0, 0.0])
    assert labelled.item() == pytest.approx(0.407606, abs=1e-6)
    total = labelled + distillation(row(2, 1, 0), row(-1, -2, -4)) + 0.5 * alignment(row(3, 1, 0), row(2, 2, 0))
    assert total.item() == pytest.approx(0.590269, abs=1e-6)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_only_the_student_is_moved():
    for loss, fixed, moved in ((distillation, 1, 0), (margin_mse, 1, 0), (alignment, 0, 1)):
        given = [random(3, 4, seed=seed).requires_grad_() for seed in range(2)]
        loss(*given).backward()
        assert given[fixed].grad is None
        assert given[moved].grad.abs().sum() > 0


def test_constants_and_equal_distributions_change_nothing():
    student, teacher = random(3, 4), random(3, 4, seed=1)
    plain = distillation(student, teacher)
    torch.testing.assert_close(distillation(student + 5, teacher - 3), plain)
    equal = teacher.clone().requires_grad_()
    distillation(equal, teacher).backward()
    assert equal.grad.abs().max() < 1e-12


@pytest.mark.parametrize("loss", [distillation, margin_mse, alignment])
def test_hidden_candidates_are_not_there(loss):
    first, second = random(2, 4), random(2, 4, seed=1)
    mask = torch.tensor([[False, False, True, True]] * 2)
    torch.testing.assert_close(loss(first, second, mask=mask), loss(first[:, :2], second[:, :2]))


def test_margin_mse_is_the_square_of_the_margins():
    assert margin_mse(row(3, 1, 2), row(5, 4, 1)).item() == pytest.approx(((2 - 1) ** 2 + (1 - 4) ** 2) / 2)


def test_half_precision_and_misfits():
    half = random(2, 3).to(torch.bfloat16)
    for loss in (distillation, margin_mse, alignment):
        assert loss(half, half).dtype == torch.float32
        with pytest.raises(ValueError, match=r"\(2, 3\) and \(2, 2\)"):
            loss(half, half[:, :2])
        with pytest.raises(ValueError, match="must be bool"):
            loss(half, half, mask=half)
    with pytest.raises(ValueError, match="teacher_temperature 0"):
        distillation(half, half, teacher_temperature=0)
    with pytest.raises(ValueError, match="no negative"):
        margin_mse(half[:, :1], half[:, :1])
    with pytest.raises(ValueError, match="weights"):
        alignment(half, half, weights=torch.ones(3))


def embeddings(scores, negative_ids=((20, 21), (22, -1), (23, 24)), generated_ids=(30, 31, 32), **values):
    unit = [F.normalize(random(*shape, seed=seed), dim=-1) for seed, shape in enumerate([(3, 4), (3, 4), (3, 2, 4)])]
    vectors = dict(zip(("query", "passage", "negative_passages"), unit, strict=True))
    vectors["generated_query"] = F.normalize(random(3, 4, seed=7), dim=-1)
    ids = {"query": [0, 1, 2], "passage": [10, 11, 12], "negative_passages": negative_ids}
    ids["generated_query"] = generated_ids
    given = {"teacher_scores": scores, **values}
    return Embeddings(
        vectors,
        text_ids={role: torch.tensor(one) for role, one in ids.items()},
        values={name: torch.tensor(one, dtype=torch.float64) for name, one in given.items()},
    )


def own(e, index, role="query", count=3):
    candidates = torch.cat([e.passage[index, None], e.negative_passages[index]])[:count]
    return (candidates @ e.vectors(role)[index])[None]


SCORES = [[3.0, 1.0, 2.0], [2.0, 1.0, NAN], [NAN, NAN, NAN]]


@pytest.mark.parametrize("width", [3, 4])
def test_terms_leave_out_what_has_no_score(width):
    e = embeddings([[*one, NAN][:width] for one in SCORES])
    first, second = (own(e, 0) / 0.1, row(3, 1, 2)), (own(e, 1, count=2) / 0.1, row(2, 1))
    torch.testing.assert_close(Distillation(temperature=0.1)(e), (distillation(*first) + distillation(*second)) / 2)
    term = MarginMSE(scale=10.0)(e)
    torch.testing.assert_close(term, (2 * margin_mse(*first) + margin_mse(*second)) / 3)
    nothing = embeddings([[NAN] * 3] * 3)
    assert [term()(nothing).item() for term in (Distillation, MarginMSE)] == [0, 0]


def test_alignment_leaves_out_rows_without_a_generated_query():
    e = embeddings(SCORES, generated_ids=(30, -1, 32))
    rows = [alignment(own(e, i) / 0.1, own(e, i, "generated_query") / 0.1) for i in (0, 2)]
    torch.testing.assert_close(Alignment(temperature=0.1)(e), (rows[0] + rows[1]) / 2)
    to_teacher = distillation(own(e, 0, "generated_query") / 0.1, row(3, 1, 2), teacher_temperature=2.0)
    options = {"temperature": 0.1, "teacher_temperature": 2.0}
    torch.testing.assert_close(Alignment(align_target="teacher", **options)(e), to_teacher)
    both = Alignment(align_target="both", **options)(e)
    torch.testing.assert_close(both, to_teacher + (rows[0] + rows[1]) / 2)
    assert Alignment()(embeddings(SCORES, generated_ids=(-1, -1, -1))).item() == 0


def test_alignment_weighs_rows_where_it_is_told_to():
    e = embeddings(SCORES, generated_weight=[0.5, 0.0, NAN])
    rows = [
        alignment(own(e, i, count=n) / 0.1, own(e, i, "generated_query", n) / 0.1) for i, n in ((0, 3), (1, 2), (2, 3))
    ]
    torch.testing.assert_close(Alignment(temperature=0.1, weighted=True)(e), (0.5 * rows[0] + rows[2]) / 3)
    torch.testing.assert_close(Alignment(temperature=0.1)(e), sum(rows) / 3)
