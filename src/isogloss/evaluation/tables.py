"""Runs from what other tools hold in memory: tables with columns, and plain dictionaries.

A table is anything with named columns (a pandas or polars frame, a Hugging Face dataset); no library is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isogloss.errors import DataError, Fault, did_you_mean, raise_faults

QUERY_COLUMNS = ("query_id", "query-id", "qid", "q_id", "query")
PASSAGE_COLUMNS = ("passage_id", "doc_id", "docid", "docno", "corpus-id", "corpus_id", "pid")
SCORE_COLUMNS = ("score", "sim")


def is_table(source: Any) -> bool:
    """Whether something has named columns."""
    return hasattr(source, "column_names") or (hasattr(source, "columns") and not isinstance(source, Mapping))


def run_of_table(table: Any) -> dict[str, dict[str, float]]:
    """Scores by query id and passage id.

    Args:
        table: With a column of queries (`query_id`, `qid`, …), of passages (`doc_id`, `docno`, …) and of scores.

    Raises:
        DataError: If a column is missing, or a passage stands twice under a query.
    """
    return {query: dict(found) for query, found in _nested(table, SCORE_COLUMNS, float).items()}


def _nested(table: Any, values: Sequence[str], kind: type) -> dict[str, dict[str, Any]]:
    names = [str(name) for name in (getattr(table, "column_names", None) or table.columns)]
    wanted = {"query": QUERY_COLUMNS, "passage": PASSAGE_COLUMNS, "value": values}
    found = {role: next((name for name in known if name in names), None) for role, known in wanted.items()}
    faults = [
        Fault(f"column of each {role}", f"none of {', '.join(wanted[role])}{did_you_mean(wanted[role][0], names)}")
        for role, name in found.items()
        if name is None
    ]
    raise_faults(DataError, "Table", faults, f"It has the columns {', '.join(names)}: rename them.")
    nested: dict[str, dict[str, Any]] = {}
    twice = []
    for row, (query, passage, value) in enumerate(zip(*(list(table[found[role]]) for role in wanted), strict=True)):
        inner = nested.setdefault(str(query), {})
        if str(passage) in inner:
            twice.append(Fault(f"row {row}", f"passage '{passage}' stands twice under query '{query}'"))
        inner[str(passage)] = kind(value)
    raise_faults(DataError, "Table", twice, "Keep one row for each query and passage.")
    return nested
