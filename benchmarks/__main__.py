"""`python -m benchmarks page`: the page of all results."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.page import write_page

DOCS = Path(__file__).parents[1] / "docs"


def main() -> int:
    """Writes docs/speed.md and its charts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("verb", choices=["page"], help="write speed.md and its charts from the results")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the pages")
    given = parser.parse_args()
    write_page(given.docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
