"""Writes graphs in OpenVINO's format. Imported only where a model is exported."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import MissingExtraError

try:
    import openvino
except ModuleNotFoundError as missing:
    raise MissingExtraError("Exporting to OpenVINO", "export") from missing

Feeds = dict[str, NDArray[np.int64]]


def convert(source: Path, path: Path) -> None:
    """Writes the ONNX graph at `source` in OpenVINO's format, weights in float32; they go beside `path`, as `.bin`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _save(openvino.convert_model(source), path)


def quantize_static(path: Path, samples: Sequence[Feeds]) -> None:
    """Replaces the graph at `path` by one whose matrix products are computed in int8, and whose tables are stored so.

    Weights are quantised per output channel, activations by the ranges that they have on the samples. Outliers of
    activations are moved into the weights before (SmoothQuant, Xiao et al. 2023).

    Args:
        path: The `.xml` file.
        samples: Inputs of the graph by name, one text each.

    Raises:
        MissingExtraError: If nncf is not installed.
    """
    try:
        import nncf
    except ModuleNotFoundError as missing:
        raise MissingExtraError("Quantising for OpenVINO", "export") from missing
    with _quiet(nncf):
        quantized = nncf.quantize(
            openvino.Core().read_model(path),
            nncf.Dataset(list(samples)),
            subset_size=len(samples),
            model_type=nncf.ModelType.TRANSFORMER,
            preset=nncf.QuantizationPreset.MIXED,
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.DISABLE),
        )
    smaller = path.with_name("quantized.xml")
    _save(quantized, smaller)
    del quantized
    for suffix in (".xml", ".bin"):
        smaller.with_suffix(suffix).replace(path.with_suffix(suffix))


def _save(model: Any, path: Path) -> None:
    openvino.save_model(model, path, compress_to_fp16=False)


@contextlib.contextmanager
def _quiet(nncf: Any) -> Iterator[None]:
    """Keeps the bars and remarks of nncf from the terminal."""
    logger = logging.getLogger("nncf")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(before)
