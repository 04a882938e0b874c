"""Mining negatives for training rows over a bank: time and peak memory, beside what was estimated before.

    python -m benchmarks.mining --data FOLDER --bank BANK [--rows 256 1024] [--languages same] --rounds 0

`FOLDER` holds files of training rows, `BANK` is one of the bundled model (`python -m benchmarks.scale` leaves some).
Rows are mined part by part, so their number multiplies the time and hardly changes the memory. A million rows over a
million passages, all of them real texts:

    python -m benchmarks.real_corpus --data DATA --out corpus --rows FOLDER/rows.jsonl
    isogloss encode corpus --out BANK
    python -m benchmarks.mining --data FOLDER --bank BANK --rows 1000000 --languages same any --rounds 0
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.harness import Benchmark, Plan, Variant, Work, main
from isogloss.datasets import row_record
from isogloss.datasets.rows import read_rows
from isogloss.files import write_jsonl
from isogloss.records import Row
from isogloss.training.mining import MiningSettings, MiningTask, mine


def task(rows: list[Row], bank: Path, languages: str, folder: Path) -> MiningTask:
    """Mines some rows in some languages, by the default settings else."""
    write_jsonl(folder / "rows.jsonl", map(row_record, rows), overwrite=True)
    settings = MiningSettings(languages={languages: 1.0})
    return MiningTask(rows=(str(folder / "rows.jsonl"),), out=folder / "mined.jsonl", bank=bank, settings=settings)


def run(rows: list[Row], bank: Path, languages: str) -> Work:
    """A whole mining: reading, estimating, searching, the rules, writing."""

    def work() -> int:
        with tempfile.TemporaryDirectory() as folder:
            mine(task(rows, bank, languages, Path(folder)), announce=print, progress=False)
        return len(rows)

    return work


def plan(given: argparse.Namespace) -> Plan:
    """Each number of rows, and what each was said to cost."""
    found = [row for path in sorted(given.data.glob("*.jsonl*")) for row in read_rows(path)]
    variants, about = [], {}
    for count, languages in itertools.product(given.rows, given.languages):
        rows = found[:: max(1, len(found) // count)][:count]
        name = f"{len(rows):,} rows, {languages} language"
        variants.append(Variant("mining", name, partial(run, rows, given.bank, languages), ours=True, memory=True))
        if not given.alone:
            with tempfile.TemporaryDirectory() as folder:
                asked = task(rows, given.bank, languages, Path(folder))
                about[f"{name}, estimate"] = str(mine(asked, dry_run=True).estimate)
    return Plan(variants, about=about)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Rows and bank."""
    parser.add_argument("--data", type=Path, required=True, help="folder of files of training rows")
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--rows", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--languages", nargs="+", default=["same"], help="what `isogloss mine --from` takes")


BENCHMARK = Benchmark(
    name="mining",
    title="Mining negatives over a bank",
    unit="rows",
    plan=plan,
    arguments=arguments,
    notes=(
        "Each passage is read once, for the key that copies share; then a row costs a search and the comparison of its "
        "passage with the candidates that are drawn. The model is in the peak, and the estimate leaves it out.",
    ),
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
