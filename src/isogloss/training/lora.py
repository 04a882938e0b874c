"""Low-rank adapters on the linear layers of the trained towers: W + (α/r)·B·A, of which only A and B are trained.

A is random and B zero at first, so that training begins from the very model. Source: Hu et al. 2021 (2106.09685),
computed by the `peft` library. Before a model is saved they are added into W: the folder is a plain one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from isogloss.engines.torch_tower import TorchTower, TorchTowers
from isogloss.errors import Fault, MissingExtraError, RecipeError, raise_faults
from isogloss.recipe import LoraSettings

ADAPTER = "default"


def attach_lora(towers: TorchTowers, settings: LoraSettings, *, seed: int) -> None:
    """Puts adapters on the trained towers and stops the training of all their other weights.

    Args:
        towers: Changed in place.
        settings: The recipe's `model.lora`.
        seed: Of the random matrices.

    Raises:
        MissingExtraError: If `peft` is not installed.
        RecipeError: If a tower has no linear layer that `settings.targets` means.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ModuleNotFoundError as missing:
        raise MissingExtraError("model.lora", "lora") from missing
    trained = [tower for tower in _distinct(towers) if any(value.requires_grad for value in tower.parameters())]
    targets = _targets(trained, settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for tower, names in zip(trained, targets, strict=True):
            tower.requires_grad_(False)
            config = LoraConfig(
                r=settings.rank,
                lora_alpha=settings.alpha,
                lora_dropout=settings.dropout,
                target_modules=names,
            )
            inject_adapter_in_model(config, tower.encoder, adapter_name=ADAPTER)


def merge_lora(towers: TorchTowers) -> None:
    """Adds the adapters into the weights that they adapt and removes them; does nothing where there are none."""
    for tower in _distinct(towers):
        for name, layer in list(tower.named_modules()):
            merge = getattr(layer, "merge", None)
            if merge is None or not hasattr(layer, "get_base_layer"):
                continue
            merge()
            parent, _, child = name.rpartition(".")
            setattr(tower.get_submodule(parent), child, layer.get_base_layer())


def _distinct(towers: TorchTowers) -> list[TorchTower]:
    return [towers.query] if towers.shared else list(towers.towers.values())


def _targets(trained: list[TorchTower], settings: LoraSettings) -> list[list[str]]:
    """Names of the adapted layers in each tower."""
    found: list[list[str]] = []
    faults: list[Fault] = []
    for tower in trained:
        linear = [name for name, layer in tower.encoder.named_modules() if isinstance(layer, nn.Linear)]
        ends = sorted({name.rsplit(".", 1)[-1] for name in linear})
        allowed = f"it has: {', '.join(ends) or 'none, for it is a static model'}"
        names = [name for name in linear if settings.targets == "all" or _is_meant(name, settings.targets)]
        if not names:
            faults.append(Fault("model.lora.targets", f"{settings.targets!r} means no linear layer", allowed))
        found.append(names)
    raise_faults(RecipeError, "recipe", faults, "Nothing was started.")
    return found


def _is_meant(name: str, targets: Any) -> bool:
    """Whether a layer's name is one of the targets or ends in one, in whole parts."""
    return any(name == target or name.endswith(f".{target}") for target in targets)
