"""The transformer of the experiment begins with the static model's token vectors and has every group to freeze."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from experiments.frozen_groups import GROUPS, LAYERS, new_transformer
from transformers import AutoModel

from isogloss import Retriever
from isogloss.training.groups import group_names


def test_token_vectors_are_the_static_ones_and_every_group_is_found(tiny_static: Path, tmp_path: Path) -> None:
    folder = new_transformer(tiny_static, tmp_path / "new")
    model = AutoModel.from_pretrained(folder)
    static = torch.from_numpy(np.asarray(Retriever.load(str(tiny_static)).query.engine.weights, dtype=np.float32))
    assert torch.equal(model.embeddings.word_embeddings.weight[: len(static)], static)
    found = group_names(model)
    assert set(found) == set(GROUPS) - {"none"}
    assert len(found["both"]) == 2 * LAYERS


def test_padding_changes_no_vector(tiny_static: Path, tmp_path: Path) -> None:
    retriever = Retriever.load(str(new_transformer(tiny_static, tmp_path / "new")), on_overflow="ignore")
    alone, together = (
        retriever.encode_query(["the river"]),
        retriever.encode_query(["the river", "where the sea is " * 4]),
    )
    np.testing.assert_allclose(alone[0], together[0], atol=1e-6)
