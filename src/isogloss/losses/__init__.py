"""Losses as pure functions of embeddings, and the terms that bind them to the roles of a row.

One file per loss: its equation and source, the function, the term. A new loss is one more file and one more entry in
`TERMS`.

Example:
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

from isogloss.losses.embedding_match import EmbeddingMatch, embedding_match
from isogloss.losses.infonce import InfoNCE, infonce
from isogloss.losses.semantic_contrastive import SemanticContrastive, semantic_contrastive
from isogloss.losses.terms import Embeddings, Term, masked_share, optional_roles, required_roles, teacher_roles, term
from isogloss.losses.triplet import Triplet, triplet

TERMS: Mapping[str, type[Any]] = MappingProxyType(
    {
        "infonce": InfoNCE,
        "triplet": Triplet,
        "semantic_contrastive": SemanticContrastive,
        "embedding_match": EmbeddingMatch,
    }
)

__all__ = [
    "TERMS",
    "EmbeddingMatch",
    "Embeddings",
    "InfoNCE",
    "SemanticContrastive",
    "Term",
    "Triplet",
    "embedding_match",
    "infonce",
    "masked_share",
    "optional_roles",
    "required_roles",
    "semantic_contrastive",
    "teacher_roles",
    "term",
    "triplet",
]
