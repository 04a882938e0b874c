"""The module classes of sentence-transformers, under whichever path the installed release has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isogloss.errors import MissingExtraError

if TYPE_CHECKING:
    from sentence_transformers.sentence_transformer.modules import (
        Normalize,
        Pooling,
        Router,
        StaticEmbedding,
        Transformer,
    )
else:
    try:
        import sentence_transformers
    except ModuleNotFoundError as missing:
        raise MissingExtraError("This model", "train") from missing
    if int(sentence_transformers.__version__.split(".")[0]) >= 6:
        from sentence_transformers.sentence_transformer import modules
    else:
        from sentence_transformers import models as modules
    Normalize, Pooling, Router = modules.Normalize, modules.Pooling, modules.Router
    StaticEmbedding, Transformer = modules.StaticEmbedding, modules.Transformer

__all__ = ["Normalize", "Pooling", "Router", "StaticEmbedding", "Transformer"]
