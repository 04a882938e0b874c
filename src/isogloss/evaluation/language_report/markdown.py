"""The report as Markdown tables, for model cards and issue trackers."""

from __future__ import annotations

from collections.abc import Sequence

from isogloss.evaluation.comparison_report import comparison_grids
from isogloss.evaluation.language_report.audit import CROSS, Audit
from isogloss.evaluation.language_report.words import percent
from isogloss.evaluation.report import BLANK, Grid, evaluation_grids
from isogloss.evaluation.results import Estimate


def audit_grids(found: Audit) -> list[Grid]:
    """All tables of an audit; of the comparison, the pairs across languages are in the JSON and the page only."""
    grids = evaluation_grids(found.evaluation)
    if found.comparison:
        grids += [grid for grid in comparison_grids(found.comparison) if grid.header[0] != CROSS]
    if found.system.mixed:
        grids.append(_mixed_grid(found))
    if found.texts:
        grids.append(_texts_grid(found))
    return grids


def audit_markdown(found: Audit) -> str:
    """The whole report as Markdown."""
    heading = f"# {found.evaluation.system} on {found.evaluation.data}: every language\n"
    notes = "".join(f"- {note}\n" for note in found.notes)
    return "\n".join([heading, *(grid.markdown() for grid in audit_grids(found)), notes])


def _mixed_grid(found: Audit) -> Grid:
    rows = [
        (
            row.query_language,
            str(row.queries),
            _estimate(row.preference),
            _gap(list(row.rank_gap.values())),
            percent(row.attention.get(row.query_language)),
            _estimate(row.awrf),
            _estimate(row.peer),
        )
        for row in found.system.mixed.values()
    ]
    return Grid(
        title=f"{found.evaluation.system} over passages of all languages",
        header=("", "queries", "own outranks translation", "rank gap", "attention to own", "AWRF@20", "PEER@20"),
        rows=tuple(rows),
        notes=(
            "Own outranks translation: how often, where 0.5 is no preference. Rank gap: from the least to the greatest "
            "median over passage languages. PEER is blank where no language has two relevant passages of one grade.",
        ),
    )


def _texts_grid(found: Audit) -> Grid:
    rows = [
        (row.language, row.role, str(row.texts), percent(row.truncated_share), percent(row.unknown_share))
        for row in sorted(found.texts, key=lambda row: (row.language, row.role != "query"))
    ]
    return Grid(
        title="Texts that are cut off, and tokens that the vocabulary does not have",
        header=("", "role", "texts", "truncated", "unknown tokens"),
        rows=tuple(rows),
    )


def _estimate(value: Estimate | None) -> str:
    return BLANK if value is None else f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


def _gap(gaps: Sequence[float]) -> str:
    return f"{min(gaps):+g} to {max(gaps):+g}" if gaps else BLANK
