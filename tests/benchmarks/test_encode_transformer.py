"""What the benchmark of transformers says of padding is counted.

1. Padded tokens per token of ours and of sentence-transformers, each in its own batches.
2. A corpus is thinned evenly, to at most 20,000 texts.
3. onnxruntime alone gives unit means of the tokens, in the order of the texts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.encode_transformer import BATCH, PEER, SHAPE, onnxruntime_alone, padding, spaced

from isogloss import Text


def words(texts) -> list[int]:
    return [len(text.split()) for text in texts]


def test_padding_is_counted():
    same = ["a b c"] * BATCH * 4
    assert padding(same, words) == {"isogloss": 1.0, PEER: 1.0}
    # A long word is first where characters count: it stands among many short ones in one batch of theirs.
    few = ["a " * 100, *["b" * 300] * (BATCH - 1)]
    found = padding(few, words)
    assert found[PEER] == round(100 * BATCH / (100 + BATCH - 1), 3)
    assert 1 <= found["isogloss"] < found[PEER]


def test_a_corpus_is_thinned_evenly():
    texts = [Text(str(number), "text") for number in range(50_001)]
    thinned = spaced(texts)
    assert len(thinned) <= 20_000
    assert [text.id for text in thinned[:3]] == ["0", "3", "6"]
    assert spaced(texts[:20_000]) == texts[:20_000]


def test_onnxruntime_alone(tmp_path: Path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, "b": 2}, unk_token="[UNK]"))  # noqa: S106  # a piece
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    table = np.random.default_rng(0).standard_normal((3, SHAPE["hidden_size"])).astype(np.float32)
    ids = onnx.helper.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["texts", "tokens"])
    hidden = onnx.helper.make_tensor_value_info("hidden", onnx.TensorProto.FLOAT, ["texts", "tokens", len(table[0])])
    node = onnx.helper.make_node("Gather", ["table", "input_ids"], ["hidden"])
    graph = onnx.helper.make_graph([node], "g", [ids], [hidden], [onnx.numpy_helper.from_array(table, "table")])
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), str(tmp_path / "model.onnx"))
    texts = ["a", "a b b", "b b", *["b a"] * BATCH]
    vectors = onnxruntime_alone(tmp_path, "model.onnx")(texts)
    for text, vector in zip(texts, vectors, strict=True):
        mean = np.mean([table[{"a": 1, "b": 2}[word]] for word in text.split()], axis=0)
        assert np.allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)
