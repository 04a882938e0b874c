"""Coloured tables: languages at a glance, the matrix of pairs, the differences to a baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from isogloss.evaluation.compare import Comparison, Difference
from isogloss.evaluation.language_report.elements import Html, element, joined
from isogloss.evaluation.language_report.palette import STEPS
from isogloss.evaluation.language_report.words import (
    column_header,
    hundredths,
    name_of,
    pair_in_words,
    row_header,
    table,
)
from isogloss.evaluation.measures import mean
from isogloss.evaluation.pairs import MIXED, Pair
from isogloss.evaluation.results import Cell, Estimate, Evaluation

_GRAIN = 0.05
LEAST_CHANGE = 0.05


@dataclass(frozen=True)
class Scale:
    """The values that the ends of the colours stand for."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Scale:
        """From the smallest value to the largest, in round numbers."""
        low = math.floor(min(values, default=0.0) / _GRAIN) * _GRAIN
        high = math.ceil(max(values, default=1.0) / _GRAIN) * _GRAIN
        return cls(low, max(high, low + _GRAIN))

    def step(self, value: float) -> int:
        """Number of the shade of a value."""
        share = (value - self.low) / (self.high - self.low)
        return round(STEPS * min(1.0, max(0.0, share)))


@dataclass(frozen=True)
class Standing:
    """A language under one measure; None where it was not measured so.

    Attributes:
        language: Its tag.
        same: Its queries over its passages.
        asking: Mean over the pairs in which it asks in another language's passages, and how many they are.
        answering: Mean over the pairs in which another language asks in its passages, and how many they are.
        mixed: Its queries over all passages.
    """

    language: str
    same: Estimate | None
    asking: tuple[float, int] | None
    answering: tuple[float, int] | None
    mixed: Estimate | None

    @property
    def overall(self) -> float | None:
        """Mean of what there is: what languages are ordered by."""
        values = [found.value for found in (self.same, self.mixed) if found]
        values += [found[0] for found in (self.asking, self.answering) if found]
        return mean(values) if values else None


def standings(evaluation: Evaluation, measure: str) -> list[Standing]:
    """Every language of the evaluation, the weakest first; those without any value come last."""
    languages = {cell.pair.query_language for cell in evaluation.cells.values()}
    languages |= {cell.pair.passage_language for cell in evaluation.cells.values()} - {MIXED}
    found = [_standing(evaluation, language, measure) for language in sorted(languages)]
    return sorted(found, key=lambda one: (one.overall is None, one.overall or 0.0, one.language))


def scale_of(evaluation: Evaluation, measure: str) -> Scale:
    """The scale of all cells of a measure."""
    return Scale.of([cell.scores[measure].value for cell in evaluation.cells.values() if not cell.blank])


def glance_table(evaluation: Evaluation, measure: str) -> Html:
    """A row per language, the weakest first; a column per role that it can have."""
    scale = scale_of(evaluation, measure)
    found = standings(evaluation, measure)
    columns: list[tuple[str, Callable[[Standing], Html], bool]] = [
        ("own language", lambda one: _estimate_cell(one.same, scale), any(one.same for one in found)),
        ("asks in others", lambda one: _mean_cell(one.asking, scale), any(one.asking for one in found)),
        ("is asked by others", lambda one: _mean_cell(one.answering, scale), any(one.answering for one in found)),
        ("asks in all at once", lambda one: _estimate_cell(one.mixed, scale), any(one.mixed for one in found)),
    ]
    shown = [(title, cell) for title, cell, has_values in columns if has_values]
    rows = [element("tr", row_header(one.language), [cell(one) for _, cell in shown]) for one in found]
    caption = (
        f"{measure} × 100 by language, the weakest first. Small: the 95 % interval, or over how many pairs a mean is."
    )
    return joined(table(caption, ["", *(title for title, _ in shown)], rows, class_="heat glance"), legend(scale))


def matrix_table(evaluation: Evaluation, measure: str) -> Html:
    """Query languages down, passage languages across, in the same order, the weakest first."""
    scale = scale_of(evaluation, measure)
    order = [one.language for one in standings(evaluation, measure)]
    asked = {cell.pair.query_language for cell in evaluation.cells.values()}
    searched = {cell.pair.passage_language for cell in evaluation.cells.values()}
    across = [language for language in order if language in searched] + [MIXED] * (MIXED in searched)
    rows = [
        element(
            "tr",
            row_header(query),
            [_cell(evaluation.cells.get(f"{query}-{passage}"), measure, scale) for passage in across],
        )
        for query in order
        if query in asked
    ]
    caption = (
        f"{measure} × 100: the language of the queries down, that of the passages across. A frame marks a language "
        "with itself; a hatched cell has no value, and the notes say why; a dot was not asked for."
    )
    header = ["", *map(column_header, across)]
    return joined(table(caption, header, rows, class_="heat"), legend(scale))


def change_table(comparison: Comparison, measure: str, order: Sequence[str]) -> Html:
    """Differences to the baseline by pair, marked where they are significant."""
    found = {found.pair: found for found in comparison.differences if found.measure == measure}
    values = [abs(one.difference) for one in found.values() if one.difference is not None]
    widest = max(LEAST_CHANGE, math.ceil(max(values, default=0.0) / _GRAIN) * _GRAIN)
    searched = {pair.passage_language for pair in found}
    across = [language for language in order if language in searched] + [MIXED] * (MIXED in searched)
    asked = {pair.query_language for pair in found}
    rows = [
        element(
            "tr",
            row_header(query),
            [_change_cell(found.get(Pair(query, passage)), comparison.alpha, widest) for passage in across],
        )
        for query in order
        if query in asked
    ]
    caption = (
        f"{measure} × 100: {comparison.after} minus {comparison.before}. ▲ better and ▼ worse where p < "
        f"{comparison.alpha:g} in a paired randomisation test over queries, after Holm's correction over the pairs of "
        "the same group."
    )
    header = ["", *map(column_header, across)]
    return joined(table(caption, header, rows, class_="heat"), _change_legend(widest))


def legend(scale: Scale) -> Html:
    """What the colours mean."""
    ramp = element("span", [element("i", class_=f"w{step}") for step in range(STEPS + 1)], class_="ramp")
    return element("div", f"weak {hundredths(scale.low)}", ramp, f"{hundredths(scale.high)} strong", class_="legend")


def _change_legend(widest: float) -> Html:
    ramp = element("span", [element("i", class_=f"c{step}") for step in range(STEPS + 1)], class_="ramp")
    return element("div", f"worse −{hundredths(widest)}", ramp, f"+{hundredths(widest)} better", class_="legend")


def _standing(evaluation: Evaluation, language: str, measure: str) -> Standing:
    valued = [cell for cell in evaluation.cells.values() if not cell.blank]

    def one(pair: Pair) -> Estimate | None:
        return next((cell.scores[measure] for cell in valued if cell.pair == pair), None)

    crossing = [cell for cell in valued if cell.pair.passage_language not in (MIXED, cell.pair.query_language)]
    asking = [cell.scores[measure].value for cell in crossing if cell.pair.query_language == language]
    answering = [cell.scores[measure].value for cell in crossing if cell.pair.passage_language == language]
    return Standing(
        language=language,
        same=one(Pair(language, language)),
        asking=(mean(asking), len(asking)) if asking else None,
        answering=(mean(answering), len(answering)) if answering else None,
        mixed=one(Pair(language, MIXED)),
    )


def _estimate_cell(value: Estimate | None, scale: Scale) -> Html:
    if value is None:
        return _no_value("no value")
    interval = element("small", f"{hundredths(value.low)}–{hundredths(value.high)}")
    return element("td", hundredths(value.value), interval, class_=f"w{scale.step(value.value)}")


def _mean_cell(found: tuple[float, int] | None, scale: Scale) -> Html:
    if found is None:
        return _no_value("no value")
    value, pairs = found
    return element("td", hundredths(value), element("small", f"of {pairs}"), class_=f"w{scale.step(value)}")


def _cell(cell: Cell | None, measure: str, scale: Scale) -> Html:
    if cell is None:
        return element("td", "·", class_="unasked", title="not asked for")
    if cell.blank:
        return _no_value(f"{pair_in_words(cell.pair)}: {cell.blank}")
    value = cell.scores[measure]
    own = " own" if cell.pair.query_language == cell.pair.passage_language else ""
    title = (
        f"{pair_in_words(cell.pair)}: {value.value:.3f}, 95 % interval {value.low:.3f} to {value.high:.3f}, "
        f"{cell.queries} queries"
    )
    return element("td", hundredths(value.value), class_=f"w{scale.step(value.value)}{own}", title=title)


def _change_cell(found: Difference | None, alpha: float, widest: float) -> Html:
    if found is None:
        return element("td", "·", class_="unasked", title="not asked for")
    if found.difference is None:
        return _no_value(f"{pair_in_words(found.pair)}: {found.blank}")
    step = round(STEPS * (found.difference + widest) / (2 * widest))
    title = f"{pair_in_words(found.pair)}: {found.before:.3f} → {found.after:.3f}, Holm p = {found.p_holm:.4f}"
    mark = found.mark(alpha)
    written = f"{100 * found.difference:+.0f}".replace("-", "−").replace("+0", "0").replace("−0", "0")
    return element("td", written, element("small", mark) if mark else None, class_=f"c{step}", title=title)


def _no_value(reason: str) -> Html:
    return element("td", element("span", "–", role="img", aria_label="blank"), class_="blank", title=reason)


def names(found: Sequence[Standing], values: Mapping[str, float]) -> list[str]:
    """Languages with their values, for a sentence."""
    return [f"{name_of(one.language)} ({hundredths(values[one.language])})" for one in found]
