"""Isogloss: train, measure and serve multilingual dense retrievers.

The names below are imported on first use, so that `import isogloss` needs neither torch nor transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isogloss.engines.bank import Bank
    from isogloss.errors import IsoglossError
    from isogloss.models.bundled import bundled_model
    from isogloss.models.retriever import Retriever
    from isogloss.records import EvalSet, ParallelRow, Row, Text

__version__ = "0.1.0"

_HOMES = {
    "Bank": "isogloss.engines.bank",
    "EvalSet": "isogloss.records",
    "IsoglossError": "isogloss.errors",
    "ParallelRow": "isogloss.records",
    "Retriever": "isogloss.models.retriever",
    "Row": "isogloss.records",
    "Text": "isogloss.records",
    "bundled_model": "isogloss.models.bundled",
}

__all__ = [
    "Bank",
    "EvalSet",
    "IsoglossError",
    "ParallelRow",
    "Retriever",
    "Row",
    "Text",
    "__version__",
    "bundled_model",
]


def __getattr__(name: str) -> Any:
    """Imports a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'isogloss' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
