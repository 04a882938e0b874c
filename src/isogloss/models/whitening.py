"""Whitening a static model: its pieces use all axes of the space alike.

Training leaves most pieces near a few axes. The mean of many pieces is then mostly what all texts share, and what sets
two of them apart is lost beside it. Whitening vectors evens the axes (Su et al. 2021, 2103.15316, for whole texts);
that it is done to the directions of pieces, which keep their lengths, and in part only, is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.static import StaticEngine
from isogloss.errors import UsageError
from isogloss.models.keeping import refuse_other_than_static
from isogloss.models.retriever import Retriever, Tower

Vectors = NDArray[np.float32]
LEAST_SHARE = 1e-6


def whiten(retriever: Retriever, *, strength: float) -> Retriever:
    """The model with the directions of its pieces made even along their axes, which are in order afterwards.

    Both towers are turned alike, so that queries still meet their passages. The first axes are those along which the
    pieces varied most, so vectors that are cut to their first numbers lose least.

    Args:
        retriever: A static model, both of whose towers may change.
        strength: From 0, which turns the axes alone, to 1, at which the pieces vary nearly alike along all of them.

    Raises:
        UsageError: If the model is not static, or its passages are frozen.
    """
    refuse_unfit(retriever)
    query, passage = (cast("StaticEngine", tower.engine) for tower in (retriever.query, retriever.passage))
    own = (query,) if retriever.towers == "shared" else (query, passage)
    tables = whitened([engine.weights.astype(np.float32) for engine in own], strength=strength)
    made = [
        StaticEngine(table, engine.tokenizer, prompt=engine.prompt) for table, engine in zip(tables, own, strict=True)
    ]
    return replace(
        retriever,
        query=Tower("query", made[0], retriever.query.title_template),
        passage=Tower("passage", made[-1].with_prompt(passage.prompt), retriever.passage.title_template),
    )


def refuse_unfit(retriever: Retriever) -> None:
    """Raises a `UsageError` for a model that cannot be whitened."""
    refuse_other_than_static(retriever, what="whitening")
    if retriever.towers == "frozen_passage":
        raise UsageError(
            "whitening turns both towers, and the passages of this model are frozen",
            next_step="Leave model.whitening out, or whiten the model before its passages are encoded.",
        )


def whitened(tables: Sequence[Vectors], *, strength: float) -> list[Vectors]:
    """Tables whose rows keep their lengths while their directions, of all tables together, become even.

    With u the directions and e the eigenvalues of the mean of u uᵀ, the largest first, a direction becomes
    u E diag(e)^(-strength / 2), scaled to length 1, which leaves the axes a little uneven. Rows of zeros stay.

    Args:
        tables: Shape (pieces, dimension) each.
        strength: The power, from 0 to 1.
    """
    lengths = [np.linalg.norm(table, axis=1, keepdims=True) for table in tables]
    directions = [
        np.asarray(table / np.where(length > 0, length, 1.0), dtype=np.float32)
        for table, length in zip(tables, lengths, strict=True)
    ]
    axes = _axes(directions, strength)
    found = []
    for direction, length in zip(directions, lengths, strict=True):
        turned = direction @ axes
        width = np.linalg.norm(turned, axis=1, keepdims=True)
        found.append((turned / np.where(width > 0, width, 1.0) * length).astype(np.float32))
    return found


def _axes(directions: Sequence[Vectors], strength: float) -> Vectors:
    """Shape (dimension, dimension): the axes as columns, each with its factor."""
    count = sum(int(np.count_nonzero(np.any(rows, axis=1))) for rows in directions)
    moments = sum(np.asarray(rows.T @ rows, dtype=np.float64) for rows in directions) / max(count, 1)
    spread, axes = np.linalg.eigh(np.asarray(moments))
    spread, axes = spread[::-1], axes[:, ::-1]
    # An axis has no sign of its own: the same model on every machine needs one.
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    axes = axes * np.where(largest < 0, -1.0, 1.0)
    # An axis that no piece uses has nothing but rounding along it, which must not be blown up.
    used = spread > LEAST_SHARE * spread[0]
    factors = np.where(used, np.where(used, spread, 1.0) ** (-strength / 2), 0.0)
    return (axes * factors).astype(np.float32)
