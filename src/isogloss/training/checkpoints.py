"""Checkpoints without pickle: tensors as safetensors, everything else as JSON, and a list of hashes written last.

checkpoint-<step>/
  model.safetensors       trained parameters and buffers
  optimizer.safetensors   tensors of the optimiser's state
  optimizer.json          its other values, and its parameter groups
  scheduler.json
  random.safetensors      random states of every process
  progress.json           what the log and the manifest have counted so far
  trainer_state.json      of the Hugging Face Trainer
  checkpoint.json         step, run, and the hash of every file above
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from isogloss.errors import CheckpointError, Fault, raise_faults
from isogloss.files import file_errors, write_json

FORMAT = 1
LISTING = "checkpoint.json"
WEIGHTS = "model.safetensors"
OPTIMIZER = "optimizer"
SCHEDULER = "scheduler.json"
RANDOM = "random.safetensors"
PROGRESS = "progress.json"
_NAME = re.compile(r"checkpoint-(\d+)")
_OTHER_CHECKPOINT = "Remove it, or resume='previous' goes on from the newest complete one."


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoint folders of a run, newest first."""
    found = [path for path in folder.glob("checkpoint-*") if path.is_dir() and _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name.split("-")[1]), reverse=True)


def seal(folder: Path, *, step: int, run_digest: str, processes: int) -> None:
    """Writes the listing that makes a checkpoint complete."""
    files = {path.name: _digest(path) for path in sorted(folder.iterdir()) if path.name != LISTING}
    listing = {"format": FORMAT, "step": step, "run": run_digest, "processes": processes, "files": files}
    write_json(folder / LISTING, listing)


def verify(folder: Path, *, run_digest: str, processes: int) -> int:
    """Step of a checkpoint that is complete, intact and of this run.

    Raises:
        CheckpointError: If it is not, with everything that is wrong.
    """
    listing = read_object(folder / LISTING)
    faults = []
    files = listing.get("files")
    if listing.get("format") != FORMAT or not isinstance(files, dict):
        faults.append(Fault(LISTING, f"has the format {listing.get('format')!r}", f"this release reads {FORMAT}"))
    for name, digest in (files if isinstance(files, dict) else {}).items():
        path = folder / name
        if not path.is_file():
            faults.append(Fault(name, "is missing"))
        elif _digest(path) != digest:
            faults.append(Fault(name, "is not as it was written: its hash differs"))
    raise_faults(CheckpointError, f"{folder} is corrupt", faults, _OTHER_CHECKPOINT)
    if listing.get("run") != run_digest:
        raise CheckpointError(
            f"{folder} is of another run: recipe, data or base model differ",
            next_step="Give another --out folder, or what it was started with.",
        )
    if listing.get("processes") != processes:
        raise CheckpointError(
            f"{folder} was written by {listing.get('processes')} processes, this run has {processes}",
            next_step="Start as many as before; random states belong to a process.",
        )
    return int(listing["step"])


def save_weights(module: nn.Module, folder: Path) -> None:
    """Writes what training changes: parameters that require gradients, and buffers."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _trained(module).items()}
    with file_errors(folder / WEIGHTS, "write"):
        save_file(tensors, folder / WEIGHTS)


def load_weights(module: nn.Module, folder: Path) -> None:
    """Reads the weights of a checkpoint into a module.

    Raises:
        CheckpointError: If names or shapes differ.
    """
    stored = _tensors(folder / WEIGHTS)
    own = _trained(module)
    faults = [Fault(name, "is not in the checkpoint") for name in own if name not in stored]
    faults += [Fault(name, "is not in the model") for name in stored if name not in own]
    for name in own.keys() & stored.keys():
        if own[name].shape != stored[name].shape:
            faults.append(Fault(name, f"has {tuple(stored[name].shape)} there, {tuple(own[name].shape)} in the model"))
    raise_faults(CheckpointError, f"{folder} does not fit the model", faults)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(stored[name])


def save_optimizer(state: Mapping[str, Any], folder: Path) -> None:
    """Writes an optimiser's `state_dict`.

    Raises:
        CheckpointError: If it holds something that neither a tensor file nor JSON can.
    """
    tensors: dict[str, Tensor] = {}
    values: dict[str, dict[str, Any]] = {}
    for index, entries in state["state"].items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{name}"] = value.detach().cpu().contiguous()
            else:
                values.setdefault(str(index), {})[name] = value
    with file_errors(folder, "write"):
        save_file(tensors, folder / f"{OPTIMIZER}.safetensors")
    content = {"state": values, "param_groups": state["param_groups"], "empty": _empty(state["state"])}
    _write_checked(folder / f"{OPTIMIZER}.json", content)


def _empty(state: Mapping[int, Mapping[str, Any]]) -> list[int]:
    return [index for index, entries in state.items() if not entries]


def load_optimizer(optimizer: torch.optim.Optimizer, folder: Path) -> None:
    """Reads an optimiser's state.

    Raises:
        CheckpointError: If it does not fit the optimiser.
    """
    tensors = _tensors(folder / f"{OPTIMIZER}.safetensors")
    content = read_object(folder / f"{OPTIMIZER}.json")
    state: dict[int, dict[str, Any]] = {int(index): dict(values) for index, values in content["state"].items()}
    for index in content["empty"]:
        state.setdefault(int(index), {})
    for name, tensor in tensors.items():
        index, _, entry = name.partition(".")
        state.setdefault(int(index), {})[entry] = tensor
    groups = content["param_groups"]
    for stored, current in zip(groups, optimizer.param_groups, strict=False):
        for key, value in stored.items():
            if isinstance(current.get(key), tuple):
                stored[key] = tuple(value)
    try:
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"{folder} does not fit the optimiser: {error}") from error


def save_scheduler(state: Mapping[str, Any], folder: Path) -> None:
    """Writes a learning-rate schedule's `state_dict`."""
    _write_checked(folder / SCHEDULER, dict(state))


def load_scheduler(scheduler: Any, folder: Path) -> None:
    """Reads a learning-rate schedule's state."""
    scheduler.load_state_dict(read_object(folder / SCHEDULER))


def random_state(device: torch.device) -> NDArray[np.uint8]:
    """The random states of this process, of torch (CPU and GPU), NumPy and Python, as bytes of one length."""
    _, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    version, python_state, python_gauss = random.getstate()
    numbers = np.asarray([position, has_gauss, version, python_gauss is not None], dtype=np.int64)
    gausses = np.asarray([gauss, python_gauss or 0.0], dtype=np.float64)
    parts = [
        np.asarray(keys, dtype=np.uint32),
        np.asarray(python_state, dtype=np.uint64),
        numbers,
        gausses,
        torch.get_rng_state().numpy(),
    ]
    if device.type == "cuda":
        parts.append(torch.cuda.get_rng_state(device).numpy())
    return np.concatenate([np.ascontiguousarray(part).view(np.uint8) for part in parts])


def restore_random_state(state: NDArray[np.uint8], device: torch.device) -> None:
    """Sets the random states that `random_state` gave."""
    sizes = [624 * 4, 625 * 8, 4 * 8, 2 * 8, torch.get_rng_state().numel()]
    keys, python_state, numbers, gausses, cpu, cuda = np.split(state, np.cumsum(sizes))
    position, has_gauss, version, python_has_gauss = (int(value) for value in numbers.view(np.int64))
    gauss, python_gauss = (float(value) for value in gausses.view(np.float64))
    np.random.set_state(("MT19937", keys.view(np.uint32), position, has_gauss, gauss))
    words = tuple(int(word) for word in python_state.view(np.uint64))
    random.setstate((version, words, python_gauss if python_has_gauss else None))
    torch.set_rng_state(torch.from_numpy(cpu.copy()))
    if device.type == "cuda" and len(cuda):
        torch.cuda.set_rng_state(torch.from_numpy(cuda.copy()), device)


def save_random_states(states: list[NDArray[np.uint8]], folder: Path) -> None:
    """Writes the random states of all processes."""
    with file_errors(folder / RANDOM, "write"):
        save_file({f"process{rank}": torch.from_numpy(state) for rank, state in enumerate(states)}, folder / RANDOM)


def load_random_state(folder: Path, rank: int) -> NDArray[np.uint8]:
    """The random states of one process.

    Raises:
        CheckpointError: If the checkpoint has none for it.
    """
    states = _tensors(folder / RANDOM)
    if f"process{rank}" not in states:
        raise CheckpointError(f"{folder} has no random state of process {rank}", next_step=_OTHER_CHECKPOINT)
    array: NDArray[np.uint8] = states[f"process{rank}"].numpy()
    return array


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object of a checkpoint.

    Raises:
        CheckpointError: If it is missing or broken.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}", next_step=_OTHER_CHECKPOINT) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds no object", next_step=_OTHER_CHECKPOINT)
    return content


def _trained(module: nn.Module) -> dict[str, Tensor]:
    """Trained parameters and buffers by name; the modules of a frozen tower have neither."""
    trained: dict[str, Tensor] = {name: value for name, value in module.named_parameters() if value.requires_grad}
    return trained | {f"buffer:{name}": value for name, value in module.named_buffers()}


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}", next_step=_OTHER_CHECKPOINT) from error


def _write_checked(path: Path, content: Mapping[str, Any]) -> None:
    try:
        json.dumps(content, allow_nan=True)
    except TypeError as error:
        raise CheckpointError(
            f"{path.name} cannot hold this state: {error}", next_step="Choose another optimiser or schedule."
        ) from error
    write_json(path, dict(content))


def _digest(path: Path) -> str:
    with file_errors(path, "read"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _slow(file)


def _slow(file: Any) -> str:
    """`hashlib.file_digest` for Python 3.10."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()
