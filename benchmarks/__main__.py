"""`python -m benchmarks page`: the page of all results. `python -m benchmarks all`: every benchmark, then the page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import everything
from benchmarks.harness import RESULTS
from benchmarks.page import write_page

DOCS = Path(__file__).parents[1] / "docs"


def main(arguments: list[str] | None = None) -> int:
    """Writes docs/speed.md and its charts, after running the benchmarks where they are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    page = verbs.add_parser("page", help="write speed.md and its charts from the results")
    every = verbs.add_parser("all", help="run every benchmark of speed, then write the page")
    for verb in (page, every):
        verb.add_argument("--docs", type=Path, default=DOCS, help="folder of the pages")
        verb.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    every.add_argument("--data", type=Path, required=True, help="folder with train, retrieval, bitext-eval, parallel")
    every.add_argument("--work", type=Path, required=True, help="folder for corpora, banks, indexes and models")
    every.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these benchmarks and what they need")
    every.add_argument("--mark", default="", help="goes into the names of the results, for example the processor")
    every.add_argument("--dry-run", action="store_true", help="print the commands, run nothing")
    given = parser.parse_args(arguments)
    if given.verb == "page":
        write_page(given.docs, given.results)
        return 0
    try:
        some = everything.chosen(everything.steps(given.data, given.work), given.only)
    except ValueError as unknown:
        parser.error(str(unknown))
    run = None if given.dry_run else everything.run_command
    return everything.run_all(some, given.results, given.docs, mark=given.mark, run=run)


if __name__ == "__main__":
    sys.exit(main())
