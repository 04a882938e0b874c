"""What encoding and exact search cost at 10 thousand, 100 thousand and a million passages, and the line through them.

    python -m benchmarks.scale --data FOLDER --work FOLDER [--sizes 10000 100000] [--million]

`--data` holds files of training rows. Their passages are repeated with a few words of another one at the end, so that
no two texts are equal. Each size is done in a process of its own: a bank is encoded by the bundled model, then searched
exactly. It stays in the work folder beside `queries.npy`, where `python -m benchmarks.exact_search --vectors FOLDER`
finds both.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import RESULTS, Benchmark, Plan, Variant, as_text, peak_kilobytes, result
from isogloss import Retriever
from isogloss.datasets.rows import read_rows
from isogloss.engines.bank import Bank
from isogloss.files import write_json
from isogloss.indexing.exact import search
from isogloss.records import Text

MILLION = 1_000_000
QUERIES = 100
RESULTS_PER_QUERY = 10
ENCODE, SEARCH = "encode into a bank", f"search {QUERIES} queries exactly, best {RESULTS_PER_QUERY}"


def passages(folder: Path, count: int) -> Iterator[Text]:
    """So many passages of the rows in a folder, again and again with other last words."""
    rows = [row for path in sorted(folder.glob("*.jsonl*")) for row in read_rows(path)]
    texts = list(dict.fromkeys(row.passage for row in rows))
    languages = {row.passage: row.passage_language for row in rows}
    for number, text in enumerate(itertools.islice(itertools.cycle(texts), count)):
        turn, place = divmod(number, len(texts))
        other = texts[(place * 31 + turn * 977 + 1) % len(texts)]
        varied = text if turn == 0 else f"{text} {' '.join(other.split()[: 4 + turn % 5])} {turn}"
        yield Text(f"{number:07d}", varied, languages[text])


def one_size(data: Path, work: Path, count: int) -> dict[str, Any]:
    """Encodes and searches so many passages; runs in a process of its own."""
    folder = work / f"{count}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    retriever = Retriever.load("bundled", on_overflow="ignore")
    encode = _measured(lambda: retriever.encode_bank(passages(data, count), folder / "bank", progress=False))
    encode_peak = _peak_mib()
    questions = [row.query for path in sorted(data.glob("*.jsonl*")) for row in read_rows(path)]
    chosen = np.random.default_rng(13).choice(len(questions), size=1000, replace=False)
    vectors = retriever.encode_query([questions[place] for place in chosen.tolist()])
    np.save(folder / "queries.npy", vectors)
    bank = Bank.open(folder / "bank")
    names = [str(number) for number in range(QUERIES)]
    ids = bank.ids  # read once, as an open index has them
    searching = _measured(lambda: search(vectors[:QUERIES], names, bank, k=RESULTS_PER_QUERY))
    size = sum(path.stat().st_size for path in (folder / "bank").rglob("*") if path.is_file())
    stored = sum(path.stat().st_size for path in (folder / "bank").rglob("*.npy"))
    return {
        "encode": encode,
        "search": searching,
        "encode_peak_mib": encode_peak,
        "peak_mib": _peak_mib(),
        "bytes": size / len(ids),
        "vector_bytes": stored / len(ids),
    }


def _measured(work: Callable[[], Any]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def _peak_mib() -> float:
    return peak_kilobytes() / 1024


def line(sizes: Sequence[int], values: Sequence[float]) -> str:
    """The straight line through some points, by least relative squares, in words."""
    if len(sizes) < 2:
        return "no line through one point"
    columns = np.stack([np.ones(len(sizes)), np.asarray(sizes, dtype=np.float64)], axis=1) / np.asarray(values)[:, None]
    (start, slope), *_ = np.linalg.lstsq(columns, np.ones(len(sizes)), rcond=None)
    off = max(abs((start + slope * size) / value - 1) for size, value in zip(sizes, values, strict=True))
    return f"{start:.3g} + {slope * MILLION:.4g} per million passages, off by at most {100 * off:.0f} %"


def summary(found: Mapping[int, Mapping[str, Any]], given: argparse.Namespace) -> dict[str, Any]:
    """The figures of all sizes in the form that `python -m benchmarks page` reads."""
    sizes = sorted(found)
    variants, rounds, memory = [], {}, {}
    for size in sizes:
        work = f"{size:,} passages"
        for name, key, units, peak in (
            (ENCODE, "encode", size, "encode_peak_mib"),
            (SEARCH, "search", QUERIES, "peak_mib"),
        ):
            variants.append(Variant(f"{name}", work, lambda: lambda: 0, ours=True))
            figures = found[size][key]
            rounds[f"{name}: {work}"] = [{"units": units, **{kind: figures[kind] / units for kind in ("cpu", "wall")}}]
            memory[f"{name}: {work}"] = found[size][peak]
    about = {
        "CPU seconds to encode": line(sizes, [found[size]["encode"]["cpu"] for size in sizes]),
        f"CPU seconds to search {QUERIES} queries": line(sizes, [found[size]["search"]["cpu"] for size in sizes]),
        "peak memory in MiB": line(sizes, [found[size]["peak_mib"] for size in sizes]),
        "bytes of a passage on disk": ", ".join(
            f"{size:,}: {found[size]['bytes']:.0f} ({found[size]['vector_bytes']:.0f} of them its vector)"
            for size in sizes
        ),
    }
    return result(BENCHMARK, Plan(variants, about=about), rounds, memory) | {
        "command": " ".join(["python -m benchmarks.scale", *sys.argv[1:]]),
        "threads": 1,
    }


def main() -> int:
    """Measures each size in a process of its own, fits the lines, writes the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=BENCHMARK.title)
    parser.add_argument("--data", type=Path, required=True, help="folder of files of training rows")
    parser.add_argument("--work", type=Path, required=True, help="folder for the banks")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--million", action="store_true", help="a million passages too, which takes many minutes")
    parser.add_argument("--out", type=Path, default=RESULTS / "scale.json")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one_size(given.data, given.work, given.one)))
        return 0
    sizes = sorted({*given.sizes, *([MILLION] if given.million else [])})
    found = {}
    for size in sizes:
        print(f"{size:,} passages …", flush=True)
        found[size] = _alone(given, size)
    figures = summary(found, given)
    print("\n".join([*as_text(figures), *(f"  {name}: {value}" for name, value in figures["about"].items())]))
    write_json(given.out, figures)
    return 0


def _alone(given: argparse.Namespace, size: int) -> dict[str, Any]:
    limits = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "RAYON")}
    command = [sys.executable, "-m", "benchmarks.scale", "--data", str(given.data), "--work", str(given.work)]
    environment = {**os.environ, **limits, "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(  # noqa: S603  # this program itself
        [*command, "--one", str(size)], stdout=subprocess.PIPE, text=True, check=True, env=environment
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


BENCHMARK = Benchmark(
    name="scale",
    title="Encoding and exact search by the number of passages",
    unit="passages or queries",
    plan=lambda given: Plan([]),
    packages=("isogloss", "numpy", "tokenizers"),
    notes=(
        "Passages beyond the first ten thousand repeat others with a few words changed, and a static model remembers "
        "what it has cut: new texts cost more (see encoding with a static model, nothing remembered).",
    ),
)

if __name__ == "__main__":
    sys.exit(main())
