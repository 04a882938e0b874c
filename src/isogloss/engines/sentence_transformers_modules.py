"""The module classes of sentence-transformers, under whichever path the installed release has them."""

from __future__ import annotations

from isogloss.errors import MissingExtraError

try:
    from sentence_transformers.sentence_transformer.modules import (
        Dense,
        Normalize,
        Pooling,
        Router,
        StaticEmbedding,
        Transformer,
    )
except ModuleNotFoundError as missing:
    if missing.name in ("sentence_transformers", "torch", "transformers"):
        raise MissingExtraError("This model", "train") from missing
    # Releases before 6 keep them here; later ones warn about the old path.
    from sentence_transformers.models import Dense, Normalize, Pooling, Router, StaticEmbedding, Transformer

__all__ = ["Dense", "Normalize", "Pooling", "Router", "StaticEmbedding", "Transformer"]
