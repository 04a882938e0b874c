"""The folder of a run: what lies in it, and whether a run may begin or go on there."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Literal

from isogloss.errors import CheckpointError, Fault, UsageError, raise_faults
from isogloss.files import check_folder, read_json
from isogloss.training import checkpoints
from isogloss.training.processes import current_processes
from isogloss.training.start import PARTS
from isogloss.training.trainer import LOG

MANIFEST = "manifest.json"
MODEL = "model"
Resume = Literal["auto", "previous", "never"]


def find_checkpoint(folder: Path, resume: Resume, run_digest: str) -> Path | None:
    """The checkpoint that a run goes on from, or None for a fresh start.

    Raises:
        CheckpointError: If it is corrupt, incomplete or of another run.
        UsageError: If the folder holds a run that is not to be resumed.
    """
    if resume not in ("auto", "previous", "never"):
        raise UsageError(f"resume: '{resume}' (allowed: auto, previous, never)")
    found = checkpoints.checkpoints(folder)
    if resume == "never" or not found:
        _check_start(folder, resume, run_digest)
        return None
    failures: list[Fault] = []
    for path in found:
        try:
            checkpoints.verify(path, run_digest=run_digest, processes=current_processes().count)
        except CheckpointError as error:
            if resume == "auto":
                raise
            failures.append(Fault(path.name, error.message))
        else:
            return path
    raise_faults(CheckpointError, f"{folder} has no intact checkpoint", failures, "Remove them to start afresh.")
    return None


def _check_start(folder: Path, resume: Resume, run_digest: str) -> None:
    """Checks that a run may begin afresh in a folder: what is not its own would be replaced."""
    if not folder.exists() or not any(path.name not in PARTS for path in check_folder(folder).iterdir()):
        return
    if resume == "never":
        raise UsageError(f"{folder} is not empty", next_step="Choose another folder, or resume='auto'.")
    if (folder / MANIFEST).is_file():
        if read_json(folder / MANIFEST).get("run_digest") != run_digest:
            raise UsageError(
                f"{folder} holds another run: recipe, data or base model differ", next_step="Choose another folder."
            )
    elif not (folder / LOG).is_file() and any(path.name not in PARTS for path in folder.glob("[!.]*")):
        raise UsageError(f"{folder} holds something else than a run", next_step="Choose another folder.")


def package_versions() -> dict[str, str]:
    """Versions of what computes a run, for its manifest."""
    names = ("isogloss", "torch", "transformers", "sentence-transformers", "tokenizers", "numpy", "accelerate")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}
