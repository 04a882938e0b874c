"""A million real texts in the embedded index: recall and time of a query, whole and through filters.

    python -m benchmarks.real_corpus --data DATA --out corpus
    isogloss encode corpus --out bank
    isogloss index bank --out million --set lexical=false
    python -m benchmarks.index_million --data DATA --index million

The queries are XQuAD's questions in twelve languages. Recall is that of the ten best passages against a comparison of
all whole vectors. An index with a graph (`--precision float16 --set graph_degree=16`) is measured with `--efforts`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Benchmark, Plan, Target, Variant, Work, main
from isogloss import Retriever
from isogloss.files import read_jsonl
from isogloss.indexing.embedded import EmbeddedIndex
from isogloss.indexing.manifest import IndexOptions
from isogloss.indexing.protocol import Scores, Where

K = 10
EXACT = "whole vectors of all allowed"
OURS = "as isogloss searches"
Search = Callable[[NDArray[np.float32]], list[Scores]]


def arguments(parser: argparse.ArgumentParser) -> None:
    """What this benchmark is told beyond the harness's own."""
    parser.add_argument("--data", type=Path, required=True, help="folder with retrieval/xquad")
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--efforts", type=int, nargs="*", default=[], help="ef, for an index with a graph")


def plan(given: argparse.Namespace) -> Plan:
    """Opens the index, takes the recall of every way to search, and says what is timed."""
    wall, cpu = time.perf_counter(), time.process_time()
    index = EmbeddedIndex.open(given.index)
    opening = f"{time.process_time() - cpu:.2f} s CPU, {time.perf_counter() - wall:.2f} s"
    queries = _queries(given.data / "retrieval" / "xquad" / "queries.jsonl.gz", given.queries)
    variants, targets, recalls = [], [], []
    for work, where in _filters(index).items():
        searches = _searches(index, where, given.efforts)
        truth = searches[EXACT](queries)
        for name, search in searches.items():
            recalls.append(f"{work}, {name}: {_recall(search(queries), truth):.4f}")
            variants.append(Variant(work, name, _timed(search, queries), ours=name == OURS))
        targets.append(Target(work, OURS, EXACT))
    about = {
        "Passages": index.count(),
        "Languages": len(index.languages()),
        "Queries": len(queries),
        "Opening": opening,
        "Disk, MiB": sum(file.stat().st_size for file in given.index.rglob("*") if file.is_file()) >> 20,
        f"Recall@{K}": "; ".join(recalls),
    }
    return Plan(variants, targets, about)


def _filters(index: EmbeddedIndex) -> dict[str, Where]:
    """Filters by what they allow: everything, the largest language, about 0.5 %, and the questions' own source."""
    sizes = index.languages()
    total = index.count()
    large = max(sizes, key=lambda tag: sizes[tag])
    small = min(sizes, key=lambda tag: abs(sizes[tag] - total / 200))
    wheres = [Where(), Where((large,)), Where((small,)), Where(metadata={"source": "retrieval/xquad"})]
    names = ["all", f"language {large}", f"language {small}", "metadata source"]
    return {
        f"{name} ({index.count(where) / total:.2%})": where
        for name, where in zip(names, wheres, strict=True)
        if index.count(where) >= K
    }


def _searches(index: EmbeddedIndex, where: Where, efforts: Sequence[int]) -> dict[str, Search]:
    def whole(vectors: NDArray[np.float32]) -> list[Scores]:
        return index._nearest(vectors, K, where, exact=True)

    def with_options(options: IndexOptions) -> Search:
        def search(vectors: NDArray[np.float32]) -> list[Scores]:
            index._options = options
            return index.search(vectors, k=K, where=where)

        return search

    options = IndexOptions()
    graph = {f"graph, ef {effort}": with_options(replace(options, search_effort=effort)) for effort in efforts}
    return {EXACT: whole, OURS: with_options(options), **graph}


def _timed(search: Search, queries: NDArray[np.float32]) -> Callable[[], Work]:
    def work() -> int:
        for query in queries:  # one at a time, as a service gets them
            if any(len(found) < K for found in search(query[None])):
                raise SystemExit("A search gave fewer than k hits.")
        return len(queries)

    return lambda: work


def _recall(found: Sequence[Any], truth: Sequence[Any]) -> float:
    return float(np.mean([len(set(right) & set(got)) / len(right) for got, right in zip(found, truth, strict=True)]))


def _queries(file: Path, count: int) -> NDArray[np.float32]:
    """Vectors of questions, spread over the languages."""
    texts = [row["text"] for _, row in read_jsonl(file)]
    return Retriever.load("bundled").encode_query(texts[:: len(texts) // count][:count])


BENCHMARK = Benchmark(
    name="index_million",
    title="A million real texts in the embedded index",
    unit="queries",
    plan=plan,
    arguments=arguments,
    packages=("isogloss", "numpy", "qdrant-edge-py"),
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
