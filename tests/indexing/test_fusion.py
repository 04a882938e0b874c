"""Fusion adds reciprocal ranks: by hand, by trec_eval's order of ties, and without regard to scores."""

from __future__ import annotations

import pytest

from isogloss.errors import UsageError
from isogloss.indexing import reciprocal_rank_fusion


def test_by_hand() -> None:
    first = {"q": {"a": 9.0, "b": 8.0}, "only": {"x": 1.0}}
    second = {"q": {"b": 0.2, "c": 0.1}}
    fused = reciprocal_rank_fusion([first, second], weights=[1.0, 2.0])
    assert list(fused["q"]) == ["b", "c", "a"]
    assert fused["q"]["b"] == pytest.approx(1 / 62 + 2 / 61, abs=1e-7)
    assert fused["only"] == {"x": pytest.approx(1 / 61, abs=1e-7)}


def test_ties_and_depth() -> None:
    run = {"q": {"a": 1.0, "b": 1.0, "c": 1.0}}
    assert list(reciprocal_rank_fusion([run], k=2)["q"]) == ["c", "b"]


def test_the_order_of_runs_changes_no_bit() -> None:
    runs = [{"q": {"a": 3.0, "b": 2.0, "c": 1.0}}, {"q": {"c": 3.0, "a": 1.0}}, {"q": {"b": 1.0, "a": 0.5}}]
    assert reciprocal_rank_fusion(runs) == reciprocal_rank_fusion(runs[::-1])


def test_no_runs_and_wrong_weights_are_refused() -> None:
    with pytest.raises(UsageError) as error:
        reciprocal_rank_fusion([], weights=[1.0])
    assert len(error.value.faults) == 2
