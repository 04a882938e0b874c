"""Shapes written down once are those that the graph would have computed, for inputs of every size.

1. Outputs are the same bits, for one text and for batches, short and long, and the nodes that computed shapes are gone.
2. A shape of which two sizes vary unlike the input's is left to be computed; so is all of a graph that is not known.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from isogloss.models import export_graphs, export_shapes
from isogloss.models.export_shapes import write_down_shapes
from isogloss.models.retriever import Retriever

SIZES = [(1, 1), (1, 7), (3, 2), (4, 16)]


def outputs(model: onnx.ModelProto) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    generator, found = np.random.default_rng(0), []
    for size in SIZES:
        feeds = {"input_ids": generator.integers(1, 50, size), "attention_mask": np.ones(size, dtype=np.int64)}
        feeds["attention_mask"][-1, size[1] // 2 + 1 :] = 0
        feeds["token_type_ids"] = np.zeros(size, dtype=np.int64)
        found += session.run(None, {entry.name: feeds[entry.name] for entry in session.get_inputs()})
    return found


@pytest.fixture
def computed(tiny_transformer, tmp_path, monkeypatch) -> onnx.ModelProto:
    """The graph of a transformer as torch writes it."""
    monkeypatch.setattr(export_graphs, "write_down_shapes", lambda model: 0)
    export_graphs.write_graph(Retriever.load(tiny_transformer, engine="torch").query.engine, tmp_path / "model.onnx")
    return onnx.load(str(tmp_path / "model.onnx"))


def test_outputs_stay_and_the_nodes_go(computed):
    written = onnx.ModelProto()
    written.CopyFrom(computed)
    assert write_down_shapes(written) >= 4
    onnx.checker.check_model(written, full_check=True)
    for before, after in zip(outputs(computed), outputs(written), strict=True):
        np.testing.assert_array_equal(before, after)
    before, after = (Counter(node.op_type for node in model.graph.node) for model in (computed, written))
    assert after["Reshape"] == before["Reshape"]
    assert after["Concat"] < before["Concat"] and after["Shape"] < before["Shape"]
    assert len(written.graph.node) < len(computed.graph.node)


def graph_of(shape_nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], result: list[str]) -> onnx.ModelProto:
    return helper.make_model(
        helper.make_graph(
            [*shape_nodes, helper.make_node("Reshape", ["x", "shape"], ["y"])],
            "reshape",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "sequence", 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, result)],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )


def test_a_shape_that_no_constant_says_is_left_alone():
    # Turns (batch, sequence, 4) into (sequence, batch, 4): neither size is where it was.
    nodes = [
        helper.make_node("Shape", ["x"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "turned"], ["shape"]),
    ]
    model = graph_of(nodes, {"turned": np.array([1, 0, 2])}, ["sequence", "batch", 4])
    assert write_down_shapes(model) == 0
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.zeros((2, 3, 4), dtype=np.float32)})[0].shape == (3, 2, 4)


def test_a_graph_that_is_not_known_is_left_alone(computed, monkeypatch):
    def refuse(model):
        raise Exception("a node of no known kind")  # as the library does

    monkeypatch.setattr(export_shapes, "_symbolic_shapes", refuse)
    before = computed.SerializeToString()
    assert write_down_shapes(computed) == 0
    assert computed.SerializeToString() == before
