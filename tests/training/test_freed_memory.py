"""What a step frees stays with the process while it trains, and goes back to the system afterwards.

1. Large arrays that are made again and again are not cleared anew by the system within the context; outside they are.
2. After it the memory that was kept is given back, also where something was raised.
3. The training of a static model on a CPU runs within it, no other's. Where the C library is another, nothing happens.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import pytest

from isogloss.recipe import parse_recipe
from isogloss.training import freed_memory, train
from isogloss.training.freed_memory import freed_memory_kept
from isogloss.training.trainer import RecipeTrainer
from tests.training.runs import recipe_content

MEGABYTES = 64
PAGES = MEGABYTES * 2**20 // resource.getpagesize()
ON_GLIBC = pytest.mark.skipif(freed_memory._glibc() is None, reason="the C library is not glibc")

# A process of its own, since the allocator of one that has lived long has adapted to it.
PROGRAM = f"""
import json, resource
from pathlib import Path
import numpy as np
from isogloss.training.freed_memory import freed_memory_kept

def cleared_pages(rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        # Parts smaller than a huge page, so that no kernel makes one page of many.
        parts = [np.ones(2**20, dtype=np.uint8) for _ in range({MEGABYTES})]
        del parts
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident_megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 2**20

found = {{"outside": cleared_pages(4), "held before": resident_megabytes()}}
try:
    with freed_memory_kept():
        cleared_pages(1)
        found |= {{"within": cleared_pages(4), "held within": resident_megabytes()}}
        raise ValueError("broken")
except ValueError:
    found |= {{"held after": resident_megabytes(), "afterwards": cleared_pages(4)}}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, int]:
    """Pages that the system cleared while arrays were made and freed four times, and megabytes held."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


@ON_GLIBC
def test_pages_are_cleared_once_within_and_each_time_outside(found):
    assert found["within"] < PAGES / 4
    assert found["outside"] > 2 * PAGES
    assert found["afterwards"] > 2 * PAGES


@ON_GLIBC
def test_what_was_kept_goes_back_even_after_an_error(found):
    assert found["held within"] > found["held before"] + MEGABYTES / 2
    assert found["held after"] < found["held before"] + MEGABYTES / 2


@ON_GLIBC
@pytest.mark.parametrize("static", [True, False])
def test_the_training_of_a_static_model_runs_within_it(tmp_path, tiny_static, tiny_transformer, monkeypatch, static):
    kept = []
    monkeypatch.setattr(freed_memory, "_set", lambda mallopt, values: kept.append(values))
    seen = []
    original = RecipeTrainer.training_step

    def training_step(self, *args, **kwargs):
        seen.append(len(kept))
        return original(self, *args, **kwargs)

    monkeypatch.setattr(RecipeTrainer, "training_step", training_step)
    train(parse_recipe(recipe_content(tmp_path, tiny_static if static else tiny_transformer)), tmp_path / "out")
    assert seen == [int(static)] * 3
    assert kept == ([freed_memory._KEPT, freed_memory._USUAL] if static else [])


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(freed_memory, "_glibc", lambda: None)
    changed = []
    monkeypatch.setattr(freed_memory, "_set", lambda mallopt, values: changed.append(values))
    with freed_memory_kept():
        pass
    assert not changed
