"""Picks and loads the engines of a model folder: NumPy for static models, torch for the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from isogloss.engines.protocol import Engine
from isogloss.engines.static import StaticEngine
from isogloss.errors import MissingExtraError, ModelError
from isogloss.models.folder import ModelFolder
from isogloss.records import Role

EngineName = Literal["auto", "numpy", "torch"]


def load_engines(
    folder: ModelFolder, prompts: Mapping[Role, str], engine: EngineName, trust_remote_code: bool
) -> dict[Role, Engine]:
    """Engines by role, over one set of weights where the towers are shared.

    Args:
        folder: The model folder, described.
        prompts: Prompt by role.
        engine: `numpy`, `torch`, or `auto`: numpy where it can.
        trust_remote_code: Whether code of the folder may run.

    Raises:
        ModelError: If the folder cannot be loaded, or numpy is wanted for a model that is not static.
        MissingExtraError: If torch is needed and not installed.
    """
    shared = not folder.route_names
    if folder.is_static and engine != "torch":
        query = StaticEngine.load(folder.routes["query"][0].folder, prompt=prompts["query"])
        if shared:
            return {"query": query, "passage": query.with_prompt(prompts["passage"])}
        return {
            "query": query,
            "passage": StaticEngine.load(folder.routes["passage"][0].folder, prompt=prompts["passage"]),
        }
    if engine == "numpy":
        kinds = ", ".join(entry.kind for entry in folder.routes.get("query", [])) or "a transformers checkpoint"
        raise ModelError(
            f"{folder.path}: the engine numpy computes static models only, and this is: {kinds}",
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
