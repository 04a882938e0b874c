"""Layers on top of a static model change nothing before they are trained, and do afterwards.

1. The mean of the states is the static model's vector, whatever a word's length; the constants are not in it.
2. The folder opens as a retriever, and attention is no longer idle once its weights are.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from experiments.contextual_student import CONSTANTS, contextual, main

from isogloss import Retriever

TEXTS = ["the river reaches the sea", "a river", "sea the reaches river the", "Fluss"]


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_vectors_are_those_of_the_static_model(tmp_path, tiny_static, layers, capsys):
    assert main(["--model", str(tiny_static), "--layers", str(layers), "--out", str(tmp_path / "out")]) == 0
    static, made = Retriever.load(tiny_static), Retriever.load(tmp_path / "out")
    assert made.dimension == static.dimension + CONSTANTS
    expected, found = static.encode_query(TEXTS), made.encode_query(TEXTS)
    np.testing.assert_allclose(cosines(found[:, : static.dimension], expected), 1, atol=0.01)
    assert np.abs(found[:, static.dimension :]).max() == 0


def test_attention_is_in_the_vectors_once_it_has_weights(tiny_static):
    engine = Retriever.load(tiny_static).query.engine
    model, tokenizer = contextual(engine, layers=1)
    fed = tokenizer(TEXTS[:1], return_tensors="pt")
    with torch.no_grad():
        before = model(**fed).last_hidden_state.mean(dim=1)
        model.encoder.layer[0].attention.output.dense.weight.normal_()
        after = model(**fed).last_hidden_state.mean(dim=1)
    assert float((before - after).abs().max()) > 1e-2
