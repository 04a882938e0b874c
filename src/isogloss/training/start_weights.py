"""The weights that a run began with, on the disk: as large as the model, and asked for by a number in the log alone."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from isogloss.files import file_errors

NUMBERS_AT_ONCE = 1 << 22


class StartWeights:
    """Copies of tensors in a file without a name, which is gone with the process.

    Args:
        weights: The tensors as they are now.
        folder: Where there is room for them.

    Raises:
        FileError: If there is not.
    """

    def __init__(self, weights: Sequence[Tensor], folder: Path) -> None:
        self._folder = folder
        with file_errors(folder, "write"):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # as long as this object lives
            for weight in weights:
                for part in torch.split(weight.detach().reshape(-1), NUMBERS_AT_ONCE):
                    self._file.write(part.cpu().view(torch.uint8).numpy().data)

    def largest_change(self, weights: Sequence[Tensor]) -> float:
        """Largest absolute difference of any number to what it was.

        Args:
            weights: The same tensors in the same order, with other values.
        """
        largest = 0.0
        with file_errors(self._folder, "read"):
            self._file.seek(0)
            for weight in weights:
                for part in torch.split(weight.detach().reshape(-1), NUMBERS_AT_ONCE):
                    before = bytearray(part.numel() * part.element_size())
                    self._file.readinto(before)
                    then = torch.frombuffer(before, dtype=part.dtype)
                    largest = max(largest, float((part.cpu() - then).abs().max()))
        return largest
