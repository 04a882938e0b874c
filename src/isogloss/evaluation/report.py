"""Tables of an evaluation: built once as rows of text, shown by rich or written as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from isogloss.evaluation.pairs import MIXED
from isogloss.evaluation.results import Cell, Evaluation, Summary

if TYPE_CHECKING:
    from rich.table import Table

NOT_ASKED = "·"
BLANK = "blank"


@dataclass(frozen=True)
class Grid:
    """A table as text.

    Attributes:
        title: What the values are.
        header: Names of the columns; the first one names the rows.
        rows: Rows of cells.
        totals: Rows that summarise the others.
        notes: What a reader must know, below the table.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    totals: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = field(default=())

    def markdown(self) -> str:
        """The table in Markdown, its notes as a list."""
        lines = [f"**{self.title}**", "", _line(self.header), _line(["---", *["---:"] * (len(self.header) - 1)])]
        lines += [_line(row) for row in (*self.rows, *self.totals)]
        if self.notes:
            lines += ["", markdown_list(self.notes)]
        return "\n".join(lines) + "\n"

    def rich(self) -> Table:
        """The table for a terminal, its notes as the caption."""
        from rich.table import Table
        from rich.text import Text

        caption = Text("\n".join(self.notes)) if self.notes else None
        table = Table(title=self.title, title_justify="left", caption=caption, caption_justify="left")
        for number, name in enumerate(self.header):
            table.add_column(name, justify="right" if number else "left", no_wrap=True)
        for number, row in enumerate(self.rows, start=1):
            table.add_row(*map(Text, row), end_section=number == len(self.rows))
        for row in self.totals:
            table.add_row(*map(Text, row), style="bold")
        return table


def markdown_list(lines: Sequence[str]) -> str:
    """Lines as a list in Markdown."""
    return "\n".join(f"- {line}" for line in lines)


def matrix_grid(evaluation: Evaluation, measure: str) -> Grid:
    """Query languages down, passage languages across; a dot where a pair was not asked for."""
    queries = sorted({cell.pair.query_language for cell in evaluation.cells.values()})
    passages = {cell.pair.passage_language for cell in evaluation.cells.values()}
    across = sorted(passages - {MIXED}) + sorted(passages & {MIXED})
    rows = []
    for query in queries:
        cells = [evaluation.cells.get(f"{query}-{passage}") for passage in across]
        rows.append((query, *(_value(cell, measure) for cell in cells)))
    notes = [summary_line(evaluation.summary(group.name, measure)) for group in evaluation.groups]
    return Grid(
        title=f"{measure} of {evaluation.system} on {evaluation.data}: query language ↓, passage language →",
        header=("", *across),
        rows=tuple(rows),
        notes=(*notes, *evaluation.notes),
    )


def language_grid(evaluation: Evaluation, measure: str) -> Grid:
    """One row per language, one column per group of pairs, with intervals; BM25 beside `same` where it was measured."""
    groups = [group for group in evaluation.groups if is_by_language(group.name)]
    columns: list[tuple[str, Evaluation, str]] = [(group.name, evaluation, group.name) for group in groups]
    if evaluation.baseline and any(group.name == "same" for group in groups):
        columns.append((f"{evaluation.baseline.system} same", evaluation.baseline, "same"))
    languages = sorted({_language(name, cell) for _, source, name in columns for cell in _cells(source, name)})
    rows = []
    for language in languages:
        found = [_cell_for(language, source, name) for _, source, name in columns]
        count = max((cell.queries for cell in found if cell), default=0)
        rows.append((language, str(count), *(_interval(cell, measure) for cell in found)))
    summaries = [source.summary(name, measure) for _, source, name in columns]
    return Grid(
        title=f"{measure} of {evaluation.system} on {evaluation.data}, by language, with 95 % intervals",
        header=("", "queries", *(title for title, _, _ in columns)),
        rows=tuple(rows),
        totals=_totals(summaries),
        notes=(*_blanks(summaries), *evaluation.notes),
    )


def evaluation_grids(evaluation: Evaluation) -> list[Grid]:
    """The tables of every measure: by language where the pairs allow it, and the matrix.

    BM25 has a table of its own where languages were crossed: beside the model's columns it would be too wide to read.
    """
    grids = []
    names = [group.name for group in evaluation.groups if is_by_language(group.name)]
    for measure in evaluation.measures:
        if names:
            grids.append(language_grid(evaluation, measure))
        if evaluation.baseline and set(names) - {"same"}:
            grids.append(language_grid(evaluation.baseline, measure))
        grids.append(matrix_grid(evaluation, measure))
    return grids


def evaluation_markdown(evaluation: Evaluation) -> str:
    """All tables of an evaluation as one Markdown text."""
    heading = f"# {evaluation.system} on {evaluation.data}\n"
    return "\n".join([heading, *(grid.markdown() for grid in evaluation_grids(evaluation))])


def summary_line(summary: Summary) -> str:
    """A summary in words; it says how many pairs it is the mean of and names the blank ones."""
    start = f"{summary.group}: "
    blank = f"; blank and in no mean: {', '.join(summary.blank)}" if summary.blank else ""
    if summary.macro is None or summary.micro is None:
        return f"{start}no pair has a value{blank}."
    worst = ", ".join(f"{name} {value:.3f}" for name, value in summary.worst)
    over = f"over {summary.counted} of {summary.asked} pairs" if summary.blank else f"over {summary.counted} pairs"
    return f"{start}macro mean {summary.macro:.3f} {over}, micro {summary.micro:.3f}; worst: {worst}{blank}."


def _totals(summaries: Sequence[Summary]) -> tuple[tuple[str, ...], ...]:
    def means(value: float | None, summary: Summary) -> str:
        if value is None:
            return BLANK
        return f"{value:.3f} ({summary.counted} of {summary.asked})" if summary.blank else f"{value:.3f}"

    worst = [f"{found.worst[0][0]} {found.worst[0][1]:.3f}" if found.worst else BLANK for found in summaries]
    return (
        ("macro mean", "", *(means(found.macro, found) for found in summaries)),
        ("micro mean", "", *(means(found.micro, found) for found in summaries)),
        ("worst", "", *worst),
    )


def _blanks(summaries: Sequence[Summary]) -> list[str]:
    return [summary_line(summary) for summary in summaries if summary.blank]


def is_by_language(group: str) -> bool:
    """Whether the pairs of a group differ in one language only, so that they can be rows of one column."""
    return group in ("same", MIXED) or group.startswith(("to-", "from-"))


def _language(group: str, cell: Cell) -> str:
    return cell.pair.passage_language if group.startswith("from-") else cell.pair.query_language


def _cells(evaluation: Evaluation, group: str) -> list[Cell]:
    return [evaluation.cells[str(pair)] for found in evaluation.groups if found.name == group for pair in found.pairs]


def _cell_for(language: str, evaluation: Evaluation, group: str) -> Cell | None:
    return next((cell for cell in _cells(evaluation, group) if _language(group, cell) == language), None)


def _value(cell: Cell | None, measure: str) -> str:
    if cell is None:
        return NOT_ASKED
    return BLANK if cell.blank else f"{cell.scores[measure].value:.3f}"


def _interval(cell: Cell | None, measure: str) -> str:
    if cell is None or cell.blank:
        return _value(cell, measure)
    score = cell.scores[measure]
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
