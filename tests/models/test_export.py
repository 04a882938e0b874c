"""An export stands for its original, or it is not there.

1. Both towers of static and transformer models give the vectors of the original from ONNX alone: any length, any order,
   any batch, prompts and truncation included, and shared or separate weights.
2. The folder opens without torch, under the fingerprints of the original; a graph that was changed has others.
3. Where a gate refuses, nothing is left behind, and what was there stays (law 7).
4. Pooling without torch is that of sentence-transformers, in every mode.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest

from isogloss.engines.onnx_engine import OnnxEngine
from isogloss.engines.pooling import LEGACY_POOLING_KEYS, Pooling
from isogloss.errors import FileError, ModelError, ParityError, UsageError
from isogloss.evaluation.parity import ParityLimits, compare_retrievers
from isogloss.models import export_graphs
from isogloss.models.export import export_onnx
from isogloss.models.retriever import Retriever
from isogloss.records import EvalSet, Text
from tests.conftest import TINY_TEXTS

LONG = [" ".join(TINY_TEXTS[start:]) for start in range(3)]
LANGUAGES = ("en", "en", "de", "es", "ru", "ru", "ar", "hi", "th", "zh", "en", "ru")
TINY_SET = EvalSet(
    "tiny",
    tuple(Text(f"q{row}", text, language=LANGUAGES[row]) for row, text in enumerate(TINY_TEXTS)),
    tuple(Text(f"p{row}", text, language=LANGUAGES[row]) for row, text in enumerate(TINY_TEXTS)),
    {f"q{row}": {f"p{row}": 1} for row in range(len(TINY_TEXTS))},
)


def gate_of(original, limits=None):
    def gate(exported):
        report = compare_retrievers(original, exported, TINY_SET, limits=limits)
        report.require("The export")
        return report.to_json()

    return gate


def exported(folder, tmp_path, **options):
    original = Retriever.load(folder, on_overflow="ignore")
    export_onnx(original, tmp_path / "out", gate_of(original, options.pop("limits", None)), **options)
    return original, Retriever.load(tmp_path / "out", engine="onnx", on_overflow="ignore")


@pytest.mark.parametrize("name", ["tiny_static", "tiny_untied", "tiny_transformer", "tiny_untied_transformer"])
def test_gives_the_vectors_of_the_original(request, tmp_path, monkeypatch, name):
    original, copy = exported(request.getfixturevalue(name), tmp_path)
    texts = [*TINY_TEXTS, *LONG, "a"]
    for role in ("query", "passage"):
        assert isinstance(copy.tower(role).engine, OnnxEngine)
        expected = original.encode_with_counts(texts, role=role)
        found = copy.encode_with_counts(texts, role=role)
        np.testing.assert_allclose(found.vectors, expected.vectors, atol=2e-6)
        np.testing.assert_array_equal(found.token_counts, expected.token_counts)
        np.testing.assert_array_equal(found.truncated, expected.truncated)
        assert copy.tower(role).fingerprint == original.tower(role).fingerprint
        assert copy.tower(role).engine.count_tokens(texts) == original.tower(role).engine.count_tokens(texts)
        assert copy.tower(role).max_length == original.tower(role).max_length
    monkeypatch.setattr("isogloss.engines.onnx_engine.TOKENS_PER_BATCH", 40)
    monkeypatch.setattr("isogloss.engines.onnx_engine.TEXTS_PER_CHUNK", 3)
    backwards = copy.encode_passage(texts[::-1])[::-1]
    alone = np.concatenate([copy.encode_passage([text]) for text in texts])
    for vectors in (backwards, alone):
        np.testing.assert_allclose(vectors, original.encode_passage(texts), atol=2e-6)
    if "transformer" in name:
        assert not list((tmp_path / "out").rglob("*.safetensors"))
        assert isinstance(Retriever.load(tmp_path / "out").query.engine, OnnxEngine)


def test_opens_without_torch(tiny_transformer, tmp_path):
    exported(tiny_transformer, tmp_path)
    program = (
        "import sys; from isogloss import Retriever; retriever = Retriever.load(sys.argv[1]);"
        "print(retriever.encode_query(['a']).shape);"
        "assert not {'torch', 'transformers', 'onnx'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "out"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1, 32)"


def test_a_changed_graph_has_another_fingerprint(tiny_transformer, tmp_path):
    original, _ = exported(tiny_transformer, tmp_path)
    sabotage(tmp_path / "out" / "onnx" / "model.onnx")
    changed = Retriever.load(tmp_path / "out").passage.fingerprint
    assert "weights" in changed.differences(original.passage.fingerprint)


def sabotage(path):
    """Changes the sign of one row of the first matrix of a graph."""
    model = onnx.load(str(path))
    tensor = next(entry for entry in model.graph.initializer if len(entry.dims) == 2 and min(entry.dims) > 20)
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[: len(values) // 2] *= -1
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, str(path))


@pytest.mark.parametrize("name", ["tiny_static", "tiny_transformer", "tiny_untied"])
def test_a_sabotaged_weight_is_refused_and_nothing_is_left(request, tmp_path, monkeypatch, name):
    write = export_graphs.write_graph
    monkeypatch.setattr(export_graphs, "write_graph", lambda engine, path: (write(engine, path), sabotage(path)))
    with pytest.raises(ParityError) as caught:
        exported(request.getfixturevalue(name), tmp_path)
    assert {fault.where for fault in caught.value.faults} <= set(LANGUAGES) and caught.value.faults
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_stays_where_the_gate_refuses(tiny_transformer, tmp_path):
    exported(tiny_transformer, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(FileError, match="not empty"):
        exported(tiny_transformer, tmp_path)
    with pytest.raises(ParityError, match="at least 1"):
        exported(tiny_transformer, tmp_path, overwrite=True, int8=True, limits=ParityLimits(1.0, 0.0))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_int8_says_so(tiny_transformer, tmp_path):
    original, copy = exported(tiny_transformer, tmp_path, int8=True, limits=ParityLimits(0.9, 1.0))
    assert copy.passage.fingerprint.differences(original.passage.fingerprint) == ["precision"]
    kinds = {node.op_type for node in onnx.load(str(tmp_path / "out" / "onnx" / "model.onnx")).graph.node}
    assert "MatMulInteger" in kinds
    report = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert report["precision"] == "int8" and report["passed"] and set(report["languages"]) == set(LANGUAGES)
    assert 0.9 <= report["languages"]["th"]["least_cosine"] < 1


def test_refusals(tiny_static, tiny_transformer, tmp_path):
    with pytest.raises(UsageError, match="static model"):
        exported(tiny_static, tmp_path, int8=True)
    with pytest.raises(ModelError, match="isogloss export"):
        Retriever.load(tiny_transformer, engine="onnx")
    with pytest.raises(UsageError, match="between 0 and 1"):
        ParityLimits(float("nan"), 2)


def test_parity_tells_a_language_from_the_others(tiny_static):
    original = Retriever.load(tiny_static)

    class Turned:
        """The original with the vectors of Thai texts turned round."""

        def encode_query(self, texts):
            signs = [-1 if text.language == "th" else 1 for text in texts]
            return original.encode_query(texts) * np.array(signs, dtype=np.float32)[:, None]

        encode_passage = original.encode_passage

    report = compare_retrievers(original, Turned(), TINY_SET)
    assert {fault.where for fault in report.faults} == {"th"}
    rows = {row.language: row for row in report.languages}
    assert rows["en"].before == rows["en"].after == 1.0 and rows["en"].queries == 3
    assert rows["th"].least_cosine == pytest.approx(-1) and rows["th"].mean_cosine == pytest.approx(0)


@pytest.mark.parametrize("mode", LEGACY_POOLING_KEYS)
def test_pooling_is_that_of_sentence_transformers(mode):
    import torch
    from sentence_transformers.sentence_transformer.modules import Pooling as TorchPooling

    generator = np.random.default_rng(1)
    tokens = generator.normal(size=(3, 5, 4)).astype(np.float32)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    features = {"token_embeddings": torch.from_numpy(tokens), "attention_mask": torch.from_numpy(mask)}
    expected = TorchPooling(4, mode)(features)["sentence_embedding"].numpy()
    np.testing.assert_allclose(Pooling((mode,)).pool(tokens, mask), expected, atol=1e-6)
