"""An export of a transformer lies as text-embeddings-inference and other servers of ONNX look for it.

1. `onnx/model.onnx` stands beside `config.json`, `tokenizer.json` and `1_Pooling/config.json`.
2. The graph takes ids and mask and gives token vectors: pooled as the configuration says, they are the model's own.
"""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest
from tokenizers import Tokenizer

from isogloss import Retriever
from isogloss.models.export import export_retriever
from tests.conftest import TINY_TEXTS


@pytest.fixture(scope="module")
def exported(tiny_transformer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "out"
    export_retriever(Retriever.load(tiny_transformer), folder, lambda export: {})
    return folder


def test_the_files_lie_where_servers_look(exported):
    for name in ("onnx/model.onnx", "config.json", "tokenizer.json", "1_Pooling/config.json", "modules.json"):
        assert (exported / name).is_file(), name
    assert json.loads((exported / "1_Pooling" / "config.json").read_text("utf-8"))["pooling_mode_mean_tokens"]


def test_pooled_as_the_configuration_says_they_are_the_models_vectors(exported, tiny_transformer):
    session = onnxruntime.InferenceSession(str(exported / "onnx" / "model.onnx"), providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(exported / "tokenizer.json"))
    retriever = Retriever.load(tiny_transformer)
    for text in TINY_TEXTS[:3]:
        encoded = tokenizer.encode(retriever.query.prompt + text)
        given = {"input_ids": encoded.ids, "attention_mask": encoded.attention_mask, "token_type_ids": encoded.type_ids}
        named = [one.name for one in session.get_inputs()]
        (tokens, *_) = session.run(None, {name: np.array([given[name]], dtype=np.int64) for name in named})
        pooled = tokens[0].mean(axis=0)
        assert np.allclose(pooled / np.linalg.norm(pooled), retriever.encode_query([text])[0], atol=1e-5)
