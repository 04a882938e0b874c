"""Opens graphs of OpenVINO's format on the CPU, in a precision that is chosen at the export and never lowered here."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.batching import usable_cores
from isogloss.engines.processor import multiplies_int8
from isogloss.engines.protocol import Compute
from isogloss.errors import MissingExtraError, ModelError

OPENVINO_FILE = Path("openvino", "openvino_model.xml")
INT8 = "int8-static"
NO_INT8 = "Without VNNI or AMX, sums of products in int8 overflow in OpenVINO"


class OpenvinoGraph:
    """A graph in OpenVINO's CPU plug-in, compiled for one text or batch at a time.

    Args:
        path: The `.xml` file; its weights are in the `.bin` file beside it.
        precision: What the graph was exported in, among the values of `precision_name`. Where the processor has no
            bfloat16, what was in bfloat16 is computed in float32.

    Raises:
        MissingExtraError: If openvino is not installed.
        ModelError: If it cannot read the file, or the file is in int8 and this processor computes that wrongly.
    """

    kind = "openvino"

    def __init__(self, path: Path, precision: str = "float32") -> None:
        if precision.startswith(INT8) and not multiplies_int8():
            raise ModelError(f"{path} is in int8. {NO_INT8}", next_step="Export the model with --onnx --int8 for it.")
        self.path = path
        self.noted = precision
        self.compute: Compute = "bfloat16" if "bfloat16" in precision and has_bfloat16() else "float32"
        self.model = _compile(path, self.compute)
        self._request = self.model.create_infer_request()
        self._lock = threading.Lock()
        self.inputs = [entry.any_name for entry in self.model.inputs]
        self._places = {entry.any_name: place for place, entry in enumerate(self.model.outputs)}
        widths = {entry.any_name: entry.partial_shape[-1] for entry in self.model.outputs}
        self.outputs: Mapping[str, int | None] = {
            name: width.get_length() if width.is_static else None for name, width in widths.items()
        }

    def run(self, output: str, feeds: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """The output of that name."""
        with self._lock:  # a request holds its inputs and outputs
            self._request.infer(dict(feeds), share_inputs=True, share_outputs=True)
            found = self._request.get_output_tensor(self._places[output]).data
            return np.array(found, dtype=np.float32)

    def precision(self, noted: str) -> str:
        """What is computed here: `noted`, or float32 in the place of a bfloat16 that this processor lacks."""
        if noted == self.kind:
            return f"{noted}:{self.compute}"
        return precision_name(int8=noted.startswith(INT8), compute=self.compute)

    def reopened(self) -> OpenvinoGraph:
        """The same files, compiled once more."""
        return OpenvinoGraph(self.path, self.noted)


def precision_name(*, int8: bool, compute: Compute) -> str:
    """How fingerprints name a precision: `float32`, `bfloat16`, `int8-static` or `int8-static+bfloat16`."""
    if not int8:
        return compute
    return INT8 if compute == "float32" else f"{INT8}+{compute}"


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 numbers.

    Raises:
        MissingExtraError: If openvino is not installed.
    """
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _core() -> Any:
    try:
        from openvino import Core
    except ModuleNotFoundError as missing:
        raise MissingExtraError("The engine openvino", "openvino") from missing
    return Core()


def _compile(path: Path, compute: Compute) -> Any:
    core = _core()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": usable_cores(),
        # Workers beside each other would all be bound to the same cores.
        "ENABLE_CPU_PINNING": False,
        # By default OpenVINO takes bfloat16 where there is some, and int8 activations where weights are compressed.
        "INFERENCE_PRECISION_HINT": "bf16" if compute == "bfloat16" else "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
    }
    try:
        return core.compile_model(core.read_model(path), "CPU", settings)
    except RuntimeError as broken:
        said = " ".join(str(broken).split())
        raise ModelError(f"{path} cannot be read: {said}", next_step="Export the model again.") from broken
