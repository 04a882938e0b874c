"""Whole training runs of a few steps of the bundled model with small and very large batches: time, and peak memory.

    python -m benchmarks.train_large_batch --data FOLDER [--batches 1024 8192] [--steps 4] --rounds 0

`FOLDER` holds files of training rows. A run is what `isogloss train RECIPE` does: rows read and checked, the plan made,
the steps, and the model written. The recipes are shipped ones: `english-query-tuning` trains the query tower alone,
`infonce` one encoder for both roles.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Benchmark, Plan, Target, Variant, Work, main
from isogloss.training.run import train

RECIPES = ("english-query-tuning", "infonce")
MOST_MIB = 4096


def run(recipe: str, data: Path, batch: int, steps: int) -> Work:
    """A whole run into a folder that goes in the end."""
    settings = {
        "sources.rows.path": f"{data}/*.jsonl*",
        "sources.rows.batch": batch,
        "train.max_steps": steps,
        "train.logging_steps": 1,
    }

    def work() -> int:
        with tempfile.TemporaryDirectory() as folder:
            overrides = [f"{name}={value}" for name, value in settings.items()]
            train(recipe, Path(folder, "run"), overrides=overrides, announce=print, progress=False)
        return steps

    return work


def plan(given: argparse.Namespace) -> Plan:
    """Each recipe with each batch; the memory of the larger batches is compared with that of the smallest."""
    variants, targets = [], []
    smallest = min(given.batches)
    for recipe, batch in itertools.product(RECIPES, given.batches):
        make = lambda r=recipe, b=batch: run(r, given.data, b, given.steps)  # noqa: E731
        variants.append(Variant(recipe, f"{batch:,} rows a step", make, ours=True, memory=True))
        if batch != smallest:
            targets.append(Target(recipe, f"{batch:,} rows a step", f"{smallest:,} rows a step", None, "memory"))
    about = {"model": "bundled", "steps of a run": given.steps, "memory wanted": f"less than {MOST_MIB:,} MiB"}
    return Plan(variants, targets, about)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Data, batches and steps."""
    parser.add_argument("--data", type=Path, required=True, help="folder of files of training rows")
    parser.add_argument("--batches", type=int, nargs="+", default=[1024, 8192])
    parser.add_argument("--steps", type=int, default=4)


BENCHMARK = Benchmark(
    name="train_large_batch",
    title="Whole training runs of the bundled model with large batches",
    unit="steps",
    plan=plan,
    arguments=arguments,
    packages=("isogloss", "torch", "transformers"),
    notes=(
        "Reading the rows, making the plan and writing the model are part of the time and of the peak, so the time of "
        "a step is that of a short run, and a longer one is faster by the step.",
    ),
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
