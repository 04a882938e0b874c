"""The data that come with isogloss: a small multilingual set to show every step on, and English rows to tune with."""

from __future__ import annotations

from pathlib import Path

from isogloss.datasets.rows import read_rows
from isogloss.records import Row

DEMO_SET = "isogloss-demo"


def shipped_folder(name: str) -> Path | None:
    """Folder of a set that comes with isogloss, or None where there is none of this name."""
    folder = Path(__file__).parent / name
    return folder if name == DEMO_SET else None


def demo_rows() -> list[Row]:
    """English training rows on subjects that the demo set's passages do not treat, each with one negative passage."""
    return read_rows(Path(__file__).parent / DEMO_SET / "tuning.jsonl")
