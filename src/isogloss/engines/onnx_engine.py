"""Opens ONNX graphs with onnxruntime, on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.batching import usable_cores
from isogloss.errors import MissingExtraError, ModelError

ONNX_FILE = Path("onnx", "model.onnx")
# Its fused sum and normalisation is slower than the two apart: a sixth of the time of a small transformer in int8.
SLOWER_FUSIONS = ["SkipLayerNormFusion"]


class OnnxGraph:
    """An ONNX graph in an onnxruntime session.

    Args:
        path: The `.onnx` file.

    Raises:
        MissingExtraError: If onnxruntime is not installed.
        ModelError: If it cannot read the file.
    """

    kind = "onnx"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._session = _open(path)
        self.inputs = [entry.name for entry in self._session.get_inputs()]
        self.outputs: Mapping[str, int | None] = {
            entry.name: entry.shape[-1] if isinstance(entry.shape[-1], int) else None
            for entry in self._session.get_outputs()
        }

    def run(self, output: str, feeds: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """The output of that name."""
        (found,) = self._session.run([output], dict(feeds))
        return np.asarray(found, dtype=np.float32)

    def precision(self, noted: str) -> str:
        """What was noted, for onnxruntime computes what the graph says on every processor."""
        return noted

    def reopened(self) -> OnnxGraph:
        """The same file in a session of its own."""
        return OnnxGraph(self.path)


def _open(path: Path) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as missing:
        raise MissingExtraError("The engine onnx", "onnx") from missing
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    options.log_severity_level = 3
    # Batches differ in shape, so plans of memory by shape would only be kept and never used again.
    options.enable_mem_pattern = False
    # Threads that wait in a loop take the core from the tokenizer, and from everyone else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=SLOWER_FUSIONS
        )
    except Exception as broken:  # onnxruntime's errors have no common base but Exception
        raise ModelError(f"{path} cannot be read: {broken}", next_step="Export the model again.") from broken
