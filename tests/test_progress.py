"""Encoding says how fast it is, by what was encoded: texts that were there already do not count.

1. The bar and its line go to standard error, and nothing is written where nothing shall be shown.
2. The speed is that of the texts that came with tokens.
"""

from __future__ import annotations

from isogloss import progress
from isogloss.progress import EncodingSpeed, encoding_bar


def test_speed_counts_what_was_encoded(monkeypatch):
    clock = iter([10.0, 12.0])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    speed = EncodingSpeed()
    assert str(speed) == ""
    speed.add(1000, 0)
    speed.add(400, 30_000)
    assert str(speed) == "200 texts/s, 15,000 tokens/s"


def test_bar_is_shown_where_wanted(capsys):
    with encoding_bar("Encoding", 3, show=False) as advance:
        advance(3, 40)
    assert capsys.readouterr() == ("", "")
    with encoding_bar("Encoding", 3) as advance:
        advance(1)
        advance(2, 40)
    shown = capsys.readouterr()
    assert shown.out == "" and "3/3" in shown.err and "tokens/s" in shown.err
