"""A torch tower is sentence-transformers' own computation with the prompt and the length of a role.

1. `features` and `forward` give the vectors of sentence-transformers, with prompts, also where pooling leaves them out.
2. Sorting and batching by tokens changes no vector beyond rounding and no order at all; bfloat16 rounds them, is near,
   and stands in the fingerprint.
3. `forward` leaves its input as it is and lets gradients through; encoding computes none and no dropout.
4. Shared towers hold their weights once; a frozen tower wants no gradients.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from isogloss.engines.sentence_transformers_modules import Normalize, Pooling
from isogloss.engines.torch_engine import TorchEngine, token_budget_batches
from isogloss.engines.torch_tower import TorchTower, TorchTowers
from isogloss.errors import ModelError
from isogloss.models.retriever import Retriever
from tests.conftest import TINY_TEXTS, bert_modules, static_modules

TEXTS = [*TINY_TEXTS, "a", " ".join(TINY_TEXTS)]


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    return bert_modules(tmp_path_factory.mktemp("tower"))


@pytest.fixture
def tower(modules):
    return TorchTower(modules, prompt="query: ").eval()


def with_sentence_transformers(modules, prompt, texts=TEXTS):
    model = SentenceTransformer(modules=list(modules), device="cpu")
    return model.encode(texts, prompt=prompt, normalize_embeddings=True)


@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize("mode", ["mean", "cls", ("max", "mean")])
def test_vectors_are_those_of_sentence_transformers(modules, include_prompt, mode):
    chosen = [modules[0], Pooling(32, mode, include_prompt=include_prompt)]
    tower = TorchTower(chosen, prompt="query: ").eval()
    with torch.no_grad():
        vectors = tower(tower.features(TEXTS)).numpy()
    np.testing.assert_allclose(vectors, with_sentence_transformers(chosen, "query: "), atol=1e-6)
    assert tower.dimension == vectors.shape[1] == (64 if isinstance(mode, tuple) else 32)


def test_a_model_that_does_not_say_its_dimension_is_refused_with_a_next_step(tower):
    lengthless = TorchTower(list(tower.encoder))
    lengthless.encoder = torch.nn.Sequential(torch.nn.Identity())
    with pytest.raises(ModelError, match=r"its modules: Identity\)\nEnd it with"):
        _ = lengthless.dimension


def test_static_vectors_are_those_of_sentence_transformers():
    modules = static_modules()
    tower = TorchTower(modules, prompt="query: ")
    with torch.no_grad():
        vectors = tower(tower.features(TEXTS)).numpy()
    np.testing.assert_allclose(vectors, with_sentence_transformers(modules, "query: "), atol=1e-6)
    assert tower.max_length is None


@pytest.mark.parametrize("tokens_per_batch", [1, 40, 10_000])
def test_batching_changes_no_vector(tower, tokens_per_batch):
    with torch.no_grad():
        one_by_one = torch.cat([tower(tower.features([text])) for text in TEXTS]).numpy()
    seen = []
    engine = TorchEngine(tower, tokens_per_batch=tokens_per_batch)
    encoded = engine.encode(TEXTS, progress=lambda texts, tokens=0: seen.append(texts))
    np.testing.assert_allclose(encoded.vectors, one_by_one, atol=1e-6)
    assert sum(seen) == len(TEXTS)


def test_token_budget_holds_with_padding():
    counts = [3, 9, 1, 30, 9, 2, 5]
    batches = list(token_budget_batches(counts, 18))
    assert sorted(row for batch in batches for row in batch) == list(range(7))
    assert all(len(batch) == 1 or max(counts[row] for row in batch) * len(batch) <= 18 for batch in batches)


def test_bfloat16_is_near_and_says_so(tower):
    exact, rounded = TorchEngine(tower), TorchEngine(tower, precision="bfloat16")
    difference = np.abs(exact.encode(TEXTS).vectors - rounded.encode(TEXTS).vectors).max()
    assert 1e-5 < difference < 0.01
    assert exact.fingerprint_parts()["precision"] == "float32"
    for engine in (rounded, rounded.copy(), rounded.with_prompt("passage: ")):
        assert engine.fingerprint_parts()["precision"] == "bfloat16"
    assert {parameter.dtype for parameter in tower.parameters()} == {torch.float32}


def test_progress_counts_texts_and_tokens(tower):
    seen = []
    encoded = TorchEngine(tower, tokens_per_batch=40).encode(TEXTS, progress=lambda *counts: seen.append(counts))
    assert tuple(np.sum(seen, axis=0)) == (len(TEXTS), encoded.token_counts.sum())


def test_counts_and_truncation(tower):
    encoded = TorchEngine(tower).encode(TEXTS)
    assert encoded.token_counts.tolist() == tower.tokenize(TEXTS).counts
    assert encoded.truncated.tolist() == [len(tower.tokenizer("query: " + text)["input_ids"]) > 32 for text in TEXTS]
    assert encoded.truncated.any() and not encoded.truncated.all()
    assert max(encoded.token_counts) == tower.max_length == 32


def test_forward_leaves_features_and_gives_gradients(tower):
    features = tower.features(TEXTS[:3])
    before = {name: values.clone() for name, values in features.items()}
    tower(features)[0, 0].backward()
    assert features.keys() == before.keys()
    assert all(torch.equal(values, before[name]) for name, values in features.items())
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in tower.parameters())
    tower.zero_grad()


def test_encoding_has_no_dropout_and_restores_the_mode(tower):
    tower.train()
    engine = TorchEngine(tower)
    first, second = engine.encode(TEXTS).vectors, engine.encode(TEXTS).vectors
    np.testing.assert_array_equal(first, second)
    assert tower.training
    assert not torch.equal(tower(tower.features(TEXTS)), tower(tower.features(TEXTS)))


def test_shared_towers_hold_their_weights_once(tower):
    towers = TorchTowers(tower, tower.with_prompt("passage: "))
    assert towers.shared and towers.towers["query"].encoder[0] is towers.towers["passage"].encoder[0]
    assert all(name.startswith("query.") for name in towers.state_dict())
    assert TorchTowers(tower, tower).query is TorchTowers(tower, tower).passage


def test_frozen_passage_tower_wants_no_gradients(tmp_path):
    towers = TorchTowers(TorchTower(static_modules()), TorchTower(static_modules()), frozen_passage=True)
    assert not towers.shared
    assert {name for name, parameter in towers.named_parameters() if parameter.requires_grad} == {
        "query.encoder.0.embedding.weight"
    }


def test_half_precision_modules_are_computed_in_float32():
    modules = static_modules()
    half = [modules[0].half(), modules[1]]
    assert {parameter.dtype for parameter in TorchTower(half).parameters()} == {torch.float32}


def test_modules_without_text_are_refused():
    with pytest.raises(ModelError, match="Normalize"):
        TorchTower([Normalize()])


def test_whole_counts_are_those_of_the_uncut_text(tiny_transformer):
    tower = Retriever.load(tiny_transformer).query.engine
    short, long = "a ship", "a ship " * 60
    words = tower.tower.tokenizer.tokenize
    expected = [len(words("query: " + text)) + 2 for text in (short, long)]  # [CLS] and [SEP]
    assert tower.count_tokens([short, long]) == expected
    encoded = tower.encode([short, long])
    assert encoded.token_counts.tolist() == [expected[0], 32]
