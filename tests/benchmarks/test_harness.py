"""A benchmark compares like with like, and its page says what the figures say.

1. Every variant runs in every round, and each round begins with another one.
2. A ratio is the peer's time over ours, within a round; for memory ours over the peer's; and it is reached or missed.
3. The page has every row and ratio, a missed one too, and a chart that names every variant.
4. A target that names no variant is refused; one whose variant cannot run here is left out and said.
5. A result says of how many rounds and of which commit it is. One round is said to be one and has no interval; rounds
   put together by hand are said to be so; a result that names no commit is said to be older.
6. No two results have one heading.
7. The peak of a variant that starts processes is that of the largest of them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from benchmarks.harness import (
    RESULTS,
    Benchmark,
    Plan,
    Target,
    Variant,
    commit,
    measure,
    ratio_words,
    read_result,
    result,
)
from benchmarks.page import SINCE, chart_of, page_text, titled, write_page

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


def figures(of: Plan, memory=None, rounds: int = 3) -> dict:
    found = result(benchmark(of), of, measure(of.variants, rounds), memory or {})
    return found | {"command": "python -m benchmarks.trial", "threads": 1, "name": "trial"}


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
    assert "reached" in ratio_words(reached, 3) and "missed" in ratio_words(missed, 3)


def test_memory_is_ours_over_theirs():
    of = plan(Target("reading", "ours", "peer", 0.5, "memory"))
    (ratio,) = figures(of, {"reading: ours": 100.0, "reading: peer": 400.0})["ratios"]
    assert ratio["median"] == 0.25 and ratio["reached"]
    assert ratio_words(ratio, 3) == "0.25 (memory), wanted at most 0.5: reached"


def test_the_page_says_all_of_it(tmp_path: Path):
    of = plan(Target("reading", "ours", "peer", 99.0), missing={"a third": "it is not installed"})
    found = figures(of)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "trial.json").write_text(json.dumps(found))
    write_page(tmp_path / "docs", tmp_path / "results")
    text = (tmp_path / "docs" / "speed.md").read_text()
    assert text == page_text(titled([found]))
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


def test_one_round_has_no_interval():
    of = plan(Target("reading", "ours", "peer"))
    once = page_text(titled([figures(of, rounds=1)]))
    assert "(cpu, one round)" in once and "texts per CPU second, one round" in once and "One round." in once
    figure = r"\| \*\*ours\*\* \| [0-9.,e+]+ \| [0-9.,e+]+ \|"
    assert re.search(figure, once)
    thrice = page_text(titled([figures(of)]))
    assert "(cpu, 3 rounds)" in thrice and "3 rounds, the variants alternated." in thrice
    assert not re.search(figure, thrice)


def test_rounds_of_processes_alone():
    alone = figures(plan(), rounds=1) | {"alternated": False}
    assert "One round, each variant in a process of its own." in page_text(titled([alone]))
    merged = figures(plan(), rounds=2) | {"command": "python -m benchmarks.trial --rounds 0"}
    assert "put together by hand" in page_text(titled([merged]))


def test_the_commit_is_said():
    name, date = "abcdef1", "2027-01-02T03:04:05+00:00"
    of = plan(Target("reading", "ours", "peer"))
    found = figures(of) | {"commit": {"name": name, "date": date, "changed": True}}
    text = page_text(titled([found]))
    assert f"Code of commit {name} of 2027-01-02 03:04, with changes that were not committed yet." in text
    assert "| A trial (" in text and "| 2027-01-02 |" in text
    older = {key: value for key, value in found.items() if key != "commit"}
    assert f"before {SINCE}" in page_text(titled([older]))


def test_outside_of_git_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch):
    from benchmarks import harness

    def no_git(*words: str) -> str:
        raise FileNotFoundError("git")

    monkeypatch.setattr(harness, "_git", no_git)
    assert commit()["name"] == "unknown"
    assert "Code of an unknown commit." in page_text(titled([figures(plan())]))


def test_no_two_headings_are_the_same():
    one, other = figures(plan()), figures(plan()) | {"name": "trial_other"}
    first, second = (found["heading"] for found in titled([one, other]))
    assert first != second and "trial_other" in second
    (apart, _) = titled([one | {"subject": "made-up texts"}, other])
    assert "made-up texts" in apart["heading"] and "trial" not in apart["heading"].split(":")[-1]
    kept = [read_result(path) | {"name": path.stem} for path in sorted(RESULTS.glob("*.json"))]
    headings = [found["heading"] for found in titled(kept)]
    assert len(set(headings)) == len(headings)


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


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads Linux's /proc")
def test_the_peak_of_processes_that_are_started(capsys: pytest.CaptureFixture[str]):
    from benchmarks.harness import ALONE, _do_alone

    held = bytearray(b"x") * (600 * 2**20)
    code = "held = bytearray(b'x') * (200 * 2**20); import time; time.sleep(0.2)"

    def work() -> int:
        subprocess.run([sys.executable, "-c", code], check=True)
        return 1

    _do_alone(Plan([Variant("w", "processes", lambda: work, children=True)]), "w: processes")
    found = json.loads(capsys.readouterr().out.removeprefix(ALONE))
    assert len(held) > 2**29
    assert 200 < found["memory"] < 300


def test_the_peak_is_not_that_of_the_process_before():
    large = bytearray(b"x") * (600 * 2**20)
    code = "from benchmarks.harness import peak_kilobytes; print(peak_kilobytes())"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert len(large) > 2**29
    assert int(done.stdout) < 300 * 1024
