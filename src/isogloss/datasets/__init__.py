"""Readers of public benchmarks and training data, each to the same records."""

from __future__ import annotations

from isogloss.datasets.parallel import read_parallel
from isogloss.datasets.rows import read_rows

__all__ = ["read_parallel", "read_rows"]
