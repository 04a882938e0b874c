"""What a model card is made of: scores that were measured, the manifest of a run, and what the model's folder says."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isogloss.errors import DataError, FileError
from isogloss.evaluation.pairs import MIXED, UNDETERMINED
from isogloss.evaluation.runs import SCORES
from isogloss.files import check_folder, read_json

AUDIT = "report.json"
MANIFEST = "manifest.json"
NOTES = "isogloss.json"


@dataclass(frozen=True)
class Scores:
    """An evaluation as its folder holds it.

    Attributes:
        data: Name of the evaluation set.
        measures: Measures, the leading one first.
        groups: Names of groups of pairs and the pairs' languages.
        cells: Cells by query language and passage language.
        summaries: Means by group and measure.
        notes: What a reader must know of the numbers.
        baseline: A system measured on the same pairs.
        system: Name of the system.
        texts: Counts of truncated texts and unknown tokens, by role and language, where they were taken.
    """

    data: str
    system: str
    measures: tuple[str, ...]
    groups: Mapping[str, tuple[tuple[str, str], ...]]
    cells: Mapping[tuple[str, str], Mapping[str, Any]]
    summaries: Mapping[tuple[str, str], Mapping[str, Any]]
    notes: tuple[str, ...]
    baseline: Scores | None = None
    texts: tuple[Mapping[str, Any], ...] = ()

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages with a value in some pair, in order."""
        valued = [pair for pair, cell in self.cells.items() if not cell["blank"]]
        return tuple(sorted({tag for pair in valued for tag in pair} - {MIXED, UNDETERMINED}))


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model beside its scores.

    Attributes:
        notes: Its `isogloss.json`, empty for a model of another maker.
        is_static: Whether a text is the mean of its words' vectors.
        manifest: What its training wrote, empty where none is known.
    """

    notes: Mapping[str, Any] = field(default_factory=dict)
    is_static: bool = False
    manifest: Mapping[str, Any] = field(default_factory=dict)


def read_scores(folder: str | os.PathLike[str]) -> Scores:
    """The evaluation in a folder that `isogloss evaluate` or `isogloss report` wrote.

    Raises:
        FileError: If it has none.
        DataError: If its file is of another shape.
    """
    place = check_folder(folder)
    file = next((place / name for name in (AUDIT, SCORES) if (place / name).is_file()), None)
    if file is None:
        raise FileError(
            f"{place} has neither {SCORES} nor {AUDIT}",
            next_step="Make it with `isogloss evaluate MODEL --data SET --out FOLDER`, or with `isogloss report`.",
        )
    content = read_json(file)
    try:
        if file.name == SCORES:
            return _scores(content, content["baseline"])
        return _scores(content["evaluation"], content["baseline"], content["texts"])
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is not what isogloss writes", next_step="Evaluate again.") from error


def _scores(content: Mapping[str, Any], baseline: Any, texts: Sequence[Mapping[str, Any]] = ()) -> Scores:
    def languages(pair: Mapping[str, str]) -> tuple[str, str]:
        return pair["query_language"], pair["passage_language"]

    return Scores(
        data=content["data"],
        system=content["system"],
        measures=tuple(content["measures"]),
        groups={group["name"]: tuple(map(languages, group["pairs"])) for group in content["groups"]},
        cells={languages(cell["pair"]): cell for cell in content["cells"]},
        summaries={(found["group"], found["measure"]): found for found in content["summaries"]},
        notes=tuple(content["notes"]),
        baseline=_scores(baseline, None) if baseline else None,
        texts=tuple(texts),
    )


def read_facts(folder: Path, manifest: str | os.PathLike[str] | None = None) -> ModelFacts:
    """What a model's folder says of it, and the manifest that `isogloss train` left beside it.

    Args:
        folder: The model's folder.
        manifest: Its manifest, or the folder of its run; None takes the one beside the model's folder.

    Raises:
        FileError: If the manifest that was named does not exist.
        DataError: If it is none.
    """
    place = folder.resolve().parent if manifest is None else Path(manifest)
    file = place / MANIFEST if place.is_dir() else place
    found: Any = {}
    if manifest is not None or file.is_file():
        found = read_json(file)
        if not isinstance(found, dict) or not {"recipe", "data", "rows_seen"} <= set(found):
            raise DataError(f"{file} is no manifest of a run", next_step="Give the folder that `isogloss train` wrote.")
    notes = read_json(folder / NOTES) if (folder / NOTES).is_file() else {}
    return ModelFacts(notes if isinstance(notes, dict) else {}, _is_static(folder), found)


def _is_static(folder: Path) -> bool:
    listed = read_json(folder / "modules.json") if (folder / "modules.json").is_file() else []
    return any(str(module.get("type", "")).endswith("StaticEmbedding") for module in listed)
