"""How texts become batches: sorted by tokens so that little is computed on padding, and tokenised one chunk ahead."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np

TOKENS_PER_BATCH = 2048  # in chunks of 4,096 texts of mixed languages, this keeps padding within 2 percent
TOKENS_PER_GPU_BATCH = 16_384  # not measured: enough to fill a large GPU with a small model, and 1 GB of a large one

Item = TypeVar("Item")
Done = TypeVar("Done")


def token_budget_batches(counts: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Rows in batches of at most `budget` tokens with padding, longest texts first."""
    order = np.argsort(-np.asarray(counts, dtype=np.int64), kind="stable").tolist()
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, counts[order[start]]))
        yield order[start : start + size]
        start += size


def usable_cores() -> int:
    """Cores that this process may use: those of its affinity, at most OMP_NUM_THREADS where that is set."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(limit))) if limit.isdigit() else cores


def one_ahead(work: Callable[[Item], Done], items: Iterable[Item]) -> Iterator[Done]:
    """Yields `work(item)` in order; with a second core the next item is worked on while the caller uses this one.

    Args:
        work: What releases Python's lock most of its time, such as tokenising.
        items: Taken two at a time at most, so that memory stays bounded.
    """
    stream = iter(items)
    first = list(islice(stream, 2))
    if len(first) < 2 or usable_cores() < 2:
        yield from map(work, first)
        yield from map(work, stream)
        return
    with ThreadPoolExecutor(1) as thread:
        pending = thread.submit(work, first[1])
        yield work(first[0])
        for item in stream:
            done, pending = pending, thread.submit(work, item)
            yield done.result()
        yield pending.result()
