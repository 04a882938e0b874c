"""Query generation: a generator that is trained, scores as a teacher, and writes queries in named languages.

    train_generator("query-generator", "generator", overrides=["rows.path=rows.jsonl"])
    score_rows("mined.jsonl", "scored.jsonl", generator="generator/model")
    generate_queries("scored.jsonl", "taught.jsonl", LocalWriter(...), settings)

`prompts` holds the one prompt of training, scoring and generating; `likelihood` and `score_cache` the teacher's scores;
`journal` what was generated so far; `filters` what is dropped, and why.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from isogloss.errors import MissingExtraError

if TYPE_CHECKING:
    from isogloss.generation.endpoint import EndpointSettings, EndpointWriter
    from isogloss.generation.generate import GenerateReport, generate_queries
    from isogloss.generation.generator import QueryGenerator
    from isogloss.generation.local import LocalWriter
    from isogloss.generation.run import GeneratorReport, train_generator
    from isogloss.generation.scoring import ScoreReport, score_rows
    from isogloss.generation.settings import GenerateSettings, ScoreSettings

_HOMES = {
    "EndpointSettings": "isogloss.generation.endpoint",
    "EndpointWriter": "isogloss.generation.endpoint",
    "GenerateReport": "isogloss.generation.generate",
    "GenerateSettings": "isogloss.generation.settings",
    "GeneratorReport": "isogloss.generation.run",
    "LocalWriter": "isogloss.generation.local",
    "QueryGenerator": "isogloss.generation.generator",
    "ScoreReport": "isogloss.generation.scoring",
    "ScoreSettings": "isogloss.generation.settings",
    "generate_queries": "isogloss.generation.generate",
    "score_rows": "isogloss.generation.scoring",
    "train_generator": "isogloss.generation.run",
}

_EXTRA_PACKAGES = ("torch", "transformers", "accelerate")

__all__ = [
    "EndpointSettings",
    "EndpointWriter",
    "GenerateReport",
    "GenerateSettings",
    "GeneratorReport",
    "LocalWriter",
    "QueryGenerator",
    "ScoreReport",
    "ScoreSettings",
    "generate_queries",
    "score_rows",
    "train_generator",
]


def __getattr__(name: str) -> Any:
    """Imports a public name on first use, so that asking an endpoint needs no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'isogloss.generation' has no attribute '{name}'")
    try:
        home = importlib.import_module(_HOMES[name])
    except ModuleNotFoundError as missing:
        if str(missing.name).split(".")[0] not in _EXTRA_PACKAGES:
            raise
        raise MissingExtraError("A query generator", "train") from missing
    return getattr(home, name)
