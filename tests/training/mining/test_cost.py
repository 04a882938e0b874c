"""What a mining is said to cost grows with what there is to do, and what it searches is not held at once.

1. Time is proportional to the rows that are left and to the passages.
2. Memory grows by rows and passages, not by the vectors of all passages.
3. Disk counts a bank where one is made.
"""

from __future__ import annotations

import pytest

from isogloss.training.mining.cost import Estimate, estimate_cost
from isogloss.training.mining.settings import MiningSettings


def cost(rows: int, passages: int, *, done: int = 0, new_bank: bool = False) -> Estimate:
    return estimate_cost(
        MiningSettings(rows_at_once=64, block=512),
        rows=[300] * rows,
        done=done,
        passages=passages,
        passage_bytes=500.0,
        dimension=400,
        encode=lambda: None,
        new_bank=new_bank,
    )


def test_time_follows_rows_and_passages() -> None:
    assert cost(1000, 1000, done=1000).seconds == 0
    assert cost(1_000_000, 1_000_000).seconds > 100_000 * cost(1000, 1000, done=900).seconds > 0


def test_memory_holds_a_block_of_vectors() -> None:
    vectors = 1_000_000 * 400 * 4
    more = cost(1000, 1_000_000).memory - cost(1000, 1000).memory
    assert 0 < more < vectors / 3
    assert cost(1_000_000, 1000).memory - cost(1000, 1000).memory < 4000 * 1_000_000


def test_a_bank_is_part_of_the_disk() -> None:
    assert cost(10, 1000, new_bank=True).disk - cost(10, 1000).disk == pytest.approx(1000 * (500 + 800))
    assert "disk" in str(cost(10, 1000))
