"""Picks and loads the engines of a model folder: NumPy for static models, the graphs of exported ones, else torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from isogloss.engines.exported_engine import ExportedEngine, Graph
from isogloss.engines.exported_tower import ExportNote, read_exported_tower
from isogloss.engines.onnx_engine import ONNX_FILE, OnnxGraph
from isogloss.engines.openvino_engine import OPENVINO_FILE, OpenvinoGraph
from isogloss.engines.pooling import Pooling
from isogloss.engines.protocol import Compute, Engine
from isogloss.engines.static import StaticEngine
from isogloss.engines.truncated import TruncatedEngine
from isogloss.errors import MissingExtraError, ModelError, UsageError
from isogloss.models.folder import ExportFormat, ModelFolder
from isogloss.records import Role

EngineName = Literal["auto", "static", "onnx", "openvino", "torch"]
ENGINES: tuple[EngineName, ...] = ("auto", "static", "onnx", "openvino", "torch")


def load_engines(
    folder: ModelFolder,
    prompts: Mapping[Role, str],
    engine: EngineName,
    trust_remote_code: bool,
    dimension: int | None = None,
    precision: Compute | None = None,
    device: str | None = None,
) -> dict[Role, Engine]:
    """Engines by role, over one set of weights where the towers are shared.

    Args:
        folder: The model folder, described.
        prompts: Prompt by role.
        engine: `static`, `onnx`, `openvino`, `torch`, or `auto`: static where it can, else the format of an export
            that passed its parity gate, else torch.
        trust_remote_code: Whether code of the folder may run.
        dimension: Leading dimensions of the vectors that are kept; None keeps as many as the folder says.
        precision: What torch computes matrix products in; None is float32, or what a model was exported in.
        device: Where torch computes; None is a GPU where there is one. The other engines compute on the processor.

    Raises:
        ModelError: If the folder cannot be loaded, or static is wanted for a model that is not.
        MissingExtraError: If torch, onnxruntime or openvino is needed and not installed.
        UsageError: If the model has not as many dimensions, or a precision or a device is asked of another engine
            than torch.
    """
    engines = _whole_engines(folder, prompts, engine, trust_remote_code, precision, device)
    kept = dimension if dimension is not None else folder.truncate_dim
    if kept is None:
        return engines
    return {role: whole if kept == whole.dimension else TruncatedEngine(whole, kept) for role, whole in engines.items()}


def _whole_engines(
    folder: ModelFolder,
    prompts: Mapping[Role, str],
    engine: EngineName,
    trust_remote_code: bool,
    precision: Compute | None,
    device: str | None,
) -> dict[Role, Engine]:
    shared = not folder.route_names
    if engine == "auto":
        engine = "static" if folder.is_static else folder.exported_as or "torch"
    if precision is not None and engine != "torch":
        raise UsageError(
            f"precision: '{precision}' for the engine {engine}, whose precision is that of its files",
            next_step="Leave it out, export the model anew with another precision, or load it with engine='torch'.",
        )
    if device not in (None, "cpu") and engine != "torch":
        raise UsageError(
            f"device: '{device}' for the engine {engine}, which computes on the processor",
            next_step="Leave it out, or load the model with engine='torch'.",
        )
    if engine in ("onnx", "openvino"):
        return _exported_engines(folder, prompts, engine)
    if folder.is_static and engine != "torch":
        query = StaticEngine.load(
            folder.routes["query"][0].folder, prompt=prompts["query"], noted=folder.tokenizer_digests
        )
        if shared:
            return {"query": query, "passage": query.with_prompt(prompts["passage"])}
        passage = StaticEngine.load(
            folder.routes["passage"][0].folder, prompt=prompts["passage"], noted=folder.tokenizer_digests
        )
        return {"query": query, "passage": passage}
    if engine == "static":
        kinds = ", ".join(entry.kind for entry in folder.routes.get("query", [])) or "a transformers checkpoint"
        raise ModelError(
            f"{folder.path}: the engine static computes static models only, and this is: {kinds}",
            next_step="Load it with engine='torch' or 'auto'.",
        )
    try:
        from isogloss.engines.torch_engine import TorchEngine
        from isogloss.engines.torch_tower import TorchTower
        from isogloss.models.torch_loading import load_modules
    except ModuleNotFoundError as missing:
        raise MissingExtraError("A model that is not static", "train") from missing
    modules = load_modules(folder, trust_remote_code=trust_remote_code, device=device)
    first = TorchTower(modules["query"], prompt=prompts["query"])
    second = (
        first.with_prompt(prompts["passage"])
        if modules["query"] is modules["passage"]
        else TorchTower(modules["passage"], prompt=prompts["passage"])
    )
    computed: Compute = precision or "float32"
    return {"query": TorchEngine(first, precision=computed), "passage": TorchEngine(second, precision=computed)}


def _exported_engines(folder: ModelFolder, prompts: Mapping[Role, str], format_: ExportFormat) -> dict[Role, Engine]:
    query = exported_engine(folder, "query", prompts["query"], format_)
    if not folder.route_names:
        return {"query": query, "passage": query.with_prompt(prompts["passage"])}
    return {"query": query, "passage": exported_engine(folder, "passage", prompts["passage"], format_)}


def exported_engine(folder: ModelFolder, role: Role, prompt: str, format_: ExportFormat) -> ExportedEngine:
    """The engine of one exported tower.

    Args:
        folder: The model folder, described.
        role: Whose tower.
        prompt: What is put before every text.
        format_: Which of its graphs.

    Raises:
        ModelError: If there is no such graph, or it cannot be read.
        MissingExtraError: If the library that runs it is not installed.
    """
    route = folder.routes.get(role, [])
    kinds = [entry.kind for entry in route if entry.kind != "Normalize"]
    if kinds not in (["Transformer", "Pooling"], ["StaticEmbedding"]):
        raise ModelError(
            f"{folder.path}: the engine {format_} computes Transformer and Pooling, or StaticEmbedding, and this is: "
            f"{', '.join(kinds) or 'a transformers checkpoint'}",
            next_step="Load it with engine='torch'.",
        )
    path = graph_path(folder, role, format_)
    if not path.is_file():
        raise ModelError(
            f"{folder.path} has no {path.relative_to(folder.path)}",
            next_step=f"Export it: isogloss export {folder.path} --out FOLDER --{format_}",
        )
    pooling = Pooling.load(route[1].folder) if kinds[0] == "Transformer" else None
    note = ExportNote.of(folder.notes.get(format_, {}).get(role, {}))
    tower = read_exported_tower(path, route[0].folder, pooling, note)
    graph: Graph = OnnxGraph(path) if format_ == "onnx" else OpenvinoGraph(path, note.parts.get("precision", "float32"))
    return ExportedEngine(tower, graph, prompt=prompt)


def graph_path(folder: ModelFolder, role: Role, format_: ExportFormat) -> Path:
    """Where the graph of a tower is: beside its weights in a router, else at the top, where other servers look."""
    place = ONNX_FILE if format_ == "onnx" else OPENVINO_FILE
    return (folder.routes[role][0].folder if folder.route_names else folder.path) / place
