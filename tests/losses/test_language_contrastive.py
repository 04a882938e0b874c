"""The language contrastive loss has its floor where both members of a pair are equally near, and its worked values.

1. Every worked value and gradient; the three reductions; the tiled form equals a loop over triples.
2. The floor 2 ln 2 is reached by equal embeddings and by nothing lower; huge differences stay finite.
3. Gradient descent on the third sentence takes the language out of it and never overshoots.
4. `k_only` moves the third sentences alone; a sentence that is in a pair does not meet it.
"""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from isogloss.losses import TERMS, Embeddings, infonce, language_contrastive, semantic_contrastive

FLOOR = 2 * math.log(2)
LanguageContrastive = TERMS["language_contrastive"]


def with_cosines(first, second):
    """A pair and sentences with these cosines to its members; the pair's own vectors span the first two axes."""
    source = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    target = torch.tensor([[-0.9, math.sqrt(1 - 0.81), 0.0]], dtype=torch.float64)
    sentences = []
    for one, other in zip(first, second, strict=True):
        x, y = one, (other + 0.9 * one) / math.sqrt(1 - 0.81)
        sentences.append([x, y, math.sqrt(max(1 - x * x - y * y, 0))])
    return source, target, torch.tensor(sentences, dtype=torch.float64)


def scored(first, second, **options):
    """The loss of scores, by dot products: the members of the pair are axes, a sentence is its two scores."""
    eye = torch.eye(2, dtype=torch.float64)
    sentences = torch.tensor([first, second], dtype=torch.float64).T
    return language_contrastive(eye[:1], eye[1:], sentences, similarity="dot", **options)


@pytest.mark.parametrize(
    ("first", "second", "options", "expected"),
    [
        ([0.8], [0.6], {}, 1.396278),
        ([0.8], [0.6], {"reduction": "half"}, 0.698139),
        ([0.8], [0.6], {"temperature": 0.05}, 4.036300),
        ([0.5], [0.5], {}, 1.386294),
        ([0.9], [-0.9], {}, 2.105955),
        ([0.2], [0.3], {}, 1.388793),
        ([0.8, 0.2, 0.5], [0.6, 0.3, 0.5], {}, 1.390455),
        ([0.8, 0.2, 0.5], [0.6, 0.3, 0.5], {"reduction": "sum"}, 1.396278 + 1.388793 + 1.386294),
    ],
)
def test_the_worked_values(first, second, options, expected):
    assert scored(first, second, **options).item() == pytest.approx(expected, abs=1.1e-6)


def test_cosine_is_the_default():
    eye = torch.eye(2, dtype=torch.float64)
    unit = torch.tensor([[0.8, 0.6]], dtype=torch.float64)
    assert language_contrastive(eye[:1], eye[1:], unit).item() == pytest.approx(1.396278, abs=1e-6)
    assert language_contrastive(eye[:1], 3 * eye[1:], 7 * unit).item() == pytest.approx(1.396278, abs=1e-6)
    opposed = with_cosines([0.9], [-0.9])
    assert language_contrastive(*opposed).item() == pytest.approx(2.105955, abs=1e-6)


@pytest.mark.parametrize(("temperature", "slope"), [(1.0, 0.099668), (0.05, 0.964028)])
def test_the_worked_gradients(temperature, slope):
    eye = torch.eye(2, dtype=torch.float64)
    sentence = torch.tensor([[0.8, 0.6]], dtype=torch.float64, requires_grad=True)
    language_contrastive(eye[:1], eye[1:], sentence, temperature=temperature, similarity="dot").backward()
    expected = torch.tensor([[slope, -slope]], dtype=torch.float64) / temperature
    torch.testing.assert_close(sentence.grad, expected, rtol=0, atol=1.1e-6 / temperature)


def test_the_total_of_the_method():
    english = torch.eye(2, dtype=torch.float64)
    foreign = torch.tensor([[0.8, 0.6], [0.6, 0.8]], dtype=torch.float64)
    passages = torch.tensor([[3.0], [1.0], [0.0]], dtype=torch.float64)
    retrieval = infonce(torch.ones_like(passages[:1]), passages[:1], passages[None, 1:], temperature=1.0)
    total = retrieval + 0.5 * semantic_contrastive(english, foreign, temperature=1.0) + 0.1 * scored([0.8], [0.6])
    assert total.item() == pytest.approx(0.608543, abs=1e-6)


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_is_the_loop_over_triples():
    source, target, sentences = random(3, 4, seed=0), random(3, 4, seed=1), random(5, 4, seed=2)
    cosine = torch.nn.CosineSimilarity(dim=0)
    triples = []
    for i, j in zip(source, target, strict=True):
        for k in sentences:
            both = torch.stack([cosine(i, k), cosine(j, k)]) / 0.3
            triples.append(-both.log_softmax(0).sum())
    found = language_contrastive(source, target, sentences, temperature=0.3)
    torch.testing.assert_close(found, torch.stack(triples).mean())
    torch.testing.assert_close(language_contrastive(target, source, sentences, temperature=0.3), found)
    assert min(triples) >= FLOOR


def test_the_floor_is_at_equality_with_no_gradient():
    same = torch.ones(3, 4, dtype=torch.float64, requires_grad=True)
    loss = language_contrastive(same, same, same)
    loss.backward()
    assert loss.item() == pytest.approx(FLOOR, abs=1e-12)
    assert same.grad.abs().max() < 1e-12
    eye = torch.eye(2, dtype=torch.float64)
    assert language_contrastive(eye[:1], eye[1:], torch.full((1, 2), 0.6).double()).item() == pytest.approx(FLOOR)


def test_descent_takes_the_language_out_and_never_overshoots():
    eye = torch.eye(2, dtype=torch.float64)
    sentence = torch.tensor([[0.9, 0.1]], dtype=torch.float64, requires_grad=True)
    deltas = [0.8]
    for _ in range(50):
        sentence.grad = None
        language_contrastive(eye[:1], eye[1:], sentence, similarity="dot").backward()
        sentence.data -= 0.5 * sentence.grad
        deltas.append(float(sentence.detach() @ (eye[0] - eye[1])))
    assert all(0 <= later < earlier for earlier, later in itertools.pairwise(deltas) if earlier > 1e-12)
    assert deltas[-1] < 1e-6


def test_huge_differences_stay_finite():
    eye = torch.eye(2, dtype=torch.float64)
    sentence = torch.tensor([[1000.0, 0.0]], dtype=torch.float64, requires_grad=True)
    loss = language_contrastive(eye[:1], eye[1:], sentence, similarity="dot")
    loss.backward()
    assert loss.item() == pytest.approx(1000)
    assert sentence.grad.tolist() == [[1.0, -1.0]]


def step(**ids):
    names = ("parallel_source", "parallel_target", "nonparallel_sentence")
    vectors = {name: random(3, 4, seed=seed).requires_grad_() for seed, name in enumerate(names)}
    given = {"parallel_source": [1, 2, 3], "parallel_target": [4, 5, 6], "nonparallel_sentence": [7, 8, 9], **ids}
    return Embeddings(vectors, text_ids={name: torch.tensor(value) for name, value in given.items()})


def test_k_only_moves_the_sentences_alone():
    for grad, moved in (("all", [True] * 3), ("k_only", [False, False, True])):
        e = step()
        LanguageContrastive(lang_grad=grad)(e).backward()
        assert [e.vectors(role).grad is not None for role in e.roles] == moved


def test_a_sentence_of_a_pair_does_not_meet_it():
    e = step(nonparallel_sentence=[7, 5, -1])
    assert LanguageContrastive().mask(e).tolist() == [[False, False, True], [False, True, True], [False, False, True]]
    source, target, sentences = (e.vectors(role) for role in e.roles)
    first = language_contrastive(source, target, sentences[:1], reduction="sum")
    second = language_contrastive(source[[0, 2]], target[[0, 2]], sentences[1:2], reduction="sum")
    torch.testing.assert_close(LanguageContrastive()(e), (first + second) / 5)
    excess = LanguageContrastive().measurements(e)["excess"]
    assert excess == pytest.approx(LanguageContrastive()(e).item() - FLOOR)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature 0.0"),
        ({"reduction": "max"}, "mean, sum, half"),
        ({"similarity": "l2"}, "cosine, dot"),
        ({"mask": torch.ones(2, 2)}, "must be bool"),
    ],
)
def test_misfits_are_named(options, message):
    eye = torch.eye(2, dtype=torch.float64)
    with pytest.raises(ValueError, match=message):
        language_contrastive(eye, eye, eye, **options)
    with pytest.raises(ValueError, match=r"\(sentences, 2\)"):
        language_contrastive(eye, eye, torch.eye(3))
