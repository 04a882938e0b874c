"""The scores of evaluations as the page's report shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from isogloss.errors import DataError, Fault, raise_faults
from isogloss.files import check_folder, read_json

SCORES = "scores.json"


def read_reports(folder: Path | None) -> bytes:
    """The scores in a folder of `isogloss evaluate`, or in the folders right below it, as one JSON body.

    Raises:
        FileError: The folder or a file cannot be read.
        DataError: There are no scores, or a file has another shape.
    """
    if folder is None:
        return b'{"reports":[]}'
    check_folder(folder)
    files = [folder / SCORES] if (folder / SCORES).is_file() else sorted(folder.glob(f"*/{SCORES}"))
    if not files:
        raise DataError(f"{folder} has no {SCORES}", next_step="Give the --out folder of `isogloss evaluate`.")
    faults: list[Fault] = []
    reports = []
    for file in files:
        scores = read_json(file)
        try:
            reports += [_report(scores)] + ([_report(scores["baseline"])] if scores.get("baseline") else [])
        except (KeyError, TypeError, AttributeError):
            faults.append(Fault(str(file), "is no scores.json of `isogloss evaluate`"))
    raise_faults(DataError, str(folder), faults, "Evaluate again, or leave the file out.")
    return json.dumps({"reports": reports}).encode()


def _report(scores: dict[str, Any]) -> dict[str, Any]:
    cells = [
        {
            "query": cell["pair"]["query_language"],
            "passage": cell["pair"]["passage_language"],
            "queries": int(cell["queries"]),
            "passages": int(cell["passages"]),
            "blank": cell["blank"],
            "scores": {
                measure: [float(found["value"]), float(found["low"]), float(found["high"])]
                for measure, found in cell["scores"].items()
            },
        }
        for cell in scores["cells"]
    ]
    measures = [str(measure) for measure in scores["measures"]]
    return {
        "system": str(scores["system"]),
        "data": str(scores["data"]),
        "measures": measures,
        "cells": cells,
        "notes": [str(note) for note in scores["notes"]],
    }
