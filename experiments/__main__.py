"""`python -m experiments run NAME…|all --data FOLDER`, and `python -m experiments page`."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

import experiments
from experiments.design import Experiment
from experiments.page import write_page

INNER = ("design", "harness", "page", "statistics", "rows")
PAGE = Path(__file__).parents[1] / "docs" / "claims.md"


def found() -> dict[str, Experiment]:
    """All experiments, by name: every module of this package that has an `EXPERIMENT`."""
    modules = [
        importlib.import_module(f"experiments.{module.name}")
        for module in pkgutil.iter_modules(experiments.__path__)
        if module.name not in INNER and not module.name.startswith("_")
    ]
    listed = [module.EXPERIMENT for module in modules if hasattr(module, "EXPERIMENT")]
    return {experiment.name: experiment for experiment in listed}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what was asked for; gives the exit code."""
    known = found()
    parser = argparse.ArgumentParser(prog="python -m experiments", description=experiments.__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="train, measure, write results/NAME.json; goes on where it was stopped")
    run.add_argument("names", nargs="+", metavar="NAME", help=f"all, or: {', '.join(known)}")
    run.add_argument("--data", type=Path, required=True, help="folder with train, parallel and retrieval")
    run.add_argument("--work", type=Path, default=Path("runs/experiments"), help="folder for models and scores")
    verbs.add_parser("page", help=f"write {PAGE.name} from the results")
    given = parser.parse_args(arguments)
    if given.verb == "run":
        from experiments.harness import run_experiment

        names = list(known) if given.names == ["all"] else given.names
        unknown = [name for name in names if name not in known]
        if unknown or not (given.data / "retrieval").is_dir():
            parser.error(f"unknown: {', '.join(unknown)}" if unknown else f"{given.data} has no folder 'retrieval'")
        for name in names:
            print(f"{name}: {run_experiment(known[name], given.data, given.work)}", file=sys.stderr)
    write_page(PAGE, known)
    return 0


if __name__ == "__main__":
    sys.exit(main())
