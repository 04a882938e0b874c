"""A benchmark compares like with like, and its page says what the figures say.

1. Every variant runs in every round, and each round begins with another one.
2. A ratio is the peer's time over ours, within a round; for memory ours over the peer's; and it is reached or missed.
3. The page has every row and ratio, a missed one too, and a chart that names every variant.
4. A target that names no variant is refused; one whose variant cannot run here is left out and said.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from benchmarks.harness import Benchmark, Plan, Target, Variant, measure, ratio_words, result
from benchmarks.page import chart_of, page_text, write_page

SLOW, FAST = 0.03, 0.01


def busy(seconds: float):
    def work() -> int:
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass
        return 10

    return lambda: work


def plan(*targets: Target, missing=None) -> Plan:
    variants = (Variant("reading", "ours", busy(FAST), ours=True), Variant("reading", "peer", busy(SLOW)))
    return Plan(variants, targets, {"Texts": 10}, missing or {})


def benchmark(of: Plan) -> Benchmark:
    return Benchmark("trial", "A trial", "texts", lambda given: of, notes=("It is small.",))


def figures(of: Plan, memory=None) -> dict:
    found = result(benchmark(of), of, measure(of.variants, 3), memory or {})
    return found | {"command": "python -m benchmarks.trial", "threads": 1}


def test_rounds_are_alternated():
    order: list[str] = []

    def noting(name: str):
        return lambda: lambda: order.append(name) or 1

    rounds = measure([Variant("w", name, noting(name)) for name in "abc"], 3)
    assert order == list("abcbcacab")
    assert {key: len(found) for key, found in rounds.items()} == {"w: a": 3, "w: b": 3, "w: c": 3}


def test_a_ratio_is_theirs_over_ours():
    of = plan(Target("reading", "ours", "peer", 2.0), Target("reading", "ours", "peer", 4.0))
    reached, missed = figures(of)["ratios"]
    assert 2.2 < reached["median"] < 3.8
    assert reached["least"] <= reached["median"] <= reached["most"]
    assert (reached["reached"], missed["reached"]) == (True, False)
    assert "reached" in ratio_words(reached) and "missed" in ratio_words(missed)


def test_memory_is_ours_over_theirs():
    of = plan(Target("reading", "ours", "peer", 0.5, "memory"))
    (ratio,) = figures(of, {"reading: ours": 100.0, "reading: peer": 400.0})["ratios"]
    assert ratio["median"] == 0.25 and ratio["reached"]


def test_the_page_says_all_of_it(tmp_path: Path):
    of = plan(Target("reading", "ours", "peer", 99.0), missing={"a third": "it is not installed"})
    found = figures(of) | {"name": "trial"}
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "trial.json").write_text(json.dumps(found))
    write_page(tmp_path / "docs", tmp_path / "results")
    text = (tmp_path / "docs" / "speed.md").read_text()
    assert text == page_text([found])
    for words in (
        "missed",
        "wanted at least 99",
        "**ours**",
        "| peer |",
        "It is small.",
        "a third: it is not installed",
    ):
        assert words in text
    chart = ElementTree.parse(tmp_path / "docs" / chart_of(found, "reading"))  # noqa: S314  # written a line above
    words = "".join(chart.getroot().itertext())
    assert "ours" in words and "peer" in words


def test_a_target_without_a_variant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from benchmarks import harness

    monkeypatch.setattr(harness, "_limit_threads", lambda *given: None)
    typed = plan(Target("reading", "ours", "peers"))
    with pytest.raises(ValueError, match="'reading: peers' is no variant"):
        harness.main(benchmark(typed), ["--rounds", "1", "--out", str(tmp_path / "out.json")])
    absent = plan(Target("reading", "ours", "a third"), missing={"a third": "it is not installed"})
    assert harness.main(benchmark(absent), ["--rounds", "1", "--out", str(tmp_path / "out.json")]) == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["ratios"] == [] and "a third" in found["missing"]


def test_time_and_peak_of_a_process_alone(capsys: pytest.CaptureFixture[str]):
    from benchmarks.harness import ALONE, _do_alone

    large = Variant("w", "large", lambda: lambda: busy(0.05)() and len(bytearray(400 * 2**20)) // 2**20)
    _do_alone(Plan([large]), "w: large")
    found = json.loads(capsys.readouterr().out.removeprefix(ALONE))
    assert found["memory"] > 400
    assert found["units"] == 400
    assert 0.05 / 400 <= found["cpu"] < 1 / 400


def test_the_peak_is_not_that_of_the_process_before():
    large = bytearray(b"x") * (600 * 2**20)
    code = "from benchmarks.harness import peak_kilobytes; print(peak_kilobytes())"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert len(large) > 2**29
    assert int(done.stdout) < 300 * 1024
