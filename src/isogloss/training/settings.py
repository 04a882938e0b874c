"""A recipe's training settings as Hugging Face arguments, and what the modules themselves must know of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel, TrainingArguments, get_scheduler

from isogloss.engines.torch_tower import TorchTowers
from isogloss.errors import Fault, RecipeError, raise_faults
from isogloss.models.retriever import Retriever
from isogloss.recipe import Recipe, TrainSettings
from isogloss.training import table_gradients
from isogloss.training.groups import GROUPS, group_names
from isogloss.training.lora import attach_lora, merge_lora
from isogloss.training.processes import on_cpu
from isogloss.training.quick_dropout import contexts_of_checkpointed_layers
from isogloss.training.sources import Source


def step_count(settings: TrainSettings, sources: Mapping[str, Source]) -> int:
    """Steps of the run; an epoch lasts until the source with the most batches has given each of its rows."""
    if settings.max_steps is not None:
        return settings.max_steps
    epoch = max(int(np.ceil(source.rows / source.batch)) for source in sources.values())
    return max(1, int(np.ceil(settings.num_train_epochs * epoch)))


def freeze(towers: nn.Module, recipe: Recipe) -> None:
    """Stops the training of weights that `train.freeze` names, by groups and by patterns.

    Raises:
        RecipeError: If a group is not there, a pattern is none or matches nothing, or nothing is left to train.
    """
    faults = []
    names = [name for name, value in towers.named_parameters() if value.requires_grad]
    groups = {group: [name for name in members if name in names] for group, members in group_names(towers).items()}
    for index, pattern in enumerate(recipe.train.freeze):
        if pattern in GROUPS and not groups.get(pattern):
            there = ", ".join(group for group, members in groups.items() if members) or "none"
            next_step = f"such as {names[0]}; groups that it has: {there}"
            faults.append(Fault(f"train.freeze[{index}]", f"'{pattern}' is no group of the trained weights", next_step))
            continue
        try:
            matched = groups[pattern] if pattern in GROUPS else [name for name in names if re.search(pattern, name)]
        except re.error as error:
            faults.append(Fault(f"train.freeze[{index}]", f"'{pattern}' is no regular expression: {error}"))
            continue
        if not matched:
            faults.append(Fault(f"train.freeze[{index}]", f"'{pattern}' matches no weight", f"such as {names[0]}"))
        for name, value in towers.named_parameters():
            if name in matched:
                value.requires_grad_(False)
    if not any(value.requires_grad for value in towers.parameters()):
        faults.append(Fault("train.freeze", "leaves nothing to train"))
    raise_faults(RecipeError, "recipe", faults, "Nothing was started.")


def trainable_towers(retriever: Retriever, recipe: Recipe) -> TorchTowers:
    """The towers of a retriever as a recipe trains them: frozen in part, with adapters, in the dtype of its masters.

    Raises:
        MissingExtraError: If adapters are wanted and `peft` is not installed.
        RecipeError: If what is frozen or adapted is not there, or nothing is left to train.
    """
    towers = retriever.to_torch()
    freeze(towers, recipe)
    if recipe.model.lora is not None:
        attach_lora(towers, recipe.model.lora, seed=recipe.train.seed)
    for tower in towers.towers.values():
        if any(value.requires_grad for value in tower.parameters()):
            tower.to(getattr(torch, recipe.train.master_dtype))
    set_module_options(towers, recipe.train)
    return towers


def plain_towers(towers: TorchTowers) -> TorchTowers:
    """Trained towers as they are saved: adapters merged, float32, on the CPU."""
    merge_lora(towers)
    table_gradients.restore(towers)
    return towers.float().cpu()


def set_module_options(towers: nn.Module, settings: TrainSettings) -> None:
    """Switches what the modules themselves must know: how tables take gradients, what is computed again."""
    table_gradients.add_in_place(towers, by_row=keeps_rows(settings))
    for module in towers.modules():
        if settings.sparse_embeddings and isinstance(module, nn.EmbeddingBag) and module.weight.requires_grad:
            module.sparse = True
        if settings.gradient_checkpointing and isinstance(module, PreTrainedModel):
            options = {"use_reentrant": False, "context_fn": contexts_of_checkpointed_layers}
            module.gradient_checkpointing_enable(gradient_checkpointing_kwargs=options)  # type: ignore[no-untyped-call]


def keeps_rows(settings: TrainSettings) -> bool:
    """Whether the gradients of token tables hold the rows of a step alone, and the optimiser's means those ever met."""
    plain_adamw = settings.optim in ("adamw_torch", "adamw_torch_fused") and settings.optim_args is None
    return plain_adamw and settings.max_grad_norm == 0 and not torch.cuda.is_available()


def autocast_context(settings: TrainSettings, device: torch.device) -> Callable[[], AbstractContextManager[object]]:
    """Makes the context of each forward pass: bfloat16 where the settings want it."""
    if not in_bfloat16(settings, device):
        return nullcontext
    return lambda: torch.autocast(device.type, dtype=torch.bfloat16)


def in_bfloat16(settings: TrainSettings, device: torch.device) -> bool:
    """Whether forward passes are computed in bfloat16; on a CPU only where that is asked for by name."""
    if settings.bf16 == "auto":
        return device.type == "cuda" and has_bfloat16(device)
    return settings.bf16 == "always"


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16 itself; a CPU that does not takes several times as long as in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    asked = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(bool(known()) for known in asked if known is not None)


def check_arguments(settings: TrainSettings, steps: int) -> None:
    """Checks that the installed libraries know the optimiser and the schedule, before anything is written.

    Raises:
        RecipeError: If they do not, or the schedule lacks an argument.
    """
    try:
        arguments = training_arguments(settings, Path(), steps)
        get_scheduler(
            arguments.lr_scheduler_type,
            torch.optim.SGD([torch.zeros(1)], lr=1.0),
            num_warmup_steps=int(arguments.warmup_steps),
            num_training_steps=steps,
            scheduler_specific_kwargs=dict(settings.lr_scheduler_kwargs),
        )
    except (ValueError, TypeError, ImportError) as error:
        next_step = "See train.optim, train.lr_scheduler_type and train.lr_scheduler_kwargs; nothing was started."
        raise RecipeError(f"the training settings do not fit: {error}", next_step=next_step) from error


def training_arguments(settings: TrainSettings, folder: Path, steps: int) -> TrainingArguments:
    """Hugging Face's arguments of a run."""
    return TrainingArguments(
        output_dir=str(folder),
        use_cpu=on_cpu(),
        max_steps=steps,
        per_device_train_batch_size=1,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.lr_scheduler_type,
        lr_scheduler_kwargs=dict(settings.lr_scheduler_kwargs),
        warmup_steps=settings.warmup_steps or int(settings.warmup_ratio * steps),
        optim="adamw_torch" if settings.optim == "sparse_adam" else settings.optim,
        optim_args=settings.optim_args,
        weight_decay=settings.weight_decay,
        adam_beta1=settings.adam_beta1,
        adam_beta2=settings.adam_beta2,
        adam_epsilon=settings.adam_epsilon,
        max_grad_norm=settings.max_grad_norm,
        seed=settings.seed,
        logging_strategy="steps",
        logging_steps=settings.logging_steps,
        logging_nan_inf_filter=False,
        save_strategy=settings.save_strategy,
        save_steps=settings.save_steps,
        save_total_limit=settings.save_total_limit,
        report_to=settings.report_to,
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
