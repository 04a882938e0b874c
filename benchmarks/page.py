"""The page of the speed measurements, from the results alone: tables, ratios, bars, and what was missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bars import Bar, bar_chart
from benchmarks.harness import RESULTS, ratio_words, read_result
from isogloss.files import write_text

OPENING = """\
# Speed, measured side by side

Made by `python -m benchmarks page` from `benchmarks/results/*.json`; the command under each heading makes those. Ours
and the peers do the same work on the same texts in one process, in rounds that begin with another variant each time. A
figure is the median over the rounds, with the least and the most; a ratio is taken within each round. CPU time counts,
for the machines are shared. Memory is the peak of a process that does this work alone. A row that was missed stays.

Three processors were at hand, at different times: one with AVX2 alone (Zen 3), one with AVX-512, VNNI and bfloat16
(Zen 4), which is what the bounds were set for, and one that has AMX beside these (Intel's Sapphire Rapids or a later
one). No GPU was: `python -m benchmarks.encode_gpu` measures one. The bundled model was made anew in between. Scale,
mining, whole training runs and exact search of its vectors are today's; from a cold process and in static encoding it
is one of the same size, 141,118 pieces in bytes; the million texts in the index were encoded by one of 130,468.
"""


def write_page(docs: Path, results: Path = RESULTS) -> None:
    """Writes `speed.md` and a chart for each piece of work into `docs`."""
    found = [read_result(path) | {"name": path.stem} for path in sorted(results.glob("*.json"))]
    for one in found:
        for work, rows in _by_work(one).items():
            bars = [Bar(row["variant"], row["per_cpu_second"]["median"], row["ours"]) for row in rows]
            write_text(docs / chart_of(one, work), bar_chart(f"{work}: {one['unit']} per CPU second", bars))
    write_text(docs / "speed.md", page_text(found))


def page_text(found: Sequence[Mapping[str, Any]]) -> str:
    """The whole page as Markdown."""
    lines = [OPENING, *_overview(found), ""]
    for one in found:
        lines += _section(one)
    return "\n".join(lines).rstrip() + "\n"


def chart_of(found: Mapping[str, Any], work: str) -> str:
    """Where the chart of a piece of work lies, relative to the docs."""
    words = "".join(letter if letter.isalnum() else "-" for letter in work.lower()).strip("-")
    return f"images/speed-{found['name'].replace('_', '-')}-{words}.svg"


def _overview(found: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        f"| {one['title']} | {_widest(one)} | "
        f"{ratio['work']} | {ratio['ours']} | {ratio['peer']} | {ratio_words(ratio)} |"
        for one in found
        for ratio in one["ratios"]
    ]
    heads = ("benchmark", "processor", "work", "ours", "peer", "ratio")
    return [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *rows]


def _widest(found: Mapping[str, Any]) -> str:
    """The newest of the processor's vector extensions that tell speeds apart."""
    features = found["machine"]["features"]
    if "amx_bf16" in features:
        return "AMX"
    return "VNNI, bf16" if "avx512_bf16" in features else "VNNI" if "avx512_vnni" in features else "AVX2"


def _section(found: Mapping[str, Any]) -> list[str]:
    machine = found["machine"]
    cores = f"{found['threads']} of {machine['cores']} cores"
    lines = [f"## {found['title']}", "", f"`{found['command']}`", ""]
    lines += [f"On {cores} of {machine['processor']} ({', '.join(machine['features']) or 'no vector extensions'}); "]
    lines[-1] += ", ".join(f"{name} {version}" for name, version in found["packages"].items() if version) + "."
    lines += [f"{name}: {value}." for name, value in found["about"].items()]
    lines += ["", f"| work | variant | {found['unit']} per CPU second | per second | peak memory, MiB |"]
    lines += ["| --- | --- | ---: | ---: | ---: |", *(_table_row(row) for row in found["rows"]), ""]
    lines += [f"![{work}]({chart_of(found, work)})" for work in _by_work(found)]
    lines += ["", *(f"- {note}" for note in found["notes"])]
    lines += [f"- Not measured: {name}: {why}." for name, why in found["missing"].items()]
    return [*lines, ""]


def _table_row(row: Mapping[str, Any]) -> str:
    name = f"**{row['variant']}**" if row["ours"] else row["variant"]
    memory = "·" if row["peak_memory_mib"] is None else f"{row['peak_memory_mib']:.0f}"
    return f"| {row['work']} | {name} | {_spread(row['per_cpu_second'])} | {_spread(row['per_second'])} | {memory} |"


def _spread(values: Mapping[str, float]) -> str:
    return f"{values['median']:,.4g} [{values['least']:,.4g}, {values['most']:,.4g}]"


def _by_work(found: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    works: dict[str, list[Mapping[str, Any]]] = {}
    for row in found["rows"]:
        works.setdefault(row["work"], []).append(row)
    return works
