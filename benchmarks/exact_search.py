"""Exact search in batches beside FAISS Flat: time, and that the results are the same.

    python -m benchmarks.exact_search [--passages 100000] [--queries 1000] [--dimension 384] [--vectors FOLDER]

Vectors are made up (unit length, no structure), or of a bank and a file `queries.npy` in FOLDER (`benchmarks.scale`
leaves both). FAISS compares in float32 and leaves ties as they fall; ours are exact sums, rounded once, in the order of
trec_eval.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Benchmark, Plan, Target, Variant, Work, main
from isogloss.engines.bank import Bank
from isogloss.indexing.exact import VectorTable, search

RESULTS_PER_QUERY = (10, 100)
ROWS_AT_ONCE = 8192
OURS, PEER = "isogloss", "FAISS Flat"


@dataclass(frozen=True)
class World:
    """Queries of shape (queries, dimension), and passages that are exact in float32."""

    queries: NDArray[np.float32]
    passages: VectorTable

    def search(self, k: int, order: NDArray[np.int64] | None = None) -> dict[str, dict[str, float]]:
        """Our run; with an order of the passages."""
        table = self.passages
        if order is not None:
            table = VectorTable([table.ids[row] for row in order], table.matrix[order])
        return search(self.queries, [str(row) for row in range(len(self.queries))], table, k=k)


def made_up(passages: int, queries: int, dimension: int) -> World:
    """Unit vectors without structure."""
    generator = np.random.default_rng(13)
    vectors = np.empty((queries + passages, dimension), dtype=np.float32)
    for start in range(0, len(vectors), ROWS_AT_ONCE):  # so that making them is not the peak of memory
        block = vectors[start : start + ROWS_AT_ONCE]
        block[:] = generator.standard_normal(block.shape)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return World(vectors[passages:], VectorTable([f"{row:07d}" for row in range(passages)], vectors[:passages]))


def stored(folder: Path, passages: int, queries: int) -> World:
    """The first vectors of a bank and of a file of queries."""
    bank = Bank.open(folder / "bank")
    matrix = np.empty((min(passages, len(bank)), bank.dimension), dtype=np.float32)
    start = 0
    for _, _, block in bank.vectors():
        part = block[: len(matrix) - start]
        matrix[start : start + len(part)] = part
        start += len(part)
    found = np.load(folder / "queries.npy", allow_pickle=False)[:queries].astype(np.float32)
    return World(found, VectorTable([f"{row:07d}" for row in range(len(matrix))], matrix))


def faiss_flat(world: World) -> Any:
    """The index of the peer, on one thread."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(world.queries.shape[1])
    index.add(np.ascontiguousarray(world.passages.matrix))
    return index


def ours(world: World, k: int) -> Work:
    """Searches all queries."""

    def work() -> int:
        return len(world.search(k))

    return work


def peer(world: World, k: int) -> Work:
    """The same by the peer."""
    index = faiss_flat(world)

    def work() -> int:
        index.search(world.queries, k)
        return len(world.queries)

    return work


def checks(world: World, k: int) -> dict[str, str]:
    """Recall of the peer's best passages among ours, and whether the order of the passages changes a bit of ours."""
    run = world.search(k)
    scores, rows = faiss_flat(world).search(world.queries, k + 1)
    found = [
        sum(world.passages.ids[row] in run[str(number)] for row in of_query[:k]) for number, of_query in enumerate(rows)
    ]
    # Where the k-th and the next one differ by less than float32 sums do, either may be the peer's k-th.
    apart = scores[:, k - 1] - scores[:, k] > 1e-5
    recall = np.asarray(found)[apart].mean() / k
    shuffled = world.search(k, np.random.default_rng(1).permutation(len(world.passages.ids)))
    same = all(list(run[name].items()) == list(shuffled[name].items()) for name in run)
    return {
        f"k = {k}, recall against FAISS": f"{recall:.4f} over {apart.sum()} queries whose cut-off is no tie",
        f"k = {k}, the same bits with the passages shuffled": str(same),
    }


def plan(given: argparse.Namespace) -> Plan:
    """Ours and the peer for each number of results."""
    world = (
        stored(given.vectors, given.passages, given.queries)
        if given.vectors is not None
        else made_up(given.passages, given.queries, given.dimension)
    )
    count, dimension = world.passages.matrix.shape
    variants, targets = [], []
    about = {"vectors": f"{count:,} passages x {dimension}, {len(world.queries):,} queries at once, float32"}
    for k in RESULTS_PER_QUERY:
        work = f"best {k}"
        makers: dict[str, Callable[[], Work]] = {OURS: partial(ours, world, k), PEER: partial(peer, world, k)}
        variants += [Variant(work, name, make, ours=name == OURS, memory=True) for name, make in makers.items()]
        targets.append(Target(work, OURS, PEER, 1.5))
        if not given.alone:
            about |= checks(world, k)
    return Plan(variants, targets, about, subject="made-up vectors" if given.vectors is None else "stored vectors")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Sizes, or a folder of stored vectors."""
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--vectors", type=Path, help="folder with `bank` and `queries.npy`")


BENCHMARK = Benchmark(
    name="exact_search",
    title="Exact search, many queries at once",
    unit="queries",
    plan=plan,
    arguments=arguments,
    packages=("isogloss", "numpy", "faiss-cpu"),
    notes=(
        "FAISS runs at the speed of a float32 product. Where the processor multiplies 8-bit integers fast (VNNI, AMX) "
        "and onnxruntime is installed, ours sorts passages out by such a product and a proved bound on what rounding "
        "changes (`isogloss.indexing.integer_screening`), then by float32 products of what is left, and compares the "
        "rest exactly: the bits are the same. With 1,000 queries the integer product took 0.21 s of CPU, a float32 one "
        "0.72 s.",
        "The vectors that are searched (100,000 x 384 in float32: 147 MiB) are in both peaks; FAISS copies them into "
        "its index.",
        "For 100 results the bound leaves more pairs. On Zen 4 our 1.0 s for 1,000 queries is then made of the "
        "integer product (23 %), rounding and sorting its scores into pairs (40 %), float32 products and exact sums "
        "of what is left (16 %), the first passages, which set the bounds (8 %), and ids and run (8 %). FAISS, which "
        "needs no second look at any pair, takes as long for 100 results as for 10: 1.5 times faster would be 0.6 s, "
        "which leaves 0.37 s for all that is no product.",
        "On AVX2 alone the integer product takes 0.61 s where FAISS takes 1.05 s in all, rounding 0.18 s, ids and run "
        "0.2 s, so it was no faster there (1.61 s against 1.71 s for 10 results, 2.66 against 2.24 for 100) and the "
        "screen is a float32 product. Bounds by Cauchy-Schwarz over leading principal directions leave 8 to 95 % of "
        "all pairs on the bundled model's vectors, so they prune nothing.",
    ),
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
