"""Products of matrices of 8-bit integers, exact in 32 bits, where the processor has instructions for them.

NumPy has no fast ones. onnxruntime has; the graph of its one node is written here byte by byte, in the encoding of
protocol buffers, since the package that builds graphs is not needed for anything else in a search.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.batching import usable_cores
from isogloss.engines.processor import multiplies_int8

OFFSET = 128
LARGEST = 127
MOST_DIMENSIONS = (2**31 - 1) // ((OFFSET + LARGEST) * LARGEST)

Product = Callable[[NDArray[np.uint8], NDArray[np.int8]], NDArray[np.int32]]

_UINT8, _INT8, _INT32 = 2, 3, 6  # kinds of tensors in ONNX
_IR_VERSION, _OPSET = 8, 13


@functools.cache
def integer_product() -> Product | None:
    """The product of (rows, dimension) and (dimension, columns), or None where there is no fast and exact one."""
    if not multiplies_int8():
        return None
    try:
        import onnxruntime
    except ModuleNotFoundError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    session = onnxruntime.InferenceSession(_graph(), options, providers=["CPUExecutionProvider"])

    def product(rows: NDArray[np.uint8], columns: NDArray[np.int8]) -> NDArray[np.int32]:
        found: NDArray[np.int32] = session.run(None, {"rows": rows, "columns": columns})[0]
        return found

    return product if _is_exact(product) else None


def _is_exact(product: Product) -> bool:
    """Whether the largest numbers do not overflow on the way, as they do where two products are added in 16 bits."""
    rows = np.full((3, 64), OFFSET + LARGEST, dtype=np.uint8)
    columns = np.full((64, 5), LARGEST, dtype=np.int8)
    columns[:, 1] = -LARGEST
    return bool((product(rows, columns) == rows.astype(np.int32) @ columns.astype(np.int32)).all())


def _graph() -> bytes:
    """An ONNX model of one MatMulInteger, from uint8 and int8 to int32."""
    node = _field(1, "rows") + _field(1, "columns") + _field(2, "products") + _field(4, "MatMulInteger")
    graph = _field(1, node) + _field(2, "products")
    graph += _field(11, _tensor("rows", _UINT8, "n", "dimension"))
    graph += _field(11, _tensor("columns", _INT8, "dimension", "m"))
    graph += _field(12, _tensor("products", _INT32, "n", "m"))
    return _field(1, _IR_VERSION) + _field(7, graph) + _field(8, _field(1, "") + _field(2, _OPSET))


def _tensor(name: str, kind: int, *dimensions: str) -> bytes:
    shape = b"".join(_field(1, _field(2, dimension)) for dimension in dimensions)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, shape)))


def _field(number: int, value: int | str | bytes) -> bytes:
    """A field of a protocol buffer: its number and kind, and then its value, with the length where it has one."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content: Any = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + bytes(content)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the top bit says that more follow."""
    groups = []
    while True:
        value, low = value >> 7, value & 0x7F
        groups.append(low | (0x80 if value else 0))
        if not value:
            return bytes(groups)
