"""What an exported tower is, read from its folder: its file, its tokens, and what becomes of its output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from isogloss.engines.bank_manifest import file_digest
from isogloss.engines.hashing import text_digest
from isogloss.engines.pooling import Pooling
from isogloss.errors import ModelError

UNLIMITED_LENGTH = 1_000_000


@dataclass(frozen=True)
class ExportNote:
    """What was noted of a file when it passed the parity gate.

    Attributes:
        sha256: Digest of the file then.
        parts: Fingerprint parts of the tower that it was exported from, `precision` being that of the file.
    """

    sha256: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, noted: Mapping[str, Any]) -> ExportNote:
        """Reads a note of `isogloss.json`; an empty one where nothing was noted."""
        return cls(str(noted.get("sha256", "")), dict(noted.get("parts") or {}))


@dataclass(frozen=True)
class ExportedTower:
    """An exported tower, described.

    Attributes:
        path: The file of the graph.
        tokenizer: Truncates at the tower's length.
        pooling: How token vectors become one; None where the graph does that.
        special_tokens: Whether the tokenizer adds them.
        lower_case: Whether texts are lower-cased before they are tokenised.
        padding: Id of the token that fills up short texts.
        note: What was noted at the export.
    """

    path: Path
    tokenizer: Tokenizer
    pooling: Pooling | None
    special_tokens: bool = True
    lower_case: bool = False
    padding: int = 0
    note: ExportNote = ExportNote()


def read_exported_tower(path: Path, folder: Path, pooling: Pooling | None, note: ExportNote) -> ExportedTower:
    """Describes the exported tower at `path`.

    Args:
        path: The file of the graph.
        folder: Where its tokenizer and configuration are.
        pooling: How token vectors become one; None for static models, whose graph does it.
        note: What was noted at the export.

    Raises:
        ModelError: If a file is missing or broken.
    """
    place = folder / "tokenizer.json"
    if not place.is_file():
        raise ModelError(f"{folder} has no tokenizer.json", next_step="Copy the whole model folder again.")
    try:
        tokenizer = Tokenizer.from_file(str(place))
    except Exception as broken:  # tokenizers raises plain Exception
        raise ModelError(
            f"{place} cannot be read: {broken}", next_step="Copy the whole model folder again."
        ) from broken
    tokenizer.no_padding()
    tower = ExportedTower(path, tokenizer, pooling, note=note)
    if pooling is None:
        return replace(tower, special_tokens=False)
    settings, model = _read(folder / "sentence_bert_config.json"), _read(folder / "config.json")
    lengths = (
        settings.get("max_seq_length"),
        _read(folder / "tokenizer_config.json").get("model_max_length"),
        model.get("max_position_embeddings"),
    )
    limit = next((int(length) for length in lengths if length and length < UNLIMITED_LENGTH), None)
    tokenizer.no_truncation()
    if limit is not None:
        tokenizer.enable_truncation(limit)
    lower_case = bool(settings.get("do_lower_case"))
    return replace(tower, lower_case=lower_case, padding=int(model.get("pad_token_id") or 0))


def graph_digest(path: Path) -> str:
    """SHA-256 of the file of a graph, and of the file of its weights where OpenVINO keeps them beside it."""
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        return file_digest(path)
    return text_digest(file_digest(path) + file_digest(weights))


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as broken:
        raise ModelError(f"{path} cannot be read: {broken}", next_step="Copy the whole model folder again.") from broken
    return found if isinstance(found, dict) else {}
