"""Law 1: cached gradients equal plain gradients.

1. Value and gradient agree to the last digits of float64, for every loss alone and for all of them together.
2. They do for any chunking: ragged chunks, one text a chunk, everything in one chunk.
3. The replay drops the same activations as the first pass.
4. A text that two terms share is encoded once, and gets the gradients of both.
5. A chunk weighs as many rows as it has: a longer text in a chunk by itself changes nothing.
"""

from __future__ import annotations

import pytest
import torch

from isogloss.training.encoders import MiniBatch, TrainedEncoder
from isogloss.training.step import CachedStep
from isogloss.training.texts import unique_numbers
from tests.training.stand_ins import DoubleTower, every_objective, made_up_batch, teacher


def plain(objective, batch, texts, tower, mini_batch):
    """Value and gradients with one graph through all texts, encoded in the chunks (hence dropout) of `mini_batch`."""
    encoder = TrainedEncoder(tower, texts, mini_batch=mini_batch)
    wanted = [
        column
        for name, one in batch.drawn.items()
        for role, column in one.columns.items()
        if objective.uses(name, role)
    ]
    numbers = unique_numbers(wanted)
    place = {number: index for index, number in enumerate(numbers.tolist())}
    vectors = torch.zeros(len(numbers), tower.dimension, dtype=torch.float64)
    for chunk in encoder.chunks(numbers):
        vectors = vectors.index_add(0, torch.from_numpy(chunk), encoder.forward(numbers[chunk]))

    class Given:
        def vectors_of(self, column):
            return vectors[torch.tensor([[place.get(n, 0) for n in row] for row in column.reshape(len(column), -1)])]

    def embeddings(bound):
        from isogloss.losses import Embeddings

        given, ids, taught, values = {}, {}, {}, {}
        for source in bound.sources:
            for role, column in batch.drawn[source].columns.items():
                if bound.uses(role):
                    found = Given().vectors_of(column)
                    given[role] = found if column.ndim == 2 else found[:, 0]
                ids[role] = torch.from_numpy(column)
                if role in bound.teacher_roles:
                    taught[role] = torch.from_numpy(teacher(texts).vectors(column))
            values |= {
                name: torch.from_numpy(one.astype("float32")) for name, one in batch.drawn[source].values.items()
            }
        return Embeddings(given, text_ids=ids, teacher=taught, values=values)

    evaluated = objective.evaluate(embeddings)
    total = sum(
        bound.weight * weight * bound.term(embeddings(bound) if size is None else embeddings(bound).prefix(size))
        for bound in objective.terms
        for size, weight in (objective.dimensions or {None: 1.0}).items()
    )
    total.backward()
    return evaluated


def gradients(tower):
    found = {name: value.grad.clone() for name, value in tower.named_parameters()}
    tower.zero_grad()
    return found


CHUNKS = {
    "one chunk": MiniBatch(tokens=10_000),
    "ragged chunks": MiniBatch(tokens=70, size=5),
    "one text a chunk": MiniBatch(size=1),
}


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("name", every_objective())
def test_cached_equals_plain(name, chunks):
    objective, mini_batch = every_objective()[name], CHUNKS[chunks]
    texts, batch = made_up_batch()
    tower = DoubleTower().train()
    torch.manual_seed(3)
    expected = plain(objective, batch, texts, tower, mini_batch)
    wanted = gradients(tower)
    encoder = TrainedEncoder(tower, texts, mini_batch=mini_batch)
    step = CachedStep({"query": encoder, "passage": encoder}, objective, teacher=teacher(texts))
    torch.manual_seed(3)
    evaluated = step(batch, measure=True)
    torch.testing.assert_close(evaluated.loss, expected.loss, rtol=0, atol=1e-12)
    assert evaluated.loss > 0
    for parameter, gradient in gradients(tower).items():
        assert wanted[parameter].abs().max() > 1e-4, "a gradient of zero would show nothing"
        torch.testing.assert_close(gradient, wanted[parameter], rtol=0, atol=1e-12)


def test_without_dropout_no_chunking_changes_anything():
    objective = every_objective()["all_together"]
    texts, batch = made_up_batch()
    results = []
    for mini_batch in CHUNKS.values():
        tower = DoubleTower(dropout=0.0)
        encoder = TrainedEncoder(tower, texts, mini_batch=mini_batch)
        evaluated = CachedStep({"query": encoder, "passage": encoder}, objective, teacher=teacher(texts))(batch)
        results.append((evaluated.loss, gradients(tower)))
    for loss, found in results[1:]:
        torch.testing.assert_close(loss, results[0][0], rtol=0, atol=1e-12)
        torch.testing.assert_close(found, results[0][1], rtol=0, atol=1e-12)


def test_two_towers_get_their_own_gradients():
    objective = every_objective()["infonce_in_batch_all"]
    texts, batch = made_up_batch()
    tied = DoubleTower(dropout=0.0)
    encoder = TrainedEncoder(tied, texts, mini_batch=MiniBatch(size=2))
    CachedStep({"query": encoder, "passage": encoder}, objective)(batch)
    query, passage = DoubleTower(dropout=0.0), DoubleTower(dropout=0.0)
    encoders = {"query": TrainedEncoder(query, texts), "passage": TrainedEncoder(passage, texts)}
    CachedStep(encoders, objective)(batch)
    both = {
        name: value + gradients_of
        for (name, value), gradients_of in zip(gradients(query).items(), gradients(passage).values(), strict=True)
    }
    torch.testing.assert_close(both, gradients(tied), rtol=0, atol=1e-12)


def test_the_random_state_goes_on_as_if_each_chunk_was_encoded_once():
    texts, batch = made_up_batch()
    tower = DoubleTower().train()
    encoder = TrainedEncoder(tower, texts, mini_batch=MiniBatch(size=3))
    step = CachedStep({"query": encoder, "passage": encoder}, every_objective()["infonce_in_batch"])
    torch.manual_seed(3)
    step(batch)
    after = torch.rand(3)
    torch.manual_seed(3)
    plain(every_objective()["infonce_in_batch"], batch, texts, tower, MiniBatch(size=3))
    assert torch.equal(after, torch.rand(3))
