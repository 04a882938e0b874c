"""A static retriever with other weights, for tests of what changes a table and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from isogloss import Retriever
from isogloss.engines.static import StaticEngine
from isogloss.models.retriever import Tower


def with_weights(retriever: Retriever, weights: np.ndarray) -> Retriever:
    """The retriever over another table, shared by both towers, with a prompt for each role and a title template."""
    engine = StaticEngine(weights, retriever.query.engine.tokenizer)
    passage = Tower("passage", engine.with_prompt("p: "), "{title}: {text}")
    return replace(retriever, query=Tower("query", engine.with_prompt("q: ")), passage=passage)
