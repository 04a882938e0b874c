"""What a step frees stays with the process while it trains, and goes back to the system afterwards.

1. Large arrays that are made again and again are not cleared anew by the system within the context; outside they are.
2. After it the memory that was kept is given back, also where something was raised.
3. A training on a CPU runs within it. Where the C library is another, nothing happens.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import numpy as np
import pytest

from isogloss.recipe import parse_recipe
from isogloss.training import freed_memory, train
from isogloss.training.freed_memory import freed_memory_kept
from isogloss.training.trainer import RecipeTrainer
from tests.training.runs import recipe_content

MEGABYTES = 64
PAGES = MEGABYTES * 2**20 // resource.getpagesize()
ON_GLIBC = pytest.mark.skipif(freed_memory._glibc() is None, reason="the C library is not glibc")


def cleared_pages(rounds: int) -> int:
    """Pages that the system cleared while an array was made and freed so often."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        # Smaller than a huge page's worth at once, so that no kernel's setting of these makes one page of many.
        parts = [np.ones(2**20, dtype=np.uint8) for _ in range(MEGABYTES)]
        del parts
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident_megabytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 2**20


@ON_GLIBC
def test_pages_are_cleared_once_within_and_each_time_outside():
    outside = cleared_pages(rounds=4)
    with freed_memory_kept():
        cleared_pages(rounds=1)
        within = cleared_pages(rounds=4)
    assert within < PAGES / 4
    assert outside > 2 * PAGES
    assert cleared_pages(rounds=4) > 2 * PAGES


@ON_GLIBC
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no /proc")
def test_what_was_kept_goes_back_even_after_an_error():
    before = resident_megabytes()
    with pytest.raises(ValueError, match="broken"), freed_memory_kept():
        cleared_pages(rounds=1)
        assert resident_megabytes() > before + MEGABYTES / 2
        raise ValueError("broken")
    assert resident_megabytes() < before + MEGABYTES / 2


def test_a_training_runs_within_it(tmp_path, tiny_static, monkeypatch):
    kept = []
    monkeypatch.setattr(freed_memory, "_set", lambda mallopt, values: kept.append(values))
    seen = []
    original = RecipeTrainer.training_step

    def training_step(self, *args, **kwargs):
        seen.append(len(kept))
        return original(self, *args, **kwargs)

    monkeypatch.setattr(RecipeTrainer, "training_step", training_step)
    train(parse_recipe(recipe_content(tmp_path, tiny_static)), tmp_path / "out")
    if freed_memory._glibc() is not None:
        assert seen == [1, 1, 1] and kept == [freed_memory._KEPT, freed_memory._USUAL]


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(freed_memory, "_glibc", lambda: None)
    with freed_memory_kept():
        assert cleared_pages(rounds=1) >= 0
