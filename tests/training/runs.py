"""Recipes over tiny models and made-up files, and processes to run them in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import TINY_TEXTS

ROOT = Path(__file__).parents[2]


def write_rows(folder: Path) -> tuple[Path, Path]:
    """A file of rows with negatives, and one of translation pairs."""
    rows = [
        {
            "query": f"where is {text.split()[0]} {place}?",
            "positive": f"{text} {place}",
            "negative_passages": [TINY_TEXTS[place - 1], TINY_TEXTS[place - 2]][: 1 + place % 2],
            "lang": "en",
        }
        for text in TINY_TEXTS
        for place in range(3)
    ]
    pairs = [
        {
            "_id": str(place),
            "en": " ".join(TINY_TEXTS[0].split()[: 1 + place % 9]),
            "de": TINY_TEXTS[place % 12][place:],
        }
        for place in range(20)
    ]
    paths = folder / "rows.jsonl", folder / "parallel.jsonl"
    for path, lines in zip(paths, (rows, pairs), strict=True):
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return paths


def recipe_content(folder: Path, base: Path, *, towers: str = "shared", objective=None, **train) -> dict:
    """A recipe of two sources over files that it writes into `folder`."""
    rows, parallel = write_rows(folder)
    return {
        "model": {"base": str(base), "towers": towers},
        "sources": {
            "rows": {"path": str(rows), "batch": 6},
            "parallel": {"path": str(parallel), "batch": 5},
        },
        "objective": objective
        or [
            {"term": "infonce", "on": "rows", "temperature": 0.1},
            {"term": "semantic_contrastive", "on": "parallel", "weight": 0.5},
        ],
        "train": {"learning_rate": 0.01, "max_steps": 3, "save_strategy": "no", "logging_steps": 1, **train},
    }


def run_worker(*arguments: str, processes: int = 1, may_fail: bool = False) -> int:
    """Runs `tests.training.worker`, several processes of it by torchrun; gives the exit code.

    Raises:
        AssertionError: If it fails, neither killed nor allowed to.
    """
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(torchrun if processes > 1 else []), "-m", "tests.training.worker", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert may_fail or done.returncode <= 0, done.stderr
    return done.returncode
