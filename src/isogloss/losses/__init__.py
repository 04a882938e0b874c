"""Losses as pure functions of embeddings, and the terms that bind them to the roles of a row.

One file per loss: its equation and source, the function, the term. A new loss is one more file and one more entry in
`TERMS`.

Examples:
    >>> import torch
    >>> from isogloss.losses import triplet
    >>> unit = torch.eye(2, dtype=torch.float64)
    >>> float(triplet(unit, unit, unit.flip(0), margin=1.5))
    0.5
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from isogloss.losses.alignment import Alignment, alignment
from isogloss.losses.clear import Clear, clear
from isogloss.losses.distillation import Distillation, distillation
from isogloss.losses.embedding_match import EmbeddingMatch, embedding_match
from isogloss.losses.infonce import InfoNCE, infonce
from isogloss.losses.language_contrastive import LanguageContrastive, language_contrastive
from isogloss.losses.margin_mse import MarginMSE, margin_mse
from isogloss.losses.semantic_contrastive import SemanticContrastive, semantic_contrastive
from isogloss.losses.terms import (
    Embeddings,
    Term,
    masked_share,
    measurements,
    optional_roles,
    required_roles,
    teacher_roles,
    term,
    value_names,
)
from isogloss.losses.triplet import Triplet, triplet

TERMS: Mapping[str, type[Any]] = MappingProxyType(
    {
        "infonce": InfoNCE,
        "triplet": Triplet,
        "semantic_contrastive": SemanticContrastive,
        "language_contrastive": LanguageContrastive,
        "embedding_match": EmbeddingMatch,
        "distillation": Distillation,
        "margin_mse": MarginMSE,
        "alignment": Alignment,
        "clear": Clear,
    }
)

__all__ = [
    "TERMS",
    "Alignment",
    "Clear",
    "Distillation",
    "EmbeddingMatch",
    "Embeddings",
    "InfoNCE",
    "LanguageContrastive",
    "MarginMSE",
    "SemanticContrastive",
    "Term",
    "Triplet",
    "alignment",
    "clear",
    "distillation",
    "embedding_match",
    "infonce",
    "language_contrastive",
    "margin_mse",
    "masked_share",
    "measurements",
    "optional_roles",
    "required_roles",
    "semantic_contrastive",
    "teacher_roles",
    "term",
    "triplet",
    "value_names",
]
