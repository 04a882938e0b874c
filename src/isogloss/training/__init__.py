"""Training: any objective, one cached-gradient step, exact resume.

    report = train("english-query-tuning", "tuned", overrides=["sources.rows.path=my-english.jsonl"])

`assembly` turns a recipe into terms and sources, `step` computes value and gradients, `trainer` runs them in the
Hugging Face Trainer, `checkpoints` writes its state without pickle, `run` puts it all into a folder.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from isogloss.errors import MissingExtraError

if TYPE_CHECKING:
    from isogloss.training.assembly import load_training_recipe
    from isogloss.training.report import TrainReport
    from isogloss.training.run import train
    from isogloss.training.sentence_transformers_loss import as_sentence_transformers_loss

_HOMES = {
    "as_sentence_transformers_loss": "isogloss.training.sentence_transformers_loss",
    "TrainReport": "isogloss.training.report",
    "load_training_recipe": "isogloss.training.assembly",
    "train": "isogloss.training.run",
}

_EXTRA_PACKAGES = ("torch", "transformers", "sentence_transformers", "accelerate")

__all__ = ["TrainReport", "as_sentence_transformers_loss", "load_training_recipe", "train"]


def __getattr__(name: str) -> Any:
    """Imports a public name on first use, so that reading batches needs no transformers."""
    if name not in _HOMES:
        raise AttributeError(f"module 'isogloss.training' has no attribute '{name}'")
    try:
        home = importlib.import_module(_HOMES[name])
    except ModuleNotFoundError as missing:
        if str(missing.name).split(".")[0] not in _EXTRA_PACKAGES:
            raise
        raise MissingExtraError("Training", "train") from missing
    return getattr(home, name)
