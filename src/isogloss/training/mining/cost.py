"""What a mining will cost in time, memory and disk, said before it starts.

Vectors are streamed: of them a block at a time is in memory, however many there are. What grows is kept by row and by
passage: rows with their texts and known answers, and the ids and languages of the passages. The rules read every text
once, and compare each row's passage with the candidates that are drawn for it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isogloss.indexing.exact import QUERIES_AT_ONCE, VectorTable, search
from isogloss.training.mining.known_answers import CACHED_TEXTS, letters, overlaps, pieces, text_key
from isogloss.training.mining.settings import MiningSettings

SAMPLE = 32
FEW_BLOCKS = 4
_ROW_BYTES = 2_500  # a row, its keys and its known answers, beside its texts
_PASSAGE_BYTES = 400  # id, language and place of a passage
_PAIR_BYTES = 28  # score of a query and a passage in float64 and float32, and its key, where everything is compared
_TEXT_COPIES = 14  # bytes held for each byte of a text that was compared lately: it, its letters, hashes of its pieces
_HALF, _SINGLE, _DOUBLE = 2, 4, 8


@dataclass(frozen=True)
class Estimate:
    """What a mining will cost.

    Attributes:
        rows: Rows to mine.
        rows_done: Those of them that an earlier, stopped run has mined.
        passages: Passages that are searched.
        seconds: Time of encoding the queries, of all searches and of the rules, measured on samples; the teacher is not
            counted.
        memory: Bytes that it holds beside the model.
        disk: Bytes that it writes: the rows twice, parts and file, of which the parts go in the end; and a bank where
            it makes one.
    """

    rows: int
    rows_done: int
    passages: int
    seconds: float
    memory: int
    disk: int

    def __str__(self) -> str:
        done = f" ({self.rows_done:,} are mined already)" if self.rows_done else ""
        return (
            f"{self.rows:,} rows{done} over {self.passages:,} passages: about {self.seconds:,.0f} s of search and "
            f"rules, {self.memory / 2**20:,.0f} MB of memory beside the model, {self.disk / 2**20:,.0f} MB of disk."
        )


def estimate_cost(
    settings: MiningSettings,
    *,
    rows: Sequence[int],
    done: int,
    passages: int,
    searched: Sequence[float],
    sample: Sequence[str],
    dimension: int,
    encode: Callable[[], Any],
    new_bank: bool,
) -> Estimate:
    """Measures samples and multiplies.

    Args:
        settings: How many negatives, from how many ranks, how much at once.
        rows: Bytes of the texts of each row.
        done: Rows that are mined already.
        passages: All passages.
        searched: Passages that a row is compared with on average, for each set of languages that it searches.
        sample: Texts of some of the passages.
        dimension: Length of a vector.
        encode: Encodes `SAMPLE` queries, or all where there are fewer.
        new_bank: Whether a bank is made of the passages first; its encoding is not in the time.
    """
    began = time.perf_counter()
    encode()
    encoding = (time.perf_counter() - began) / max(min(SAMPLE, len(rows)), 1)
    at_once = max(min(settings.rows_at_once, len(rows)), 1)
    block = max(min(settings.block, passages), 1)
    searching = sum(_search_seconds(at_once, block, some, dimension, settings.ranks[1]) for some in searched) / at_once
    reading, comparing = _rule_seconds(settings, sample)
    window = settings.ranks[1] - settings.ranks[0] + 1
    compared = min(settings.negatives, window * len(settings.languages)) if settings.near_duplicate <= 1 else 0
    of_row = encoding + searching + comparing * compared
    seconds = (len(rows) - done) * of_row + (len(rows) + passages) * reading * (done < len(rows))
    passage_bytes = sum(len(text.encode()) for text in sample) / max(len(sample), 1)
    negatives = len(rows) * settings.negatives * passage_bytes
    bank = passages * (passage_bytes + dimension * _HALF) if new_bank else 0
    return Estimate(
        rows=len(rows),
        rows_done=done,
        passages=passages,
        seconds=seconds,
        memory=int(
            sum(rows)
            + len(rows) * _ROW_BYTES
            + passages * _PASSAGE_BYTES
            + min(passages, CACHED_TEXTS) * passage_bytes * _TEXT_COPIES
            + block * dimension * (_SINGLE + _DOUBLE)
            + min(at_once, QUERIES_AT_ONCE) * block * _PAIR_BYTES
            + at_once * settings.ranks[1] * 2 * _DOUBLE
        ),
        disk=int(2 * (sum(rows) + negatives) + bank),
    )


def _search_seconds(queries: int, block: int, passages: float, dimension: int, k: int) -> float:
    """Time of a search over so many passages, from searches among made-up vectors of one block and of a few.

    The first block costs most: later ones are held to what the best so far have reached.
    """
    generator = np.random.default_rng(0)
    block = max(min(block, math.ceil(passages)), 1)
    blocks = passages / block
    few = max(min(FEW_BLOCKS, math.ceil(blocks)), 1)
    vectors = generator.standard_normal((queries + few * block, dimension)).astype(np.float32)
    names = [str(number) for number in range(max(queries, few * block))]

    def seconds(searched: int) -> float:
        table = VectorTable(names[: searched * block], vectors[queries : queries + searched * block])
        began = time.perf_counter()
        search(vectors[:queries], names[:queries], table, k=k, block=block)
        return time.perf_counter() - began

    seconds(1)  # what searches load, they load once
    first = seconds(1)
    if few == 1:
        return first * blocks
    return first + max(seconds(few) - first, 0.0) / (few - 1) * (blocks - 1)


def _rule_seconds(settings: MiningSettings, sample: Sequence[str]) -> tuple[float, float]:
    """Time of reading one passage for its key, and of comparing one with a row's, each seen for the first time."""
    for cached in (letters, text_key, pieces):
        cached.cache_clear()
    began = time.perf_counter()
    for text in sample:
        text_key(text)
    reading = time.perf_counter() - began
    letters.cache_clear()
    began = time.perf_counter()
    for text in sample:
        overlaps(sample[0], text, settings.near_duplicate)
    return reading / max(len(sample), 1), (time.perf_counter() - began) / max(len(sample), 1)
