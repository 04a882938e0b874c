"""Tables of a comparison."""

from __future__ import annotations

from isogloss.evaluation.compare import Comparison, Difference
from isogloss.evaluation.report import BLANK, NOT_ASKED, Grid, is_by_language


def comparison_grids(comparison: Comparison) -> list[Grid]:
    """Tables of every measure: one row per language where the pairs allow it, else one row per pair."""
    grids = []
    measures = dict.fromkeys(found.measure for found in comparison.differences)
    groups = dict.fromkeys(found.group for found in comparison.differences)
    for measure in measures:
        by_language = [group for group in groups if is_by_language(group)]
        if by_language:
            grids.append(_language_grid(comparison, measure, by_language))
        grids += [_pair_grid(comparison, measure, group) for group in groups if not is_by_language(group)]
    return grids


def comparison_markdown(comparison: Comparison) -> str:
    """All tables of a comparison as one Markdown text."""
    heading = f"# {comparison.after} against {comparison.before} on {comparison.data}\n"
    return "\n".join([heading, *(grid.markdown() for grid in comparison_grids(comparison))])


def _language_grid(comparison: Comparison, measure: str, groups: list[str]) -> Grid:
    rows: dict[str, dict[str, Difference]] = {}
    for found in _rows(comparison, measure, groups):
        rows.setdefault(found.language, {})[found.group] = found
    return Grid(
        title=_title(comparison, measure),
        header=("", *groups),
        rows=tuple(
            (language, *(_change(rows[language].get(group), comparison.alpha) for group in groups))
            for language in sorted(rows)
        ),
        totals=(("mean difference", *(_mean(comparison, group, measure) for group in groups)),),
        notes=_notes(comparison, _rows(comparison, measure, groups)),
    )


def _pair_grid(comparison: Comparison, measure: str, group: str) -> Grid:
    found = _rows(comparison, measure, [group])
    rows = [(str(row.pair), str(row.queries), _change(row, comparison.alpha), _p(row)) for row in found]
    return Grid(
        title=_title(comparison, measure),
        header=(group, "queries", "before → after", "Holm p"),
        rows=tuple(rows),
        totals=(("mean difference", "", _mean(comparison, group, measure), ""),),
        notes=_notes(comparison, found),
    )


def _rows(comparison: Comparison, measure: str, groups: list[str]) -> list[Difference]:
    return [found for found in comparison.differences if found.measure == measure and found.group in groups]


def _title(comparison: Comparison, measure: str) -> str:
    return f"{measure} on {comparison.data}: {comparison.before} → {comparison.after}"


def _change(found: Difference | None, alpha: float) -> str:
    if found is None:
        return NOT_ASKED
    if found.before is None or found.after is None or found.difference is None:
        return BLANK
    return f"{found.before:.3f} → {found.after:.3f} ({found.difference:+.3f}) {found.mark(alpha) or ' '}"


def _p(found: Difference) -> str:
    return BLANK if found.p_holm is None else f"{found.p_holm:.4f}"


def _mean(comparison: Comparison, group: str, measure: str) -> str:
    value, counted, asked = comparison.mean_difference(group, measure)
    if value is None:
        return BLANK
    return f"{value:+.3f}" if counted == asked else f"{value:+.3f} ({counted} of {asked})"


def _notes(comparison: Comparison, rows: list[Difference]) -> tuple[str, ...]:
    legend = (
        f"▲ better, ▼ worse: paired randomisation test over queries, p < {comparison.alpha:g} after Holm's correction "
        "over the languages of the column."
    )
    blank = [f"{row.group} {row.pair} is blank and in no mean: {row.blank}." for row in rows if row.blank]
    return (legend, *blank, *comparison.notes)
