"""Truncated vectors: the first dimensions of the model's own, at unit length, wherever they come from.

1. They point where sentence-transformers' `truncate_dim` points, for static models and transformers, shared and not.
2. A saved truncated model is opened by both with the same vectors, keeps all dimensions, and trains from the whole.
3. Vectors of another number of dimensions have another fingerprint, so no bank is mixed up.
4. A number of dimensions that the model does not have is refused.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from isogloss.errors import ModelError, StaleBankError, UsageError
from isogloss.models.retriever import Retriever
from isogloss.records import Text
from tests.conftest import TINY_TEXTS


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("model", ["tiny_static", "tiny_transformer", "tiny_untied"])
def test_as_sentence_transformers_truncates(tmp_path, request, model):
    folder = request.getfixturevalue(model)
    cut = Retriever.load(folder, dimension=7)
    assert cut.dimension == 7
    cut.save(tmp_path / "saved")
    for path, options in ((folder, {"truncate_dim": 7}), (tmp_path / "saved", {})):
        other = SentenceTransformer(str(path), device="cpu", **options)
        queries, passages = other.encode_query(list(TINY_TEXTS)), other.encode_document(list(TINY_TEXTS))
        assert queries.shape == (len(TINY_TEXTS), 7)
        np.testing.assert_allclose(cut.encode_query(TINY_TEXTS), unit(queries), atol=1e-6)
        np.testing.assert_allclose(cut.encode_passage(TINY_TEXTS), unit(passages), atol=1e-6)


def test_a_saved_one_is_the_same_again_and_keeps_all_dimensions(tmp_path, tiny_static):
    cut, whole = Retriever.load(tiny_static, dimension=5), Retriever.load(tiny_static)
    cut.save(tmp_path / "saved")
    again = Retriever.load(tmp_path / "saved")
    assert np.array_equal(again.encode_query(TINY_TEXTS), cut.encode_query(TINY_TEXTS))
    assert again.passage.fingerprint == cut.passage.fingerprint
    back = Retriever.load(tmp_path / "saved", dimension=whole.dimension)
    assert np.array_equal(back.encode_query(TINY_TEXTS), whole.encode_query(TINY_TEXTS))
    with pytest.raises(ModelError, match="all its dimensions"):
        again.to_torch()


def test_a_bank_of_another_number_of_dimensions_is_refused(tmp_path, tiny_static):
    from isogloss.engines.bank import Bank

    texts = [Text(str(place), text, "en") for place, text in enumerate(TINY_TEXTS)]
    cut = Retriever.load(tiny_static, dimension=5)
    for workers in (1, 2):
        cut.encode_bank(texts, tmp_path / f"bank{workers}", dtype="float32", progress=False, workers=workers)
        bank = Bank.open(tmp_path / f"bank{workers}")
        np.testing.assert_array_equal(bank.get([text.id for text in texts]), cut.encode_passage(texts))
        with pytest.raises(StaleBankError, match="dimension"):
            bank.require(Retriever.load(tiny_static).passage.fingerprint)


def test_dimensions_that_are_not_there_are_refused(tmp_path, tiny_static):
    for dimension in (0, 25):
        with pytest.raises(UsageError, match="allowed: 1 to 24"):
            Retriever.load(tiny_static, dimension=dimension)
    Retriever.load(tiny_static).save(tmp_path / "saved")
    path = tmp_path / "saved" / "config_sentence_transformers.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "truncate_dim": "many"}))
    with pytest.raises(ModelError, match="'many' dimensions"):
        Retriever.load(tmp_path / "saved")
