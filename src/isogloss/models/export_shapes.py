"""Shapes that a graph computes anew at every run, written down once. Imported only where a model is exported.

torch writes each `view` as a dozen nodes that read the sizes of a tensor and put them together again. For one query
such nodes take a third of the time of a small transformer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference

LOGGER = logging.getLogger("isogloss")
SAME_AS_BEFORE, WHAT_IS_LEFT = 0, -1  # what a Reshape reads in place of a size


def write_down_shapes(model: onnx.ModelProto) -> int:
    """Gives every `Reshape` a constant shape where one means the same for inputs of all sizes; their number.

    A size is left to be "as before" or "what is left" only where onnxruntime's symbolic inference finds it so. Nodes
    that nothing needs any more are removed.

    Args:
        model: The graph, changed in place.
    """
    try:
        known = _symbolic_shapes(model)
    except Exception as unknown:  # noqa: BLE001  # of a node that it does not know it raises plain ones
        LOGGER.info("The graph keeps the shapes that it computes: %s", unknown)
        return 0
    graph, written = model.graph, 0
    for node in graph.node:
        if node.op_type != "Reshape":
            continue
        shape = _constant_shape(known.get(node.input[0]), known.get(node.output[0]))
        if shape is None:
            continue
        name = f"shape_of/{node.output[0]}"
        graph.initializer.append(numpy_helper.from_array(np.array(shape, dtype=np.int64), name))
        node.input[1] = name
        written += 1
    _remove_unused(graph)
    return written


def _symbolic_shapes(model: onnx.ModelProto) -> dict[str, list[int | str]]:
    """Sizes of tensors by name: a number, or the name of what varies."""
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    inferred: Any = SymbolicShapeInference.infer_shapes(copied, auto_merge=True)
    values = [*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output]
    return {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim] for value in values
    }


def _constant_shape(before: list[int | str] | None, after: list[int | str] | None) -> list[int] | None:
    """A shape for `Reshape` that holds for all sizes, or None where there is none."""
    if not before or not after:
        return None
    shape = []
    for place, size in enumerate(after):
        if isinstance(size, int) and size > 0:
            shape.append(size)
        elif place < len(before) and size and before[place] == size:
            shape.append(SAME_AS_BEFORE)
        else:
            shape.append(WHAT_IS_LEFT)
    return shape if shape.count(WHAT_IS_LEFT) <= 1 else None


def _remove_unused(graph: onnx.GraphProto) -> None:
    while unused := list(_unused(graph)):
        for node in unused:
            graph.node.remove(node)
    needed = {name for node in graph.node for name in node.input}
    for value in [value for value in graph.initializer if value.name not in needed]:
        graph.initializer.remove(value)


def _unused(graph: onnx.GraphProto) -> Iterable[onnx.NodeProto]:
    needed = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    return (node for node in graph.node if not needed.intersection(node.output))
