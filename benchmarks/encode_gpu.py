"""Transformer encoding in torch on a GPU: packed and padded batches beside sentence-transformers, in two precisions.

    python -m benchmarks.encode_gpu --data SET [SET …] [--passages 20000] [--models FOLDER]

The model is that of `encode_transformer`: the shape of multilingual MiniLM with random weights. Wall time counts here.
sentence-transformers gets batches of 256 texts, which it sorts by length itself; for its own packing it needs the
package flash-attn. `--device cpu` shows on any machine that the benchmark runs, and nothing about GPUs.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.encode_transformer import BATCH, Encode, evenly_spaced_batches, made, make_model, read_texts
from benchmarks.harness import Benchmark, Plan, Target, Variant, Work, main
from isogloss import Retriever

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
PEER_BATCH = 256


def plan(given: argparse.Namespace) -> Plan:
    """Packed, padded and sentence-transformers, each in float32 and in bfloat16."""
    import torch

    if given.device != "cpu" and not torch.cuda.is_available():
        raise SystemExit("encode_gpu needs a GPU of NVIDIA's; --device cpu runs it without one.")
    model = made(given.models / "torch", make_model)
    passages, _ = read_texts(given.data)
    texts = evenly_spaced_batches(passages, max(1, given.passages // BATCH))
    makers = {
        f"{name}, {precision}": functools.partial(make, model, precision, given.device)
        for precision in PRECISIONS
        for name, make in (
            ("isogloss, packed", functools.partial(ours, True)),
            ("isogloss, padded", functools.partial(ours, False)),
            ("sentence-transformers", sentence_transformers),
        )
    }
    variants = [
        Variant("passages", name, functools.partial(_work, make, texts), ours=name.startswith("isogloss"))
        for name, make in makers.items()
    ]
    targets = [
        Target("passages", f"isogloss, packed, {precision}", f"{peer}, {precision}", figure="wall")
        for precision in PRECISIONS
        for peer in ("isogloss, padded", "sentence-transformers")
    ]
    sample = texts[:: max(1, len(texts) // 32)]
    exact = makers["sentence-transformers, float32"]()(sample)
    cosines = {name: round(float((make()(sample) * exact).sum(axis=1).min()), 5) for name, make in makers.items()}
    device = torch.cuda.get_device_name() if given.device != "cpu" else "none: on the processor"
    return Plan(variants, targets, {"GPU": device, "passages": len(texts), "least cosine to float32": cosines})


@functools.cache
def ours(packed: bool, folder: Path, precision: Precision, device: str) -> Encode:
    """Encodes with isogloss, its batches packed or padded."""
    from isogloss.engines.torch_engine import TorchEngine

    loaded: Any = Retriever.load(folder, engine="torch", on_overflow="ignore", device=device)
    engine = TorchEngine(loaded.passage.engine.tower, precision=precision, packed=packed)
    return lambda texts: engine.encode(texts).vectors


@functools.cache
def sentence_transformers(folder: Path, precision: Precision, device: str) -> Encode:
    """Encodes with sentence-transformers, its weights in the precision."""
    import torch
    from sentence_transformers import SentenceTransformer

    options: dict[str, Any] = {"dtype": getattr(torch, precision)}
    model = SentenceTransformer(str(folder), device=device, model_kwargs=options)

    def encode(texts: Sequence[str]) -> np.ndarray:
        found = model.encode(
            list(texts),
            batch_size=PEER_BATCH,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_tensor=True,
        )
        return found.float().cpu().numpy()

    return encode


def _work(make: functools.partial[Encode], texts: Sequence[str]) -> Work:
    encode = make()
    encode(texts[-BATCH:])

    def work() -> int:
        encode(texts)
        return len(texts)

    return work


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this benchmark."""
    parser.add_argument("--data", nargs="+", required=True, help="evaluation sets, whose passages are taken")
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--device", default="cuda", help="`cpu` runs it without a GPU")
    default = Path(tempfile.gettempdir()) / "isogloss-benchmark-m12"
    parser.add_argument("--models", type=Path, default=default, help="where the model is made and kept")


BENCHMARK = Benchmark(
    "encode_gpu",
    "Encoding with a transformer of 12 layers on a GPU",
    "passages",
    plan,
    arguments,
    ("isogloss", "torch", "transformers", "sentence-transformers"),
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
