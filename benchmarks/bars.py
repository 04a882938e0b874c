"""A bar chart as a small SVG file that follows the reader's light or dark page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LABEL, VALUE, BAR, GAP = 760, 280, 110, 18, 8
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2328}.ours{fill:#0b6e99}.peer{fill:#9aa4ad}.title{font-weight:600}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.ours{fill:#4cb3dd}.peer{fill:#6b7680}}"
)


@dataclass(frozen=True)
class Bar:
    """One bar: its name, its length in the unit of the chart, and whether it is ours."""

    name: str
    value: float
    ours: bool


def bar_chart(title: str, bars: Sequence[Bar]) -> str:
    """The chart as SVG text; longer is better, and ours has another colour."""
    longest = max((bar.value for bar in bars), default=1.0) or 1.0
    height = 34 + len(bars) * (BAR + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="0" y="16">{escape(title)}</text>',
    ]
    for number, bar in enumerate(bars):
        top = 30 + number * (BAR + GAP)
        length = (WIDTH - LABEL - VALUE) * bar.value / longest
        kind = "ours" if bar.ours else "peer"
        parts += [
            f'<text x="{LABEL - 8}" y="{top + 13}" text-anchor="end">{escape(bar.name)}</text>',
            f'<rect class="{kind}" x="{LABEL}" y="{top}" width="{max(length, 1):.1f}" height="{BAR}" rx="2"/>',
            f'<text x="{LABEL + max(length, 1) + 6:.1f}" y="{top + 13}">{bar.value:,.4g}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
