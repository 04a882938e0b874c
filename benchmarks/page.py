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

Made by `python -m benchmarks page` from `benchmarks/results/*.json`; the command under each heading makes those, and
`python -m benchmarks all` runs them all. Ours and the peers do the same work on the same texts. Most are measured in
one process, in rounds that begin with another variant each time: a figure is the median over the rounds, with the least
and the most, and a ratio is taken within each round. Where a step takes minutes (`--rounds 0`), each variant has a
process of its own and there is one round, so nothing says how far such a figure spreads. CPU time counts, for the
machines are shared. Memory is the peak of a process that does this work alone. A row that was missed stays.

Three processors were at hand, at different times: one with AVX2 alone (Zen 3), one with AVX-512, VNNI and bfloat16
(Zen 4), and one that has AMX beside these (Intel's Sapphire Rapids or a later one). The bounds were set for a Zen 5,
which has AVX-512, VNNI and bfloat16 too. No GPU was: `python -m benchmarks.encode_gpu` measures one. "Code of" is the
day of the commit that was measured. "Older" results name none: they are of code before {since}, which
has changed since. The bundled model was made anew in between: the million texts in the index were encoded by one of
130,468 pieces, not 141,118.
"""
SINCE = "2026-11-26 22:00 UTC"  # from then on results name their commit


def write_page(docs: Path, results: Path = RESULTS) -> None:
    """Writes `speed.md` and a chart for each piece of work into `docs`."""
    found = titled([read_result(path) | {"name": path.stem} for path in sorted(results.glob("*.json"))])
    for one in found:
        for work, rows in _by_work(one).items():
            bars = [Bar(row["variant"], row["per_cpu_second"]["median"], row["ours"]) for row in rows]
            write_text(docs / chart_of(one, work), bar_chart(f"{work}: {one['unit']} per CPU second", bars))
    write_text(docs / "speed.md", page_text(found))


def page_text(found: Sequence[Mapping[str, Any]]) -> str:
    """The whole page as Markdown."""
    lines = [OPENING.format(since=SINCE), *_overview(found), ""]
    for one in found:
        lines += _section(one)
    return "\n".join(lines).rstrip() + "\n"


def titled(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The results, each with a `heading` that no other has: title, subject and processor, else its file too."""
    headings = [": ".join(filter(None, (one["title"], one.get("subject", "")))) + f" ({_widest(one)})" for one in found]
    return [
        {**one, "heading": heading if headings.count(heading) == 1 else f"{heading}, {one['name']}.json"}
        for one, heading in zip(found, headings, strict=True)
    ]


def rounds_of(found: Mapping[str, Any]) -> int:
    """How many rounds the figures are of."""
    return max(len(row["rounds"]) for row in found["rows"])


def chart_of(found: Mapping[str, Any], work: str) -> str:
    """Where the chart of a piece of work lies, relative to the docs."""
    words = "".join(letter if letter.isalnum() else "-" for letter in work.lower()).strip("-")
    return f"images/speed-{found['name'].replace('_', '-')}-{words}.svg"


def _overview(found: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        f"| {one['heading']} | {_day(one)} | "
        f"{ratio['work']} | {ratio['ours']} | {ratio['peer']} | {ratio_words(ratio, rounds_of(one))} |"
        for one in found
        for ratio in one["ratios"]
    ]
    heads = ("benchmark (processor)", "code of", "work", "ours", "peer", "ratio")
    return [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *rows]


def _day(found: Mapping[str, Any]) -> str:
    """The day of the commit that was measured, for a column."""
    commit = found.get("commit")
    if commit is None:
        return "older"
    return commit["date"][:10] or "unknown"


def _code(found: Mapping[str, Any]) -> str:
    """Which code was measured, in a sentence."""
    commit = found.get("commit")
    if commit is None:
        return f"Code of a commit that is not named, before {SINCE}: it has changed since, and these figures have not."
    if not commit["date"]:
        return "Code of an unknown commit."
    changed = ", with changes that were not committed yet" if commit["changed"] else ""
    return f"Code of commit {commit['name']} of {commit['date'][:16].replace('T', ' ')}{changed}."


def _rounds(found: Mapping[str, Any]) -> str:
    """Of how many rounds the figures are and how they were made, in a sentence."""
    rounds = rounds_of(found)
    alternated = found.get("alternated", "--rounds 0" not in found["command"])
    if rounds == 1:
        return "One round." if alternated else "One round, each variant in a process of its own."
    if alternated:
        return f"{rounds} rounds, the variants alternated."
    return (
        f"{rounds} rounds, each variant in a process of its own: runs of this command, which makes one round, put "
        "together by hand."
    )


def _widest(found: Mapping[str, Any]) -> str:
    """The newest of the processor's vector extensions that tell speeds apart."""
    features = found["machine"]["features"]
    if "amx_bf16" in features:
        return "AMX"
    return "VNNI, bf16" if "avx512_bf16" in features else "VNNI" if "avx512_vnni" in features else "AVX2"


def _section(found: Mapping[str, Any]) -> list[str]:
    machine = found["machine"]
    cores = f"{found['threads']} of {machine['cores']} cores"
    rounds = rounds_of(found)
    lines = [f"## {found['heading']}", "", f"`{found['command']}`", ""]
    lines += [f"On {cores} of {machine['processor']} ({', '.join(machine['features']) or 'no vector extensions'}); "]
    lines[-1] += ", ".join(f"{name} {version}" for name, version in found["packages"].items() if version) + "."
    lines += [_rounds(found), _code(found)]
    lines += [f"{name}: {value}." for name, value in found["about"].items()]
    once = ", one round" if rounds == 1 else ""
    lines += ["", f"| work | variant | {found['unit']} per CPU second{once} | per second{once} | peak memory, MiB |"]
    lines += ["| --- | --- | ---: | ---: | ---: |", *(_table_row(row, rounds) for row in found["rows"]), ""]
    lines += [f"![{work}]({chart_of(found, work)})" for work in _by_work(found)]
    lines += ["", *(f"- {note}" for note in found["notes"])]
    lines += [f"- Not measured: {name}: {why}." for name, why in found["missing"].items()]
    return [*lines, ""]


def _table_row(row: Mapping[str, Any], rounds: int) -> str:
    name = f"**{row['variant']}**" if row["ours"] else row["variant"]
    memory = "·" if row["peak_memory_mib"] is None else f"{row['peak_memory_mib']:.0f}"
    speeds = " | ".join(_spread(row[figure], rounds) for figure in ("per_cpu_second", "per_second"))
    return f"| {row['work']} | {name} | {speeds} | {memory} |"


def _spread(values: Mapping[str, float], rounds: int) -> str:
    median = f"{values['median']:,.4g}"
    return median if rounds == 1 else f"{median} [{values['least']:,.4g}, {values['most']:,.4g}]"


def _by_work(found: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    works: dict[str, list[Mapping[str, Any]]] = {}
    for row in found["rows"]:
        works.setdefault(row["work"], []).append(row)
    return works
