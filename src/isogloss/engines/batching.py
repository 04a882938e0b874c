"""How texts become batches: sorted by tokens so that little is computed on padding, and tokenised one chunk ahead.

Texts are sorted a chunk at a time, and a chunk is tokenised in pieces, of which only ids are kept. So what is held does
not grow with the number of texts, nor with the length of those that the model cuts off.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

TOKENS_PER_BATCH = 2048
TOKENS_PER_GPU_BATCH = 16_384  # not measured: enough to fill a large GPU with a small model, and 1 GB of a large one
BATCHES_WORTH_A_SPLIT = 32  # to begin a batch is taken to cost as much as this part of a full one
TEXTS_PER_CHUNK = 8192
CHARACTERS_PER_CHUNK = 1 << 23
CHUNKS_PER_FIRST = 8  # the first chunk is this much smaller, for nothing is computed while it is tokenised
TEXTS_PER_PIECE = 1024
CHARACTERS_PER_PIECE = 1 << 18  # tokenizers keep some 100 bytes a token, those that are cut off included

Item = TypeVar("Item")
Done = TypeVar("Done")


def bounded(texts: Iterable[str], most_texts: int, most_characters: int) -> Iterator[list[str]]:
    """The texts in order, so many texts at a time, and so many characters, which the last text of a list may exceed."""
    chunk: list[str] = []
    characters = 0
    for text in texts:
        chunk.append(text)
        characters += len(text)
        if len(chunk) == most_texts or characters > most_characters:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def chunks_to_sort(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts in the chunks within which they are sorted; the first is small, so that computing begins soon."""
    stream = iter(texts)
    first = bounded(stream, TEXTS_PER_CHUNK // CHUNKS_PER_FIRST, CHARACTERS_PER_CHUNK // CHUNKS_PER_FIRST)
    yield from islice(first, 1)
    yield from bounded(stream, TEXTS_PER_CHUNK, CHARACTERS_PER_CHUNK)


def pieces_to_tokenize(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts of a chunk in the pieces that a tokenizer gets at once."""
    return bounded(texts, TEXTS_PER_PIECE, CHARACTERS_PER_PIECE)


def token_budget_batches(counts: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Rows in batches of at most `budget` tokens with padding, longest texts first.

    Of all ways to cut the sorted texts it is the one with the least padding and the fewest batches, a batch counted as
    a 32nd of the budget.
    """
    order = np.argsort(-np.asarray(counts, dtype=np.int64), kind="stable")
    lengths = np.asarray(counts, dtype=np.int64)[order]
    rows = order.tolist()
    start = 0
    for stop in _cheapest_stops(lengths, budget):
        yield rows[start:stop]
        start = stop


def _cheapest_stops(lengths: NDArray[np.int64], budget: int) -> list[int]:
    """Where batches end, given the lengths of all texts, descending: by dynamic programming from the last text."""
    number = len(lengths)
    least = np.zeros(number + 1, dtype=np.int64)  # tokens that the texts from each one on cost
    stop = np.zeros(number + 1, dtype=np.int64)
    beginning = budget // BATCHES_WORTH_A_SPLIT
    sizes = np.arange(1, number + 1)
    fitting = np.maximum(1, budget // np.maximum(1, lengths)).tolist()
    for row, (length, most) in enumerate(zip(reversed(lengths.tolist()), reversed(fitting), strict=True), start=1):
        first = number - row
        most = min(most, row)
        costs = length * sizes[:most] + least[first + 1 : first + 1 + most]
        best = int(costs.argmin())
        least[first], stop[first] = costs[best] + beginning, first + 1 + best
    stops, start = [], 0
    while start < number:
        start = int(stop[start])
        stops.append(start)
    return stops


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
