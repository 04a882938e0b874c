"""What a test runs in a process of its own: `python -m tests.training.worker step|train|kill ARGUMENTS`."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from isogloss.recipe import parse_recipe


def one_step(out: str) -> None:
    """The gradients of one step, from however many processes there are, with gathering and without."""
    from isogloss.training.encoders import MiniBatch, TrainedEncoder
    from isogloss.training.processes import current_processes, join_processes
    from isogloss.training.step import CachedStep
    from tests.training.stand_ins import DoubleTower, every_objective, made_up_batch, teacher

    join_processes()
    processes = current_processes()
    found = {}
    cases = itertools.product((True, False), every_objective().items())
    for gather, (name, objective) in cases:
        texts, batch = made_up_batch(8)
        tower = DoubleTower(dropout=0.0)
        encoder = TrainedEncoder(tower, texts, mini_batch=MiniBatch(size=3))
        encoders = {"query": encoder, "passage": encoder}
        step = CachedStep(encoders, objective, teacher=teacher(texts), processes=processes, gather=gather)
        found[f"{gather}.{name}.loss"] = step(batch).loss
        processes.sum_gradients(tower.parameters(), divide_by=step.gradient_divisor)
        found |= {f"{gather}.{name}.{parameter}": value.grad for parameter, value in tower.named_parameters()}
    save_file(found, Path(out) / f"rank{processes.rank}.safetensors")


def whole_run(recipe: str, out: str) -> None:
    """A run of a recipe written as JSON."""
    from isogloss.training import train

    train(parse_recipe(json.loads(recipe)), out)


def killed_run(recipe: str, out: str, step: str, threads: str) -> None:
    """A run that is killed, without any chance to tidy up, when it begins a step."""
    from isogloss.training.trainer import RecipeTrainer

    torch.set_num_threads(int(threads))
    original = RecipeTrainer.training_step

    def killing(self, model, inputs, num_items_in_batch=None):
        if int(inputs["step"]) == int(step):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, model, inputs, num_items_in_batch)

    RecipeTrainer.training_step = killing
    whole_run(recipe, out)


if __name__ == "__main__":
    {"step": one_step, "train": whole_run, "kill": killed_run}[sys.argv[1]](*sys.argv[2:])
