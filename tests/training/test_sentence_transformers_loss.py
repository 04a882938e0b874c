"""Our losses in the trainer of sentence-transformers do what they do in ours.

1. On one batch the value is that of the plain loss over unit vectors, duplicates masked; weights multiply.
2. A short run of the real trainer with several terms changes the weights, logs every term and lowers the loss.
3. Columns and terms that do not fit are refused in words.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("datasets")
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments

from isogloss.errors import UsageError
from isogloss.losses import EmbeddingMatch, InfoNCE, SemanticContrastive, Triplet
from isogloss.training import as_sentence_transformers_loss, load_training_recipe
from tests.conftest import TINY_TEXTS

QUERIES = [f"{text[:12]}?" for text in TINY_TEXTS]
PASSAGES = list(TINY_TEXTS)
TRANSLATIONS = [f"{text[5:]} {text[:5]}" for text in TINY_TEXTS]


@pytest.fixture(params=["tiny_static", "tiny_transformer"])
def model(request):
    return SentenceTransformer(str(request.getfixturevalue(request.param)), device="cpu").eval()


def features(model, *columns):
    return [model.preprocess(list(column)) for column in columns]


def reference(model, queries, candidates, temperature, hidden=()):
    """InfoNCE in NumPy, with some (row, candidate) places left out."""
    q = model.encode(queries, normalize_embeddings=True, prompt="")
    c = model.encode(candidates, normalize_embeddings=True, prompt="")
    logits = q @ c.T / temperature
    for row, column in hidden:
        logits[row, column] = -np.inf
    return np.mean(np.log(np.exp(logits).sum(axis=1)) - np.diagonal(logits))


def test_value_is_that_of_the_plain_loss(model):
    loss = as_sentence_transformers_loss(model, InfoNCE(temperature=0.5))
    value = loss(features(model, QUERIES[:4], PASSAGES[:4], TRANSLATIONS[:4], TRANSLATIONS[4:8]))
    candidates = [*PASSAGES[:4], *(text for n in range(4) for text in (TRANSLATIONS[n], TRANSLATIONS[n + 4]))]
    assert value.item() == pytest.approx(reference(model, QUERIES[:4], candidates, 0.5), abs=1e-5)


def test_negatives_may_be_left_out(model):
    value = as_sentence_transformers_loss(model, InfoNCE(temperature=0.5))(features(model, QUERIES[:4], PASSAGES[:4]))
    assert value.item() == pytest.approx(reference(model, QUERIES[:4], PASSAGES[:4], 0.5), abs=1e-5)


def test_duplicates_are_known_whatever_their_padding(model):
    passages = [PASSAGES[0], PASSAGES[1], PASSAGES[0], PASSAGES[3]]
    negatives = [PASSAGES[1], f"{PASSAGES[4]} {PASSAGES[10]}", PASSAGES[7], PASSAGES[8]]
    value = as_sentence_transformers_loss(model, InfoNCE(temperature=0.5))(
        features(model, QUERIES[:4], passages, negatives)
    )
    expected = reference(model, QUERIES[:4], [*passages, *negatives], 0.5, hidden=[(0, 2), (2, 0), (1, 4)])
    assert value.item() == pytest.approx(expected, abs=1e-5)


def test_weights_multiply(model):
    single = as_sentence_transformers_loss(model, Triplet(margin=0.3))
    both = as_sentence_transformers_loss(model, {"far": (Triplet(margin=0.3), 2.0), "rank": (InfoNCE(), 0.5)})
    batch = features(model, QUERIES[:4], PASSAGES[:4], TRANSLATIONS[4:8])
    values = both(batch)
    assert list(values) == ["far", "rank"]
    assert values["far"].item() == pytest.approx(2 * single(batch).item(), abs=1e-6)


def test_a_recipe_gives_its_terms(model):
    loss = as_sentence_transformers_loss(model, "english-query-tuning")
    term = load_training_recipe("english-query-tuning").objective[0]
    assert loss.get_config_dict()["terms"][0]["name"].startswith(term.term)
    with pytest.raises(UsageError, match="several sources"):
        as_sentence_transformers_loss(model, "bundled")
    assert as_sentence_transformers_loss(model, "bundled", source="questions").columns[0] == "query"


def test_the_teachers_vectors_are_the_labels(model):
    loss = as_sentence_transformers_loss(model, EmbeddingMatch(student=("parallel_target",)))
    batch = features(model, PASSAGES[:4], TRANSLATIONS[:4])
    vectors = torch.from_numpy(model.encode(TRANSLATIONS[:4], prompt=""))
    assert loss(batch, vectors).item() == pytest.approx(0, abs=1e-5)
    assert loss(batch, -vectors).item() == pytest.approx(2, abs=1e-5)
    with pytest.raises(UsageError, match="no vectors of it"):
        loss(batch)


def test_what_does_not_fit_is_refused(model):
    with pytest.raises(UsageError, match="which columns are these"):
        as_sentence_transformers_loss(model, [InfoNCE(), SemanticContrastive()])
    with pytest.raises(UsageError, match="needs 'negative_passages'"):
        as_sentence_transformers_loss(model, Triplet(), columns=("query", "passage"))
    with pytest.raises(UsageError, match="has 2 columns of text, and the loss expects: query, passage, negative"):
        as_sentence_transformers_loss(model, Triplet())(features(model, QUERIES[:4], PASSAGES[:4]))
    with pytest.raises(UsageError, match="has 3 columns"):
        loss = as_sentence_transformers_loss(model, SemanticContrastive())
        loss(features(model, QUERIES[:4], PASSAGES[:4], PASSAGES[:4]))


def test_a_run_of_their_trainer_with_several_terms(tiny_static, tmp_path):
    from datasets import Dataset

    model = SentenceTransformer(str(tiny_static), device="cpu")
    before = model[0].embedding.weight.detach().clone()
    loss = as_sentence_transformers_loss(
        model,
        {"ranking": (InfoNCE(temperature=0.2), 1.0), "alignment": (SemanticContrastive(temperature=0.2), 0.5)},
        columns=("query", ("passage", "parallel_source"), "parallel_target"),
    )
    rows = Dataset.from_dict({"anchor": QUERIES, "positive": PASSAGES, "translation": TRANSLATIONS})
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path), max_steps=12, per_device_train_batch_size=6, learning_rate=0.1, logging_steps=1,
        report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True, seed=1,
    )  # fmt: skip
    trainer = SentenceTransformerTrainer(model=model, args=arguments, train_dataset=rows, loss=loss)
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "ranking" in entry]
    assert len(logged) == 12
    assert logged[-1]["ranking"] < 0.5 * logged[0]["ranking"]
    assert logged[0]["loss"] == pytest.approx(logged[0]["ranking"] + logged[0]["alignment"], abs=2e-3)
    assert not torch.equal(before, model[0].embedding.weight)
