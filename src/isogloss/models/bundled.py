"""The small multilingual model that ships with the package."""

from __future__ import annotations

from pathlib import Path

from isogloss.errors import ModelError

BUNDLED = "bundled"


def bundled_model() -> Path:
    """Path of the folder of the bundled model, in the sentence-transformers layout.

    Raises:
        ModelError: If this installation has none.
    """
    folder = Path(__file__).parent / BUNDLED
    if not (folder / "modules.json").is_file():
        raise ModelError(
            f"This installation has no bundled model in {folder}",
            next_step="Install the released wheel (pip install isogloss), or give the path of a model folder.",
        )
    return folder
