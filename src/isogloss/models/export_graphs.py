"""Writes the ONNX graphs of towers. Imported only where a model is exported."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np

from isogloss.engines.protocol import Engine
from isogloss.engines.static import StaticEngine
from isogloss.errors import MissingExtraError, ModelError

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from isogloss.models.export_shapes import write_down_shapes
except ModuleNotFoundError as missing:
    raise MissingExtraError("Exporting to ONNX", "export") from missing

OPSET = 17
IR_VERSION = 9  # read by onnxruntime 1.17 and later
AXES = {0: "batch", 1: "sequence"}


def write_graph(engine: Engine, path: Path) -> None:
    """Writes the graph of a tower in float32.

    Raises:
        ModelError: If the tower has modules that have no place in a graph.
        MissingExtraError: If torch is needed and not installed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(engine, StaticEngine):
        _write_static(engine, path)
    else:
        _write_transformer(engine, path)


def quantize(path: Path) -> None:
    """Replaces the graph at `path` by one whose matrix products are computed in int8.

    Weights are quantised per output channel, activations when they are computed, per tensor. Embeddings and
    normalisations stay in float32.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared, quantized = path.with_name("prepared.onnx"), path.with_name("quantized.onnx")
    quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
    quantize_dynamic(
        str(prepared),
        str(quantized),
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        extra_options={"MatMulConstBOnly": True},
    )
    prepared.unlink()
    quantized.replace(path)


def _write_static(engine: StaticEngine, path: Path) -> None:
    """Token vectors, and their mean over the tokens of a text, scaled to unit length."""
    table = np.ascontiguousarray(engine.weights)
    half = table.dtype == np.float16
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["found" if half else "last_hidden_state"]),
        *([helper.make_node("Cast", ["found"], ["last_hidden_state"], to=TensorProto.FLOAT)] if half else []),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "first_axis"], ["weights"]),
        helper.make_node("MatMul", ["weights", "last_hidden_state"], ["added"]),
        helper.make_node("Squeeze", ["added", "first_axis"], ["sums"]),
        helper.make_node("ReduceL2", ["sums"], ["norms"], axes=[1], keepdims=1),
        helper.make_node("Max", ["norms", "smallest"], ["lengths"]),
        helper.make_node("Div", ["sums", "lengths"], ["sentence_embedding"]),
    ]
    constants = {
        "table": table,
        "first_axis": np.array([1], dtype=np.int64),
        "smallest": np.array([np.finfo(np.float32).tiny], dtype=np.float32),
    }
    width = engine.dimension
    graph = helper.make_graph(
        nodes,
        "static",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
            for name in ("input_ids", "attention_mask")
        ],
        [
            helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch", width]),
            helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", width]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="isogloss", ir_version=IR_VERSION
    )
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _write_transformer(engine: Engine, path: Path) -> None:
    import torch

    from isogloss.engines.sentence_transformers_modules import Pooling, Transformer
    from isogloss.engines.torch_engine import TorchEngine

    if not isinstance(engine, TorchEngine):
        raise ModelError(f"{type(engine).__name__} has no weights to export", next_step="Export the original model.")
    first, *rest = engine.tower.encoder
    kinds = [type(module).__name__ for module in engine.tower.encoder]
    if not isinstance(first, Transformer) or len(rest) != 1 or not isinstance(rest[0], Pooling):
        raise ModelError(
            f"The model has the modules {', '.join(kinds)}",
            next_step="Models of Transformer and Pooling can be exported, and static models.",
        )
    features = engine.tower.features(["one text", "and another text, which is longer"])
    names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in features]
    backbone = _backbone(cast("Any", first).auto_model, names)
    with warnings.catch_warnings(), torch.inference_mode(), _plain_attention():
        warnings.simplefilter("ignore")  # the tracer names every shape that it takes for a constant
        torch.onnx.export(
            backbone,
            tuple(features[name] for name in names),
            str(path),
            input_names=names,
            output_names=["last_hidden_state"],
            dynamic_axes=dict.fromkeys([*names, "last_hidden_state"], AXES),
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load(str(path))
    write_down_shapes(model)
    onnx.save(model, str(path))


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Has attention spelled out in the graph, which runs faster than what torch writes for its own kernel.

    The latter guards against rows without a token, which there are none of, with two more passes over the scores; int8
    rounds away what its split scale leaves.
    """
    import torch

    functional: Any = torch.nn.functional
    kernel = functional.scaled_dot_product_attention

    def spelled_out(query: Any, key: Any, value: Any, attn_mask: Any = None, **options: Any) -> Any:
        if options.get("is_causal") or options.get("enable_gqa"):
            return kernel(query, key, value, attn_mask, **options)
        scale = options.get("scale") or query.size(-1) ** -0.5
        scores = query.matmul(key.transpose(-2, -1)) * scale
        if attn_mask is not None:
            scores = scores + _added(attn_mask, scores.dtype)
        return scores.softmax(dim=-1).matmul(value)

    functional.scaled_dot_product_attention = spelled_out
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = kernel


def _added(mask: Any, dtype: Any) -> Any:
    """A mask as numbers to add to scores."""
    import torch

    if mask.dtype != torch.bool:
        return mask
    return (~mask).to(dtype) * torch.finfo(dtype).min


def _backbone(model: Any, names: Sequence[str]) -> Any:
    """A module over a backbone whose inputs have an order and whose output is the last layer alone."""
    from torch import Tensor, nn

    class Backbone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: Tensor) -> Tensor:
            output: Tensor = self.model(**dict(zip(names, inputs, strict=True))).last_hidden_state
            return output

    return Backbone().eval()
