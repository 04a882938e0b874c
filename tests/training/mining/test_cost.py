"""What a mining is said to cost grows with what there is to do, and what it searches is not held at once.

1. Time is proportional to the rows that are left and to the passages.
2. Memory grows by rows and passages, not by the vectors of all passages.
3. The rules are counted: they grow with the length of the texts and with the negatives, and not comparing costs less.
4. A search costs its first block once, and later blocks by what they take.
5. Disk counts a bank where one is made.
"""

from __future__ import annotations

import pytest

from isogloss.training.mining import cost as cost_module
from isogloss.training.mining.cost import Estimate, estimate_cost
from isogloss.training.mining.settings import MiningSettings

PASSAGES = [f"{number:04d}" * 125 for number in range(32)]


def cost(
    rows: int, passages: int, *, done: int = 0, new_bank: bool = False, sample=PASSAGES, searched=None, **rules
) -> Estimate:
    return estimate_cost(
        MiningSettings(rows_at_once=64, block=512, **rules),
        rows=[300] * rows,
        done=done,
        passages=passages,
        searched=[passages] if searched is None else searched,
        sample=sample,
        dimension=400,
        encode=lambda: None,
        new_bank=new_bank,
    )


def test_time_follows_rows_and_passages() -> None:
    assert cost(1000, 1000, done=1000).seconds == 0
    assert cost(1_000_000, 1_000_000).seconds > 100_000 * cost(1000, 1000, done=900).seconds > 0


def test_time_follows_the_passages_of_the_languages_that_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_module, "_search_seconds", lambda queries, block, passages, *sizes: passages)
    monkeypatch.setattr(cost_module, "_rule_seconds", lambda settings, sample: (0.0, 0.0))
    assert cost(64, 1000, searched=[20]).seconds == pytest.approx(20, rel=0.01)
    assert cost(64, 1000, searched=[20, 980]).seconds == pytest.approx(1000, rel=0.01)


def test_time_counts_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_module, "_search_seconds", lambda *sizes: 0.0)
    monkeypatch.setattr(cost_module, "_rule_seconds", lambda settings, sample: (0.001, 0.01))
    read = (1000 + 50) * 0.001  # every row and passage once
    assert cost(1000, 50).seconds == pytest.approx(read + 1000 * 7 * 0.01, rel=0.01)
    assert cost(1000, 50, ranks=(99, 100)).seconds == pytest.approx(read + 1000 * 2 * 0.01, rel=0.01)
    assert cost(1000, 50, near_duplicate=2).seconds == pytest.approx(read, rel=0.01)
    assert cost(1000, 50, done=1000).seconds == 0


@pytest.mark.parametrize(("blocks", "expected"), [(0.5, 1.0), (1, 1.0), (3, 1.2), (101, 11.0)])
def test_later_blocks_count_for_what_they_take(monkeypatch: pytest.MonkeyPatch, blocks: float, expected: float) -> None:
    clock = [0.0]

    def search(queries: object, names: object, table: cost_module.VectorTable, *, k: int, block: int) -> None:
        clock[0] += 1.0 + 0.1 * (len(table.ids) // block - 1)  # the first takes a second, later ones a tenth of it

    monkeypatch.setattr(cost_module, "search", search)
    monkeypatch.setattr(cost_module.time, "perf_counter", lambda: clock[0])
    assert cost_module._search_seconds(4, 8, 8 * blocks, 2, 3) == pytest.approx(expected)


def test_long_texts_take_longer() -> None:
    short, long = (
        cost_module._rule_seconds(MiningSettings(), [text * times for text in PASSAGES]) for times in (1, 500)
    )
    assert long[0] > short[0]
    assert long[1] > short[1]


def test_memory_holds_a_block_of_vectors() -> None:
    vectors = 1_000_000 * 400 * 4
    more = cost(1000, 1_000_000).memory - cost(1000, 1000).memory
    assert 0 < more < vectors / 3
    assert cost(1_000_000, 1000).memory - cost(1000, 1000).memory < 4000 * 1_000_000


def test_a_bank_is_part_of_the_disk() -> None:
    assert cost(10, 1000, new_bank=True).disk - cost(10, 1000).disk == pytest.approx(1000 * (500 + 800))
    assert "disk" in str(cost(10, 1000))
