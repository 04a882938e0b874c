"""Writes a language report: a page, a picture, JSON and Markdown, in one folder or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from isogloss.evaluation.language_report.audit import Audit, audit
from isogloss.evaluation.language_report.heatmap import draw_heatmap, require_matplotlib
from isogloss.evaluation.language_report.markdown import audit_markdown
from isogloss.evaluation.language_report.page import page
from isogloss.evaluation.runs import RunSource
from isogloss.files import FolderKind, atomic_folder, refuse_occupied, write_json, write_text
from isogloss.records import EvalSet

PAGE, PICTURE, NUMBERS, TABLES = "report.html", "heatmap.png", "report.json", "report.md"
REPORT = FolderKind("a report", NUMBERS, (PAGE, PICTURE, TABLES))


def report(
    runs: RunSource | Sequence[RunSource],
    eval_set: EvalSet,
    out: str | os.PathLike[str],
    *,
    heatmap: bool = True,
    overwrite: bool = False,
    **options: Any,
) -> Audit:
    """Audits the runs of any system and writes what it found.

    Args:
        runs: The runs of one system, see `collect_runs`.
        eval_set: What they were made for.
        out: Folder for `report.html`, `heatmap.png`, `report.json` and `report.md`.
        heatmap: Whether the picture is drawn, which needs the extra `report`.
        overwrite: Whether an existing folder is replaced.
        options: Those of `audit`: a baseline, pairs, measures, a retriever, names, seeds.

    Raises:
        MissingExtraError: The picture is wanted and matplotlib is not installed.
        UsageError: Pairs or measures that mean nothing here.
        FileError: A path does not exist, or `out` is occupied or cannot be written.
        DataError: A run is broken, or is not of this set.
    """
    if heatmap:
        require_matplotlib()
    refuse_occupied(out, overwrite=overwrite, kind=REPORT)
    found = audit(runs, eval_set, **options)
    with atomic_folder(out, overwrite=overwrite, kind=REPORT) as folder:
        write_text(folder / PAGE, page(found))
        write_json(folder / NUMBERS, found.to_json())
        write_text(folder / TABLES, audit_markdown(found))
        if heatmap:
            draw_heatmap(found.evaluation, folder / PICTURE)
    return found
