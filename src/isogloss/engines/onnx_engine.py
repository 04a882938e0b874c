"""Opens ONNX graphs with onnxruntime, on the CPU."""

from __future__ import annotations

import functools
import logging
import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.batching import usable_cores
from isogloss.errors import MissingExtraError, ModelError
from isogloss.files import file_errors

LOGGER = logging.getLogger("isogloss")
ONNX_FILE = Path("onnx", "model.onnx")
# Its fused sum and normalisation is slower than the two apart: a sixth of the time of a small transformer in int8.
SLOWER_FUSIONS = ["SkipLayerNormFusion"]
INTEGER_PRODUCTS = (b"MatMulInteger", b"QLinearMatMul", b"DynamicQuantizeMatMul", b"QGemm")
SATURATING = "saturating"
# A graph of one MatMulInteger of `rows`, uint8, and `columns`, int8: what `indexing.integer_products` writes.
PROBE = bytes.fromhex(
    "08083a99010a280a04726f77730a07636f6c756d6e73120870726f6475637473220d4d61744d756c496e7465676572120870726f64756374"
    "735a200a04726f777312180a16080212120a0312016e0a0b120964696d656e73696f6e5a230a07636f6c756d6e7312180a16080312120a0b"
    "120964696d656e73696f6e0a0312016d621c0a0870726f647563747312100a0e0806120a0a0312016e0a0312016d42040a00100d"
)


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
        self._saturates = not adds_exactly() and _has_integer_products(path)
        if self._saturates:
            _warn(path)
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
        """What was noted; with a mark where products in int8 are other numbers here than the graph says.

        Without VNNI or its like, onnxruntime adds pairs of products of 8-bit integers in 16 bits, where they saturate.
        """
        return f"{noted}-{SATURATING}" if self._saturates else noted

    def reopened(self) -> OnnxGraph:
        """The same file in a session of its own."""
        return OnnxGraph(self.path)


@functools.cache
def adds_exactly() -> bool:
    """Whether onnxruntime adds products of uint8 and int8 exactly here: it is tried, for its kernels differ."""
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(PROBE, options, providers=["CPUExecutionProvider"])
    return is_exact(lambda rows, columns: session.run(None, {"rows": rows, "columns": columns})[0])


def is_exact(product: Callable[[NDArray[np.uint8], NDArray[np.int8]], NDArray[np.int32]]) -> bool:
    """Whether the largest numbers do not overflow on the way, as they do where two products are added in 16 bits."""
    rows = np.full((3, 64), 255, dtype=np.uint8)
    columns = np.full((64, 5), 127, dtype=np.int8)
    columns[:, 1] = -127
    return bool((product(rows, columns) == rows.astype(np.int32) @ columns.astype(np.int32)).all())


def _has_integer_products(path: Path) -> bool:
    """Whether a node of the file multiplies 8-bit integers; kinds of nodes stand in it as plain words."""
    with (
        file_errors(path, "read"),
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as all_,
    ):
        return any(all_.find(kind) >= 0 for kind in INTEGER_PRODUCTS)


@functools.cache
def _warn(path: Path) -> None:
    """Says it once per file."""
    LOGGER.warning(
        "%s is in int8, whose sums saturate on this processor: its vectors are others than on one with VNNI, and banks "
        "of the two are not mixed. Unless it passed its gate on a processor like this one, export it again here with "
        "isogloss export --onnx --int8, or without --int8 for float32.",
        path,
    )


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as missing:
        raise MissingExtraError("The engine onnx", "onnx") from missing
    return onnxruntime


def _open(path: Path) -> Any:
    onnxruntime = _onnxruntime()
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
