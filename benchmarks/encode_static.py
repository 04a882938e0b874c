"""Static models: passages per second and the time of one query, ours beside model2vec and sentence-transformers.

    python benchmarks/encode_static.py CORPUS [--model bundled] [--texts 5000] [--rounds 5] [--out results.json]

All systems get the same table, tokenizer and texts, in one process, in rounds that begin with another system each time.
CPU time counts, for wall time is that of whatever else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from isogloss import Retriever
from isogloss.datasets import open_corpus
from isogloss.engines.static import StaticEngine
from isogloss.files import write_json

Encode = Callable[[Sequence[str]], Any]
QUERIES = 200


def systems(engine: StaticEngine) -> dict[str, Encode]:
    """What is compared, by name; peers that are not installed are left out."""
    found: dict[str, Encode] = {"isogloss": lambda texts: engine.encode(texts).vectors}
    weights = engine.weights.astype(np.float32)
    try:
        from model2vec import StaticModel

        peer = StaticModel(vectors=weights, tokenizer=_own(engine.tokenizer), normalize=True)
        found["model2vec"] = lambda texts: peer.encode(list(texts), max_length=None, use_multiprocessing=False)
    except ModuleNotFoundError:
        pass
    try:
        from sentence_transformers import SentenceTransformer

        from isogloss.engines.sentence_transformers_modules import Normalize, StaticEmbedding

        modules = [StaticEmbedding(_own(engine.tokenizer), embedding_weights=weights), Normalize()]
        other = SentenceTransformer(modules=modules, device="cpu")
        found["sentence-transformers"] = lambda texts: other.encode(list(texts), batch_size=256)
    except ModuleNotFoundError:
        pass
    return found


def measure(encode: Encode, texts: Sequence[str]) -> dict[str, float]:
    """Passages per second, by CPU and by wall time, and the median CPU milliseconds of one query."""
    wall, cpu = time.perf_counter(), time.process_time()
    encode(texts)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    single = []
    for text in texts[:QUERIES]:
        began = time.process_time()
        encode([text[:40] or text])
        single.append(time.process_time() - began)
    return {
        "passages_per_cpu_second": len(texts) / cpu,
        "passages_per_second": len(texts) / wall,
        "query_cpu_milliseconds": 1000 * statistics.median(single),
    }


def summary(rounds: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Median, least and most of each figure."""
    return {
        name: {
            "median": statistics.median(values),
            "least": min(values),
            "most": max(values),
        }
        for name in rounds[0]
        for values in [[found[name] for found in rounds]]
    }


def main() -> None:
    """Runs the rounds, prints a table and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--texts", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    passages = list(open_corpus(arguments.corpus))
    step = max(1, len(passages) // arguments.texts)
    texts = [passage.text for passage in passages[::step]][: arguments.texts]
    languages = {passage.language for passage in passages[::step]}
    engine = Retriever.load(arguments.model).passage.engine
    if not isinstance(engine, StaticEngine):
        parser.error(f"{arguments.model} is no static model")
    found = systems(engine)
    for encode in found.values():
        encode(texts[:100])
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in found}
    for number in range(arguments.rounds):
        names = list(found)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            rounds[name].append(measure(found[name], texts))
    vectors = {name: encode(texts[:500]) for name, encode in found.items()}
    result = {
        "corpus": arguments.corpus,
        "texts": len(texts),
        "languages": len(languages),
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "systems": {name: summary(of_system) for name, of_system in rounds.items()},
        "least_cosine_to_ours": {
            name: float(np.einsum("ij,ij->i", other, vectors["isogloss"]).min()) for name, other in vectors.items()
        },
    }
    print(json.dumps(result, indent=2))
    if arguments.out:
        write_json(arguments.out, result)


def _own(tokenizer: Tokenizer) -> Tokenizer:
    """A copy, for some libraries set truncation and padding on what they are given."""
    return Tokenizer.from_str(tokenizer.to_str())


if __name__ == "__main__":
    main()
