"""The picture and the table show the same changes.

1. A change is the mean over seeds of a pair, less the start's; a column averages its pairs.
2. A pair that fell is counted, wherever it is.
3. Every arm is a point in the picture at its place: more gain is further to the right, a loss is below the line of 0.
"""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from experiments.exchange import Point, changes_of, exchange, points, scatter

SCORES = {
    "untrained": {"home": {"en-en": [0.5]}, "away": {"de-de": [0.4], "fr-fr": [0.6]}},
    "low": {"home": {"en-en": [0.51, 0.53]}, "away": {"de-de": [0.4, 0.4], "fr-fr": [0.58, 0.6]}},
    "high": {"home": {"en-en": [0.6, 0.6]}, "away": {"de-de": [0.3, 0.3], "fr-fr": [0.62, 0.6]}},
}
RESULTS = {"scores": SCORES}


def test_changes_are_means_over_seeds_and_pairs() -> None:
    assert changes_of(SCORES["low"], SCORES["untrained"], [("away", None)]) == pytest.approx([0.0, -0.01])
    assert changes_of(SCORES["low"], SCORES["untrained"], [("away", ("de-de",))]) == pytest.approx([0.0])
    low, high = points(RESULTS, "home")
    assert (low.name, low.inside, low.outside) == ("low", pytest.approx(0.02), pytest.approx(-0.005))
    assert (high.lowest, high.highest) == (pytest.approx(-0.1), pytest.approx(0.01))


def test_the_table_counts_what_fell() -> None:
    lines = exchange(RESULTS, {"home": [("home", None)], "away": [("away", None)]}, "picture.svg")
    assert "| high | +0.1000 | -0.0450 | 1 |" in lines
    assert any("(images/picture.svg)" in line for line in lines)


def test_every_arm_is_at_its_place() -> None:
    found = [Point("a < b", 0.1, -0.2, -0.3, 0.0), Point("better", 0.2, 0.1, 0.0, 0.2)]
    picture = ElementTree.fromstring(scatter("A & B", found))  # noqa: S314 - our own text
    name = "{http://www.w3.org/2000/svg}"
    better, worse = ((float(one.get("cx", "")), float(one.get("cy", ""))) for one in picture.iter(f"{name}circle"))
    zero = next(float(line.get("y1", "")) for line in picture.iter(f"{name}line") if line.get("class") == "axis")
    assert better[0] > worse[0]
    assert better[1] < zero < worse[1]
    assert {"a < b", "better", "A & B"} <= {text.text for text in picture.iter(f"{name}text")}


def test_one_arm_without_change_is_drawn() -> None:
    assert "nan" not in scatter("flat", [Point("same", 0.0, 0.0, 0.0, 0.0)])
