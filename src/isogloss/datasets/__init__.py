"""Readers of public benchmarks and training data, each to the same records."""

from __future__ import annotations

from isogloss.datasets.beir import read_corpus
from isogloss.datasets.loading import load
from isogloss.datasets.parallel import read_multiway, read_parallel
from isogloss.datasets.registry import KNOWN_SETS, LAYOUTS, KnownSet, Layout
from isogloss.datasets.rows import read_rows, row_record
from isogloss.datasets.shards import open_corpus
from isogloss.datasets.shipped import DEMO_SET, demo_rows

__all__ = [
    "DEMO_SET",
    "KNOWN_SETS",
    "LAYOUTS",
    "KnownSet",
    "Layout",
    "demo_rows",
    "load",
    "open_corpus",
    "read_corpus",
    "read_multiway",
    "read_parallel",
    "read_rows",
    "row_record",
]
