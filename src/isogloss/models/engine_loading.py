"""Picks and loads the engines of a model folder: NumPy for static models, onnxruntime for exported ones, else torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from isogloss.engines.onnx_engine import ONNX_FILE, OnnxEngine, read_onnx_tower
from isogloss.engines.pooling import Pooling
from isogloss.engines.protocol import Engine
from isogloss.engines.static import StaticEngine
from isogloss.engines.truncated import TruncatedEngine
from isogloss.errors import MissingExtraError, ModelError
from isogloss.models.folder import ModelFolder
from isogloss.records import Role

EngineName = Literal["auto", "static", "onnx", "torch"]
ENGINES: tuple[EngineName, ...] = ("auto", "static", "onnx", "torch")


def load_engines(
    folder: ModelFolder,
    prompts: Mapping[Role, str],
    engine: EngineName,
    trust_remote_code: bool,
    dimension: int | None = None,
) -> dict[Role, Engine]:
    """Engines by role, over one set of weights where the towers are shared.

    Args:
        folder: The model folder, described.
        prompts: Prompt by role.
        engine: `static`, `onnx`, `torch`, or `auto`: static where it can, else onnx where an export that passed its
            parity gate is there, else torch.
        trust_remote_code: Whether code of the folder may run.
        dimension: Leading dimensions of the vectors that are kept; None keeps as many as the folder says.

    Raises:
        ModelError: If the folder cannot be loaded, or static is wanted for a model that is not.
        MissingExtraError: If torch or onnxruntime is needed and not installed.
        UsageError: If the model has not as many dimensions.
    """
    engines = _whole_engines(folder, prompts, engine, trust_remote_code)
    kept = dimension if dimension is not None else folder.truncate_dim
    if kept is None:
        return engines
    return {role: whole if kept == whole.dimension else TruncatedEngine(whole, kept) for role, whole in engines.items()}


def _whole_engines(
    folder: ModelFolder, prompts: Mapping[Role, str], engine: EngineName, trust_remote_code: bool
) -> dict[Role, Engine]:
    shared = not folder.route_names
    if engine == "onnx" or (engine == "auto" and folder.is_exported and not folder.is_static):
        return _onnx_engines(folder, prompts)
    if folder.is_static and engine != "torch":
        query = StaticEngine.load(folder.routes["query"][0].folder, prompt=prompts["query"])
        if shared:
            return {"query": query, "passage": query.with_prompt(prompts["passage"])}
        return {
            "query": query,
            "passage": StaticEngine.load(folder.routes["passage"][0].folder, prompt=prompts["passage"]),
        }
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
    modules = load_modules(folder, trust_remote_code=trust_remote_code)
    first = TorchTower(modules["query"], prompt=prompts["query"])
    second = (
        first.with_prompt(prompts["passage"])
        if modules["query"] is modules["passage"]
        else TorchTower(modules["passage"], prompt=prompts["passage"])
    )
    return {"query": TorchEngine(first), "passage": TorchEngine(second)}


def _onnx_engines(folder: ModelFolder, prompts: Mapping[Role, str]) -> dict[Role, Engine]:
    query = _onnx_engine(folder, "query", prompts["query"])
    if not folder.route_names:
        return {"query": query, "passage": query.with_prompt(prompts["passage"])}
    return {"query": query, "passage": _onnx_engine(folder, "passage", prompts["passage"])}


def _onnx_engine(folder: ModelFolder, role: Role, prompt: str) -> OnnxEngine:
    route = folder.routes.get(role, [])
    kinds = [entry.kind for entry in route if entry.kind != "Normalize"]
    if kinds not in (["Transformer", "Pooling"], ["StaticEmbedding"]):
        raise ModelError(
            f"{folder.path}: the engine onnx computes Transformer and Pooling, or StaticEmbedding, and this is: "
            f"{', '.join(kinds) or 'a transformers checkpoint'}",
            next_step="Load it with engine='torch'.",
        )
    path = onnx_path(folder, role)
    if not path.is_file():
        raise ModelError(
            f"{folder.path} has no {path.relative_to(folder.path)}",
            next_step=f"Export it: isogloss export {folder.path} --out FOLDER --onnx",
        )
    pooling = Pooling.load(route[1].folder) if kinds[0] == "Transformer" else None
    noted: Mapping[str, Any] = folder.notes.get("onnx", {}).get(role, {})
    return OnnxEngine(
        read_onnx_tower(path, route[0].folder, pooling, noted.get("parts"), str(noted.get("sha256", ""))),
        prompt=prompt,
    )


def onnx_path(folder: ModelFolder, role: Role) -> Path:
    """Where the graph of a tower is: beside its weights in a router, else at the top, where other servers look."""
    return (folder.routes[role][0].folder if folder.route_names else folder.path) / ONNX_FILE
