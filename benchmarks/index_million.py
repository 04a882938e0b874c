"""A million real texts in the embedded index: recall and time of a query, whole and through filters.

    python -m benchmarks.real_corpus --data DATA --out corpus
    isogloss encode corpus --out bank
    isogloss index bank --out million
    python -m benchmarks.index_million --data DATA --index million

The queries are XQuAD's questions in twelve languages. Recall is that of the ten best passages against a comparison of
all whole vectors. Where the index has words too, a search is timed from the text of a question to ten hits with their
texts. Opening and first search are those of fresh processes, whose codes the system holds or not as it happens. An
index with a graph (`--precision float16 --set graph_degree=16`) is measured with `--efforts`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
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
from isogloss.indexing.lexical_files import FOLDER as LEXICAL
from isogloss.indexing.manifest import IndexOptions
from isogloss.indexing.protocol import Scores, Where
from isogloss.indexing.search_index import Mode, SearchIndex

K = 10
OPENINGS = 7
OPENING = """
import json, sys, time
from isogloss import Retriever
from isogloss.indexing.embedded import EmbeddedIndex

def timed(work):
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, (time.perf_counter() - wall, time.process_time() - cpu)

query = Retriever.load("bundled").encode_query(["Where does the river reach the sea?"])
index, opening = timed(lambda: EmbeddedIndex.open(sys.argv[1]))
_, first = timed(lambda: index.search(query, k=10))
_, second = timed(lambda: index.search(query, k=10))
print(json.dumps({"opening": opening, "first search": first, "second search": second}))
"""
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
    openings = {} if given.alone else _openings(given.index)
    index = EmbeddedIndex.open(given.index)
    retriever = Retriever.load("bundled")
    texts = _questions(given.data / "retrieval" / "xquad" / "queries.jsonl.gz", given.queries)
    queries = retriever.encode_query(texts)
    variants, targets, recalls = [], [], []
    for work, where in _filters(index).items():
        searches = _searches(index, where, given.efforts)
        truth = searches[EXACT](queries)
        for name, search in searches.items():
            recalls.append(f"{work}, {name}: {_recall(search(queries), truth):.4f}")
            variants.append(Variant(work, name, _timed(search, queries), ours=name == OURS))
        targets.append(Target(work, OURS, EXACT))
    words = given.index / LEXICAL
    if words.is_dir():
        variants += _from_texts(SearchIndex(index, retriever), texts)
    about = {
        "Passages": index.count(),
        "Languages": len(index.languages()),
        "Queries": len(queries),
        **openings,
        "Disk, MiB": _mebibytes(given.index),
        "of which words, MiB": _mebibytes(words),
        f"Recall@{K}": "; ".join(recalls),
    }
    return Plan(variants, targets, about)


def _openings(index: Path) -> dict[str, str]:
    """What opening and the first two searches take in a process of their own, in words."""
    command = [sys.executable, "-c", OPENING, str(index)]
    done = [subprocess.run(command, stdout=subprocess.PIPE, check=True) for _ in range(OPENINGS)]  # noqa: S603
    found = [json.loads(one.stdout) for one in done]
    said = {}
    for name in found[0]:
        wall, cpu = ([one[name][place] for one in found] for place in (0, 1))
        spread = f"{statistics.median(wall):.2f} s [{min(wall):.2f}, {max(wall):.2f}]"
        said[f"{name.capitalize()}, {OPENINGS} processes"] = f"{statistics.median(cpu):.2f} s CPU, {spread}"
    return said


def _from_texts(index: SearchIndex, texts: Sequence[str]) -> list[Variant]:
    """Searches from a text to ten hits with their texts; words may find fewer."""

    def timed(mode: Mode) -> Callable[[], Work]:
        def work() -> int:
            for text in texts:
                index.search([text], k=K, mode=mode)
            return len(texts)

        return lambda: work

    index.prepare_lexical()
    return [Variant("from text to hits", mode, timed(mode), ours=True) for mode in ("dense", "lexical", "hybrid")]


def _mebibytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) >> 20


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


def _questions(file: Path, count: int) -> list[str]:
    """Questions, spread over the languages."""
    texts = [row["text"] for _, row in read_jsonl(file)]
    return texts[:: len(texts) // count][:count]


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
