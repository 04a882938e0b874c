"""Modules of a model folder in torch, by role. Imported only where torch is wanted."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from isogloss.engines.sentence_transformers_modules import Pooling, Router, StaticEmbedding, Transformer
from isogloss.engines.static import StaticEngine
from isogloss.engines.torch_engine import TorchEngine
from isogloss.engines.torch_tower import TorchTower, TorchTowers
from isogloss.errors import ModelError, UsageError
from isogloss.models.prompts import LOGGER, PASSAGE_KEYS, family_of
from isogloss.records import Role

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from isogloss.engines.protocol import Engine
    from isogloss.models.folder import ModelFolder
    from isogloss.models.retriever import Retriever


def load_modules(
    folder: ModelFolder, *, trust_remote_code: bool, device: str | None = None
) -> dict[Role, list[nn.Module]]:
    """Modules by role; the same objects for both roles where they are shared.

    Args:
        folder: The folder, described.
        trust_remote_code: Whether code of the folder may run.
        device: Where they are computed, such as `cpu` or `cuda:1`; None is a GPU where there is one.

    Raises:
        ModelError: If the installed libraries cannot load it.
        UsageError: If there is no such device.
    """
    _check_device(device)
    try:
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(
            str(folder.path),
            device=device,
            trust_remote_code=trust_remote_code,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as broken:
        raise ModelError(
            f"{folder.path} cannot be loaded: {broken}",
            next_step="If it needs code of its own, read that code and load it with trust_remote_code=True."
            if "trust_remote_code" in str(broken)
            else "Open it with sentence-transformers to see more, or fetch it again.",
        ) from broken
    return (
        _checkpoint_modules(folder, cast("Transformer", model[0])) if folder.is_checkpoint else modules_by_role(model)
    )


def modules_by_role(model: SentenceTransformer) -> dict[Role, list[nn.Module]]:
    """Modules of a sentence-transformers model by role.

    Raises:
        ModelError: If a router has no routes for queries and passages.
    """
    modules = list(model)
    if not isinstance(modules[0], Router):
        return {"query": modules, "passage": modules}
    routes = modules[0].sub_modules
    passage = next((name for name in PASSAGE_KEYS if name in routes), None)
    if "query" not in routes or passage is None:
        raise ModelError(
            f"The router has no routes for queries and passages (it has: {', '.join(routes)})",
            next_step="Its routes must be called 'query' and 'document'.",
        )
    towers: Any = routes
    return {"query": [*towers["query"], *modules[1:]], "passage": [*towers[passage], *modules[1:]]}


def engine_for(modules: list[nn.Module], prompt: str) -> StaticEngine | TorchEngine:
    """The NumPy engine for static modules in memory, else the torch engine."""
    return engine_of_tower(TorchTower(modules, prompt=prompt))


def engine_of_tower(tower: TorchTower) -> StaticEngine | TorchEngine:
    """The NumPy engine of a static tower, else the torch engine over the tower itself."""
    from tokenizers import Tokenizer

    from isogloss.engines.hashing import narrowest

    first = tower.first
    if isinstance(first, StaticEmbedding) and len(tower.encoder) == 1:
        weights: Any = narrowest(first.embedding.weight.detach().cpu().numpy().copy())
        return StaticEngine(weights, Tokenizer.from_str(first.tokenizer.to_str()), prompt=tower.prompt)
    return TorchEngine(tower)


def static_modules(engine: StaticEngine) -> list[nn.Module]:
    """The torch module of a static engine, a float32 copy that trains."""
    import numpy as np
    from tokenizers import Tokenizer

    weights = torch.from_numpy(engine.weights.astype(np.float32, copy=True))
    return [StaticEmbedding(Tokenizer.from_str(engine.tokenizer.to_str()), embedding_weights=weights)]


def _check_device(device: str | None) -> None:
    if device is None:
        return
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as refused:  # a build without CUDA asserts
        there = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        raise UsageError(
            f"device: '{device}' cannot be used here: {str(refused).splitlines()[0]}",
            next_step=f"Use one of: {', '.join(['cpu', *there])}; or leave it out.",
        ) from refused


def _checkpoint_modules(folder: ModelFolder, transformer: Transformer) -> dict[Role, list[nn.Module]]:
    """Backbone of a transformers checkpoint with the pooling of its family, else the mean."""
    family = family_of(folder.names)
    pooling = family.pooling if family is not None else "mean"
    LOGGER.warning(
        "%s does not record its pooling: using %s%s.",
        folder.names[0],
        pooling,
        f", the pooling of the family {family.name}" if family is not None else "",
    )
    modules: list[nn.Module] = [transformer, Pooling(_width(transformer), pooling_mode=pooling)]
    return {"query": modules, "passage": modules}


def _width(transformer: Transformer) -> int:
    for name in ("get_embedding_dimension", "get_word_embedding_dimension"):
        if hasattr(transformer, name):
            return int(getattr(transformer, name)())
    raise ModelError("The backbone does not say how wide its vectors are")


def torch_towers(retriever: Retriever) -> TorchTowers:
    """The towers of a retriever in torch: copies to train, one set of modules where they are shared."""
    query = _trainable(retriever.query.engine)
    if retriever.towers == "shared":
        return TorchTowers(query, query.with_prompt(retriever.passage.prompt))
    passage = _trainable(retriever.passage.engine)
    return TorchTowers(query, passage, frozen_passage=retriever.towers == "frozen_passage")


def _trainable(engine: Engine) -> TorchTower:
    if isinstance(engine, StaticEngine):
        return TorchTower(static_modules(engine), prompt=engine.prompt)
    if isinstance(engine, TorchEngine):
        return copy.deepcopy(engine.tower)
    raise ModelError(
        f"{type(engine).__name__} has no torch modules to train",
        next_step="Take the model that was not exported, with all its dimensions.",
    )
