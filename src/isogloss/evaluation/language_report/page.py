"""The report as one HTML file that needs nothing else: no requests, no scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import resources

from isogloss.evaluation.language_report.audit import Audit
from isogloss.evaluation.language_report.elements import Html, element, joined, own_markup
from isogloss.evaluation.language_report.failure_browser import failure_section
from isogloss.evaluation.language_report.heat import change_table, glance_table, matrix_table, names, standings
from isogloss.evaluation.language_report.mixed_section import mixed_section
from isogloss.evaluation.language_report.palette import Shade, change, weakness
from isogloss.evaluation.language_report.words import listed, percent, row_header, table, with_interval
from isogloss.evaluation.report import summary_line
from isogloss.evaluation.results import Cell

_NOTABLE_UNKNOWN = 0.001  # below it, single rare signs are all that is unknown
NAMED = 3
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(found: Audit) -> str:
    """The whole page."""
    evaluation = found.evaluation
    sections = [section for section in _sections(found) if section is not None]
    title = f"{evaluation.system} on {evaluation.data}: every language"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", title),
        element("style", own_markup(_style(len(evaluation.measures)))),
    )
    links = [element("li", element("a", name, href=f"#{anchor}")) for anchor, name, _ in sections]
    body = element(
        "body",
        element("a", "Skip to the results", href="#glance", class_="skip"),
        element("header", element("h1", title), element("p", _subtitle(found), class_="soft")),
        element("nav", element("ul", links), aria_label="Sections"),
        element(
            "main",
            [
                element(
                    "section",
                    element("h2", name, id=f"{anchor}-title"),
                    content,
                    id=anchor,
                    aria_labelledby=f"{anchor}-title",
                )
                for anchor, name, content in sections
            ],
        ),
        element(
            "footer", "Made by isogloss report. Scores are those of trec_eval, through ir_measures or pytrec_eval."
        ),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _sections(found: Audit) -> Iterable[tuple[str, str, Html] | None]:
    measures = found.evaluation.measures
    yield "glance", "Which languages are weak", joined(_verdict(found), glance_table(found.evaluation, measures[0]))
    yield (
        "matrix",
        "Every pair of languages",
        _tabs("matrix", measures, [matrix_table(found.evaluation, measure) for measure in measures]),
    )
    if found.comparison and found.baseline:
        order = [one.language for one in standings(found.evaluation, measures[0])]
        yield (
            "change",
            f"Against {found.baseline.evaluation.system}",
            _tabs("change", measures, [change_table(found.comparison, measure, order) for measure in measures]),
        )
    yield ("mixed", "All languages in one pool", mixed_section(found)) if found.system.mixed else None
    yield ("texts", "What the model does not see", _texts(found)) if found.texts else None
    yield ("failures", "What went wrong", failure_section(found)) if found.failures else None
    yield "numbers", "All numbers", _numbers(found)
    yield "notes", "Notes", _notes(found)


def _subtitle(found: Audit) -> str:
    cells = [cell for cell in found.evaluation.cells.values() if not cell.blank]
    blank = len(found.evaluation.cells) - len(cells)
    languages = {cell.pair.query_language for cell in cells}
    text = f"{len(cells)} pairs of languages measured, queries in {len(languages)} languages"
    return f"{text}; {blank} pairs are blank." if blank else f"{text}."


def _verdict(found: Audit) -> Html:
    """The result in a sentence or two."""
    measure = found.evaluation.measures[0]
    valued = [one for one in standings(found.evaluation, measure) if one.overall is not None]
    if not valued:
        return element("p", "No pair of languages has a value; the notes say why.", class_="verdict")
    values = {one.language: one.overall or 0.0 for one in valued}
    count = min(NAMED, max(1, len(valued) // 2))
    weakest, strongest = listed(names(valued[:count], values)), listed(names(valued[: -count - 1 : -1], values))
    parts: list[object] = ["Weakest: ", element("strong", weakest), "."]
    if len(valued) > 1:
        parts.append(f" Strongest: {strongest}. ")
    if found.comparison:
        alpha = found.comparison.alpha
        compared = [
            one for one in found.comparison.differences if one.measure == measure and one.difference is not None
        ]
        marks = [one.mark(alpha) for one in {one.pair: one for one in compared}.values()]
        parts.append(
            f"Of the {len(marks)} pairs that {found.comparison.before} has too, {marks.count('▲')} are significantly "
            f"better than there and {marks.count('▼')} worse."
        )
    return element("p", parts, class_="verdict")


def _tabs(group: str, measures: Sequence[str], tables: Sequence[Html]) -> Html:
    """A table at a time, chosen with radio buttons, which the keyboard and screen readers know."""
    if len(measures) == 1:
        return tables[0]
    buttons = [
        joined(
            element(
                "input", type="radio", name=group, id=f"{group}-{number}", class_=f"t{number}", checked=number == 0
            ),
            element("label", measure, for_=f"{group}-{number}"),
        )
        for number, measure in enumerate(measures)
    ]
    panels = [element("div", panel, class_=f"p{number}") for number, panel in enumerate(tables)]
    return element("div", buttons, panels, class_="tabs", role="group", aria_label="Measure")


def _texts(found: Audit) -> Html:
    rows = [
        element(
            "tr",
            row_header(row.language),
            element("td", "queries" if row.role == "query" else "passages"),
            element("td", f"{row.texts:,}"),
            element("td", f"{row.tokens / row.texts:.1f}"),
            element("td", percent(row.truncated_share), class_="worse" if row.truncated else None),
            element(
                "td",
                percent(row.unknown_share),
                class_="worse" if (row.unknown_share or 0) >= _NOTABLE_UNKNOWN else None,
            ),
        )
        for row in sorted(found.texts, key=lambda row: (row.language, row.role != "query"))
    ]
    caption = "By language: texts of which the end is cut off, and tokens that the vocabulary does not have."
    return table(caption, ["", "role", "texts", "tokens per text", "truncated", "unknown tokens"], rows)


def _numbers(found: Audit) -> Html:
    evaluation = found.evaluation
    summaries = element(
        "ul", [element("li", f"{summary.measure}, {summary_line(summary)}") for summary in evaluation.summaries()]
    )
    tables = [
        element(
            "details",
            element("summary", f"{measure}: every pair with queries, interval and difference"),
            element("div", _numbers_table(found, measure)),
        )
        for measure in evaluation.measures
    ]
    return joined(summaries, tables)


def _numbers_table(found: Audit, measure: str) -> Html:
    changes = (
        {one.pair: one for one in found.comparison.differences if one.measure == measure} if found.comparison else {}
    )
    header = ["pair", "queries", "passages", f"{measure} with 95 % interval", "unjudged in first 10"]
    header += [f"against {found.comparison.before}", "Holm p"] if found.comparison else []
    rows = []
    for cell in found.evaluation.cells.values():
        cells = [element("th", str(cell.pair), scope="row"), *_number_cells(found, cell, measure)]
        one = changes.get(cell.pair)
        if one is not None and one.difference is not None and found.comparison:
            mark = one.mark(found.comparison.alpha)
            class_ = {"▲": "better", "▼": "worse"}.get(mark)
            cells += [element("td", f"{one.difference:+.3f} {mark}", class_=class_), element("td", f"{one.p_holm:.4f}")]
        elif found.comparison:
            cells += [element("td", "–"), element("td", "–")]
        rows.append(element("tr", cells))
    return table(f"{measure}, query language first. A dash is a value that there is not.", header, rows)


def _number_cells(found: Audit, cell: Cell, measure: str) -> list[Html]:
    if cell.blank:
        return [element("td", "–"), element("td", "–"), element("td", cell.blank, class_="words"), element("td", "–")]
    return [
        element("td", f"{cell.queries:,}"),
        element("td", f"{cell.passages:,}"),
        element("td", with_interval(cell.scores[measure])),
        element("td", percent(found.system.unjudged.get(str(cell.pair)))),
    ]


def _notes(found: Audit) -> Html:
    fixed = [
        "Intervals are percentile intervals of a seeded bootstrap over queries; means of several pairs have none.",
        "Ties are ordered as trec_eval does it: score descending, then passage id descending.",
        "A result without a judgement counts as not relevant. Where a set judges only what is relevant, most results "
        "are unjudged, and that is no fault of the system.",
    ]
    notes = [*found.notes, *found.evaluation.notes]
    if found.baseline:
        notes += [f"{found.baseline.evaluation.system}: {note}" for note in found.baseline.evaluation.notes]
    return element("ul", [element("li", note) for note in (*notes, *fixed)], class_="notes")


def _style(measures: int) -> str:
    """The style sheet with the colours of both themes and the rules of the tabs."""
    sheet = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    light, dark = (_shades("w", weakness(theme)) + _shades("c", change(theme)) for theme in ("light", "dark"))
    tabs = "\n".join(f".t{number}:checked ~ .p{number} {{ display: block; }}" for number in range(measures))
    return f"{sheet}\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n{tabs}\n"


def _shades(letter: str, shades: Sequence[Shade]) -> str:
    return "\n".join(
        f".{letter}{step} {{ background: {shade.background}; color: {shade.ink}; }}"
        for step, shade in enumerate(shades)
    )
