"""What an arm gains in its domain against what it changes elsewhere: as a table and as a small SVG picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from experiments.design import UNTRAINED, Json
from experiments.page import table

# Sets, each with the language pairs that count; all of them where there are none.
Column = Sequence[tuple[str, Sequence[str] | None]]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM, LINE = 760, 420, 70, 220, 36, 50, 15
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600}.axis{stroke:#9aa4ad}"
    ".range{stroke:#0b6e99;stroke-opacity:.45;stroke-width:3}.mean{fill:#0b6e99}.lead{stroke:#9aa4ad;stroke-width:.5}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.range{stroke:#4cb3dd}.mean{fill:#4cb3dd}}"
)


@dataclass(frozen=True)
class Point:
    """One arm.

    Attributes:
        name: Its name.
        inside: Change in the domain.
        outside: Mean change elsewhere.
        lowest: Change of the language pair that lost most.
        highest: Change of the one that gained most.
    """

    name: str
    inside: float
    outside: float
    lowest: float
    highest: float


def exchange(results: Json, columns: Mapping[str, Column], picture: str) -> list[str]:
    """The lines of the page: the change of every arm by column, and the picture.

    Args:
        results: Of the experiment.
        columns: By heading, what is averaged.
        picture: Name of the picture's file.
    """
    start = results["scores"][UNTRAINED]
    rows = []
    for name, scores in trained(results).items():
        changes = (np.mean(changes_of(scores, start, column)) for column in columns.values())
        fallen = sum(change < -0.01 for change in changes_of(scores, start, [(one, None) for one in scores]))
        rows.append((name, *(f"{change:+.4f}" for change in changes), str(fallen)))
    pairs = sum(len(of) for of in start.values())
    heads = ("arm", *columns, f"pairs of {pairs} that fell by more than 0.01")
    words = "The change in the domain (across) against the change elsewhere (upwards)"
    return [
        "Change against the untuned model, mean over seeds:",
        "",
        *table(heads, rows),
        "",
        f"![{words}](images/{picture})",
        "",
        f"{words}: the mean over all pairs of languages that are not the domain's, and a line from the pair that lost "
        "most to the one that gained most.",
        "",
    ]


def points(results: Json, domain: str) -> list[Point]:
    """Every arm: its change in the set of the domain, and in all pairs of the other sets."""
    start = results["scores"][UNTRAINED]
    found = []
    for name, scores in trained(results).items():
        inside = changes_of(scores, start, [(domain, None)])
        outside = changes_of(scores, start, [(one, None) for one in scores if one != domain])
        found.append(Point(name, float(np.mean(inside)), float(np.mean(outside)), min(outside), max(outside)))
    return found


def trained(results: Json) -> dict[str, Json]:
    """The scores of all arms but the start model."""
    return {name: scores for name, scores in results["scores"].items() if name != UNTRAINED}


def changes_of(scores: Json, start: Json, column: Column) -> list[float]:
    """The change of each language pair of a column, mean over seeds."""
    return [
        float(np.mean(scores[name][pair]) - np.mean(start[name][pair]))
        for name, pairs in column
        for pair in pairs or scores[name]
    ]


def scatter(title: str, found: Sequence[Point]) -> str:
    """The picture as SVG text; names stand at the right, in the order of the points' heights."""
    across = _scale([0.0, *(point.inside for point in found)], LEFT, WIDTH - RIGHT)
    heights = [0.0, *(value for point in found for value in (point.lowest, point.highest))]
    upwards = _scale(heights, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="0" y="16">{escape(title)}</text>',
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{upwards(0):.1f}" y2="{upwards(0):.1f}"/>',
        f'<line class="axis" x1="{across(0):.1f}" x2="{across(0):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>',
        *_ticks(across, upwards, found, heights),
    ]
    label = float(TOP)
    for point in sorted(found, key=lambda one: -one.outside):
        x, y = across(point.inside), upwards(point.outside)
        label = max(label + LINE, y)
        label = min(label, HEIGHT - LINE)
        parts += [
            f'<line class="range" x1="{x:.1f}" x2="{x:.1f}" y1="{upwards(point.lowest):.1f}" '
            f'y2="{upwards(point.highest):.1f}"/>',
            f'<line class="lead" x1="{x:.1f}" x2="{WIDTH - RIGHT + 6}" y1="{y:.1f}" y2="{label - 4:.1f}"/>',
            f'<circle class="mean" cx="{x:.1f}" cy="{y:.1f}" r="4"/>',
            f'<text x="{WIDTH - RIGHT + 8}" y="{label:.1f}">{escape(point.name)}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


@dataclass(frozen=True)
class _Scale:
    """Values to places on the picture, straight."""

    low: float
    high: float
    first: float
    last: float

    def __call__(self, value: float) -> float:
        return self.first + (value - self.low) / (self.high - self.low) * (self.last - self.first)


def _scale(values: Sequence[float], first: float, last: float) -> _Scale:
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.001
    return _Scale(low - room, high + room, first, last)


def _ticks(across: _Scale, upwards: _Scale, found: Sequence[Point], heights: Sequence[float]) -> list[str]:
    """Zero and both ends of each axis, in numbers, and what the axes are."""
    inside = sorted({0.0, min(point.inside for point in found), max(point.inside for point in found)})
    outside = sorted({min(heights), 0.0, max(heights)})
    return [
        *(
            f'<text x="{across(value):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:+.3f}</text>'
            for value in inside
        ),
        *(
            f'<text x="{LEFT - 8}" y="{upwards(value) + 4:.1f}" text-anchor="end">{value:+.3f}</text>'
            for value in outside
        ),
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">change of nDCG@10 in the '
        "domain</text>",
        f'<text x="0" y="{TOP - 4}">change elsewhere</text>',
    ]
