"""An export stands for its original, or it is not there.

1. Both towers of static and transformer models give the vectors of the original from ONNX or OpenVINO alone: any
   length, any order, any batch, any thread, prompts and truncation included, and shared or separate weights.
2. The folder opens without torch, under the fingerprints of the original; a graph that was changed has others.
3. Where a gate refuses, nothing is left behind, and what was there stays (law 7).
4. A precision is what the gate let pass: the next higher is tried where it refuses, and the folder says what is used.
5. An int8 graph whose sums saturate on this processor has another fingerprint, and one line says what to do.
6. Pooling without torch is that of sentence-transformers, in every mode.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import openvino
import pytest

from isogloss.engines import batching, onnx_engine
from isogloss.engines.batching import usable_cores
from isogloss.engines.exported_engine import ExportedEngine
from isogloss.engines.openvino_engine import OpenvinoGraph
from isogloss.engines.pooling import LEGACY_POOLING_KEYS, Pooling
from isogloss.engines.processor import multiplies_int8
from isogloss.errors import FileError, ModelError, ParityError, UsageError
from isogloss.evaluation.parity import ParityLimits, compare_retrievers
from isogloss.indexing import integer_products
from isogloss.models import export_graphs, export_openvino
from isogloss.models.export import ExportPlan, export_retriever
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


SAMPLES = {"query": TINY_SET.queries, "passage": TINY_SET.passages}


def exported(folder, tmp_path, format_="onnx", *, limits=None, int8=False, compute=None, overwrite=False):
    original = Retriever.load(folder, on_overflow="ignore")
    plan = ExportPlan(format_, int8, compute, SAMPLES)
    export_retriever(original, tmp_path / "out", gate_of(original, limits), plan, overwrite=overwrite)
    return original, Retriever.load(tmp_path / "out", engine=format_, on_overflow="ignore")


@pytest.fixture(params=["onnx", "openvino"])
def format_(request):
    return request.param


@pytest.fixture(autouse=True)
def any_processor(monkeypatch):
    """Sums of these tiny models overflow nowhere."""
    monkeypatch.setattr("isogloss.models.export.multiplies_int8", lambda: True)
    monkeypatch.setattr("isogloss.engines.openvino_engine.multiplies_int8", lambda: True)
    monkeypatch.setattr(onnx_engine, "adds_exactly", lambda: True)


@pytest.mark.parametrize("name", ["tiny_static", "tiny_untied", "tiny_transformer", "tiny_untied_transformer"])
def test_gives_the_vectors_of_the_original(request, tmp_path, monkeypatch, name, format_):
    original, copy = exported(request.getfixturevalue(name), tmp_path, format_, compute="float32")
    texts = [*TINY_TEXTS, *LONG, "a"]
    for role in ("query", "passage"):
        assert copy.tower(role).engine.graph.kind == format_
        expected = original.encode_with_counts(texts, role=role)
        found = copy.encode_with_counts(texts, role=role)
        np.testing.assert_allclose(found.vectors, expected.vectors, atol=2e-6)
        np.testing.assert_array_equal(found.token_counts, expected.token_counts)
        np.testing.assert_array_equal(found.truncated, expected.truncated)
        assert copy.tower(role).fingerprint == original.tower(role).fingerprint
        assert copy.tower(role).engine.count_tokens(texts) == original.tower(role).engine.count_tokens(texts)
        assert copy.tower(role).max_length == original.tower(role).max_length
    monkeypatch.setattr("isogloss.engines.exported_engine.TOKENS_PER_BATCH", 40)
    monkeypatch.setattr("isogloss.engines.batching.TEXTS_PER_CHUNK", 3)
    monkeypatch.setattr("isogloss.engines.batching.CHUNKS_PER_FIRST", 1)
    backwards = copy.encode_passage(texts[::-1])[::-1]
    alone = np.concatenate([copy.encode_passage([text]) for text in texts])
    for vectors in (backwards, alone):
        np.testing.assert_allclose(vectors, original.encode_passage(texts), atol=2e-6)
    if "transformer" in name:
        assert not list((tmp_path / "out").rglob("*.safetensors"))
        assert isinstance(Retriever.load(tmp_path / "out").query.engine, ExportedEngine)
    assert format_ == "onnx" or not list((tmp_path / "out").rglob("*.onnx"))


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_a_tokenizer_gets_a_bounded_number_of_characters_at_once(tiny_transformer, tmp_path, monkeypatch, engine):
    original, copy = exported(tiny_transformer, tmp_path)
    used = (copy if engine == "onnx" else original).passage.engine
    texts, given = [LONG[0] * 40] * 60, []
    expected = used.encode(texts[:1])
    name = "tokenize" if engine == "torch" else "_tokenize"
    tokenize = getattr(used.tower if engine == "torch" else used, name)
    monkeypatch.setattr(
        used.tower if engine == "torch" else used,
        name,
        lambda texts: given.append(sum(map(len, texts))) or tokenize(texts),
    )
    found = used.encode(texts)
    assert sum(given) == 60 * len(texts[0]) and max(given) <= batching.CHARACTERS_PER_PIECE + len(texts[0])
    np.testing.assert_allclose(found.vectors, np.repeat(expected.vectors, 60, axis=0), atol=1e-6)
    assert found.truncated.all()


def test_threads_do_not_mix_their_texts(tiny_transformer, tmp_path, format_):
    _, copy = exported(tiny_transformer, tmp_path, format_)
    expected = [copy.encode_query([text]) for text in TINY_TEXTS]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda row: copy.encode_query([TINY_TEXTS[row % 12]]), range(96)))
    for row, vectors in enumerate(found):
        np.testing.assert_allclose(vectors, expected[row % 12], atol=1e-6)


def test_opens_without_torch(tiny_transformer, tmp_path, format_):
    exported(tiny_transformer, tmp_path, format_)
    other = {"onnx": "openvino", "openvino": "onnxruntime"}[format_]
    program = (
        "import sys; from isogloss import Retriever; retriever = Retriever.load(sys.argv[1]);"
        "print(retriever.encode_query(['a']).shape);"
        f"assert not {{'torch', 'transformers', 'onnx', 'nncf', '{other}'}} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "out"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1, 32)"


def test_a_changed_graph_has_another_fingerprint(tiny_transformer, tmp_path, format_):
    original, copy = exported(tiny_transformer, tmp_path, format_, compute="float32")
    sabotage(copy.passage.engine.tower.path)
    changed = Retriever.load(tmp_path / "out").passage.fingerprint
    assert "weights" in changed.differences(original.passage.fingerprint)


def sabotage(path):
    """Changes the sign of one half of the first matrix of a graph."""
    if path.suffix == ".xml":
        weights = bytearray(path.with_suffix(".bin").read_bytes())
        np.frombuffer(weights, dtype=np.float32, count=2000, offset=8000)[:] *= -1
        path.with_suffix(".bin").write_bytes(weights)
        return
    model = onnx.load(str(path))
    tensor = next(entry for entry in model.graph.initializer if len(entry.dims) == 2 and min(entry.dims) > 20)
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[: len(values) // 2] *= -1
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, str(path))


@pytest.mark.parametrize("name", ["tiny_static", "tiny_transformer", "tiny_untied"])
def test_a_sabotaged_weight_is_refused_and_nothing_is_left(request, tmp_path, monkeypatch, name, format_):
    if format_ == "onnx":
        write = export_graphs.write_graph
        monkeypatch.setattr(export_graphs, "write_graph", lambda engine, path: (write(engine, path), sabotage(path)))
    else:
        convert = export_openvino.convert
        monkeypatch.setattr(export_openvino, "convert", lambda source, path: (convert(source, path), sabotage(path)))
    with pytest.raises(ParityError) as caught:
        exported(request.getfixturevalue(name), tmp_path, format_)
    assert {fault.where for fault in caught.value.faults} <= set(LANGUAGES) and caught.value.faults
    assert "higher precision" in caught.value.next_step and "least_cosine" in caught.value.next_step
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_stays_where_the_gate_refuses(tiny_transformer, tmp_path):
    exported(tiny_transformer, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(FileError, match="not empty"):
        exported(tiny_transformer, tmp_path)
    for format_ in ("onnx", "openvino"):
        with pytest.raises(ParityError, match="at least 1"):
            exported(tiny_transformer, tmp_path, format_, overwrite=True, int8=True, limits=ParityLimits(1.0, 0.0))
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["tiny_transformer", "tiny_untied_transformer"])
def test_int8_says_so(request, tmp_path, name, format_):
    original, copy = exported(
        request.getfixturevalue(name), tmp_path, format_, int8=True, compute="float32", limits=ParityLimits(0.9, 1.0)
    )
    precision = {"onnx": "int8", "openvino": "int8-static"}[format_]
    for role in ("query", "passage"):
        differing = copy.tower(role).fingerprint.differences(original.tower(role).fingerprint)
        assert differing == [*(["calibration"] if format_ == "openvino" else []), "precision"]
        assert copy.tower(role).fingerprint.parts["precision"] == precision
        path = copy.tower(role).engine.tower.path
        if format_ == "onnx":
            assert "MatMulInteger" in {node.op_type for node in onnx.load(str(path)).graph.node}
        else:
            assert "FakeQuantize" in path.read_text() and 'element_type="i8"' in path.read_text()
    report = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert report["precision"] == precision and report["format"] == format_
    assert report["passed"] and set(report["languages"]) == set(LANGUAGES)
    assert 0.9 <= report["languages"]["th"]["least_cosine"] < 1


def test_bfloat16_is_kept_only_if_the_gate_lets_it_pass(tiny_transformer, tmp_path, monkeypatch):
    monkeypatch.setattr("isogloss.models.export.has_bfloat16", lambda: True)
    original, asked = Retriever.load(tiny_transformer, on_overflow="ignore"), []

    def gate(refused):
        def judge(copy):
            noted = copy.passage.engine.tower.note.parts["precision"]
            asked.append(noted)
            if noted in refused:
                raise ParityError("differs")
            return {}

        return judge

    for refused, kept in (((), "bfloat16"), (("bfloat16",), "float32")):
        asked.clear()
        out = tmp_path / kept
        assert export_retriever(original, out, gate(refused), ExportPlan("openvino")) == kept
        assert asked == ["bfloat16", "float32"][: len(refused) + 1]
        assert json.loads((out / "isogloss.json").read_text())["openvino"]["passage"]["parts"]["precision"] == kept
        assert json.loads((out / "parity.json").read_text())["refused"] == {name: [] for name in refused}
    with pytest.raises(ParityError):
        export_retriever(original, tmp_path / "none", gate(("bfloat16", "float32")), ExportPlan("openvino"))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("has_it", [True, False])
def test_fingerprints_say_what_this_processor_computes(tiny_transformer, tmp_path, monkeypatch, has_it):
    monkeypatch.setattr("isogloss.models.export.has_bfloat16", lambda: True)
    original = Retriever.load(tiny_transformer, on_overflow="ignore")
    export_retriever(original, tmp_path / "out", lambda copy: {}, ExportPlan("openvino", compute="bfloat16"))
    monkeypatch.setattr("isogloss.engines.openvino_engine.has_bfloat16", lambda: has_it)
    monkeypatch.setattr("isogloss.engines.openvino_engine._compile", lambda path, compute: compiled(path))
    fingerprint = Retriever.load(tmp_path / "out").passage.fingerprint
    assert fingerprint.parts["precision"] == ("bfloat16" if has_it else "float32")
    assert fingerprint.differences(original.passage.fingerprint) == (["precision"] if has_it else [])


def compiled(path):
    """The graph in float32, which every processor has."""
    return openvino.Core().compile_model(path, "CPU")


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("flags\t: fpu avx avx2 f16c", False),
        ("flags\t: fpu avx2 avx512f avx512_vnni", True),
        ("flags\t: avx2 avx_vnni", True),
        ("Features\t: fp asimd", True),
        (None, True),
    ],
)
def test_int8_is_refused_where_its_sums_overflow(tmp_path, monkeypatch, said, right):
    monkeypatch.undo()
    monkeypatch.setattr("isogloss.engines.processor.PROCESSOR", tmp_path / "cpuinfo")
    if said is not None:
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{said}\n")
    assert multiplies_int8() == right
    if not right:
        with pytest.raises(UsageError, match="overflow in OpenVINO"):
            ExportPlan("openvino", int8=True, samples=SAMPLES)
        with pytest.raises(ModelError, match="--onnx --int8"):
            OpenvinoGraph(tmp_path / "openvino_model.xml", "int8-static+bfloat16")


@pytest.mark.parametrize("int8", [True, False])
def test_int8_that_saturates_here_is_another_precision(tiny_transformer, tmp_path, monkeypatch, caplog, int8):
    monkeypatch.setattr(onnx_engine, "adds_exactly", lambda: True)
    _, exact = exported(tiny_transformer, tmp_path, int8=int8, limits=ParityLimits(0.9, 1.0))
    assert exact.passage.fingerprint.parts["precision"] == ("int8" if int8 else "float32")
    assert not caplog.records
    monkeypatch.setattr(onnx_engine, "adds_exactly", lambda: False)
    with caplog.at_level(logging.WARNING, logger="isogloss"):
        other = Retriever.load(tmp_path / "out", on_overflow="ignore")
        other.passage.engine.copy()
        Retriever.load(tmp_path / "out", on_overflow="ignore")
    assert exact.passage.fingerprint.differences(other.passage.fingerprint) == (["precision"] if int8 else [])
    assert len(caplog.records) == int8
    if int8:
        assert other.passage.fingerprint.parts["precision"] == "int8-saturating"
        assert "isogloss export --onnx --int8" in caplog.text and "float32" in caplog.text


def test_sums_of_products_are_tried_on_this_processor(monkeypatch):
    monkeypatch.undo()

    def saturating(rows, columns):
        pairs = rows.astype(np.int32)[:, :, None] * columns.astype(np.int32)[None]
        return np.clip(pairs[:, ::2] + pairs[:, 1::2], -(2**15), 2**15 - 1).sum(axis=1)

    assert onnx_engine.is_exact(lambda rows, columns: rows.astype(np.int32) @ columns.astype(np.int32))
    assert not onnx_engine.is_exact(saturating)
    assert integer_products._graph() == onnx_engine.PROBE
    assert onnx_engine.adds_exactly() or not multiplies_int8()


def test_nothing_is_rounded_unasked(tiny_transformer, tmp_path):
    _, copy = exported(tiny_transformer, tmp_path, "openvino", compute="float32")
    graph = copy.passage.engine.graph
    assert isinstance(graph, OpenvinoGraph)
    assert graph.model.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32
    assert graph.model.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE") == 0
    assert graph.model.get_property("INFERENCE_NUM_THREADS") == usable_cores()


def test_refusals(tiny_static, tiny_transformer, tmp_path):
    for format_ in ("onnx", "openvino"):
        with pytest.raises(UsageError, match="static model"):
            exported(tiny_static, tmp_path, format_, int8=True)
    with pytest.raises(UsageError, match="bfloat16 for ONNX"):
        ExportPlan("onnx", compute="bfloat16")
    with pytest.raises(UsageError, match="no texts"):
        ExportPlan("openvino", int8=True)
    for format_ in ("onnx", "openvino"):
        with pytest.raises(ModelError, match=f"isogloss export .* --{format_}"):
            Retriever.load(tiny_transformer, engine=format_)
    with pytest.raises(UsageError, match="between 0 and 1"):
        ParityLimits(float("nan"), 2)


def test_a_foreign_graph_and_a_broken_tokenizer_say_what_to_do(tiny_transformer, tmp_path):
    _, copy = exported(tiny_transformer, tmp_path)

    class Foreign:
        inputs, outputs = ("pixel_values", "input_ids"), {"last_hidden_state": 32}

    with pytest.raises(ModelError, match=r"inputs pixel_values; known are input_ids[^$]*\nExport the model by"):
        ExportedEngine(copy.passage.engine.tower, Foreign())
    (tmp_path / "out" / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read[^$]*\nCopy the whole model folder again"):
        Retriever.load(tmp_path / "out")


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
