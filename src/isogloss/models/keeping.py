"""A trained static model that keeps a part of what it began with, piece by piece.

Training fits its rows, and long training fits them too well: what the start knew of pieces that are rare in them fades.
A mean with the start brings it back, as that of the weights of a tuned network and its start does (Wortsman et al.
2022, 2109.01903). Direction and length are apart here, for they say different things: what a piece means, and how much
it counts. That is ours.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.static import StaticEngine
from isogloss.errors import UsageError
from isogloss.models.retriever import Retriever, Tower

Vectors = NDArray[np.float32]


def keep_of_start(
    trained: Retriever, start: Retriever, *, direction: float, length: float, power: float = 1.0
) -> Retriever:
    """The trained model with a part of its start in each vector of a piece.

    Args:
        trained: A static model.
        start: The model that it was trained from.
        direction: Weight of a piece's first direction beside 1 for the trained one.
        length: Share of its first length, from 0 to 1, in the geometric mean of both lengths.
        power: Exponent on that mean: above 1, long pieces, which are the rare ones, count still more.

    Raises:
        UsageError: If they are not static models with the same pieces.
    """
    refuse_other_than_static(trained)
    refuse_other_than_static(start)
    mix = partial(_kept, direction=direction, length=length, power=power)
    query = mix(trained.query, start.query)
    if trained.towers == "shared":
        passage = Tower("passage", query.engine.with_prompt(trained.passage.prompt), trained.passage.title_template)
    elif trained.towers == "frozen_passage":
        passage = trained.passage
    else:
        passage = mix(trained.passage, start.passage)
    return replace(trained, query=query, passage=passage)


def refuse_other_than_static(retriever: Retriever, *, what: str = "keep_of_start") -> None:
    """Raises a `UsageError` for a model whose pieces have no vectors of their own, which `what` is for."""
    for tower in (retriever.query, retriever.passage):
        if not isinstance(tower.engine, StaticEngine):
            raise UsageError(
                f"{what} is for static models, and the {tower.role} tower is computed by {type(tower.engine).__name__}",
                next_step=f"Leave model.{what} out; `isogloss merge` takes the mean of any two models.",
            )


def mixed(trained: Vectors, start: Vectors, *, direction: float, length: float, power: float = 1.0) -> Vectors:
    """Vectors between two, shape (pieces, dimension); where one of the two is zero the trained one stays.

    With t and s the vectors of a piece and t̂ and ŝ their directions, (|t|^(1-length) · |s|^length)^power in the
    direction of t̂ + direction · ŝ.
    """
    lengths = [np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float64) for vectors in (trained, start)]
    there = (lengths[0] > 0) & (lengths[1] > 0)
    of_trained, of_start = (np.where(there, found, 1.0) for found in lengths)
    towards = trained / of_trained + direction * (start / of_start)
    width = np.linalg.norm(towards, axis=1, keepdims=True)
    found = towards / np.where(width > 0, width, 1.0) * (of_trained ** (1 - length) * of_start**length) ** power
    return np.where(there & (width > 0), found, trained).astype(np.float32)


def _kept(tower: Tower, start: Tower, *, direction: float, length: float, power: float) -> Tower:
    engine, begun = cast("StaticEngine", tower.engine), cast("StaticEngine", start.engine)
    if engine.weights.shape != begun.weights.shape:
        raise UsageError(
            f"keep_of_start: tables of {engine.weights.shape} and of {begun.weights.shape}",
            next_step="Give the model that was trained and the one that it was trained from.",
        )
    tables = (one.weights.astype(np.float32) for one in (engine, begun))
    weights = mixed(*tables, direction=direction, length=length, power=power)
    return Tower(tower.role, StaticEngine(weights, engine.tokenizer, prompt=engine.prompt), tower.title_template)
