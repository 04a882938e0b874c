"""The order of results: score descending in float32, then passage id descending as a string, as trec_eval has it.

A result is one unsigned 64-bit key, with the bits of its score above and the place of its id among all ids below. To
compare two keys is to apply the rule, so a selection of the largest keys keeps it at the cut-off as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import DataError, Fault, raise_faults

NO_RESULT = np.uint64(0)
_SIGN = np.uint32(0x8000_0000)
_LOW = np.uint64(0xFFFF_FFFF)
_SHIFT = np.uint64(32)


class PassageOrder:
    """The passages of a collection in the order of their ids.

    Args:
        ids: Passage ids, each once.

    Raises:
        DataError: An id appears twice.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        by_id = sorted(range(len(ids)), key=ids.__getitem__)
        neighbours = pairwise(by_id)
        twice = [row for before, row in neighbours if ids[before] == ids[row]]
        faults = [Fault(f"passage {row}", f"id '{ids[row]}' appears twice") for row in twice]
        raise_faults(DataError, "Passage ids", faults, "Give each passage an id of its own.")
        self.ids = [ids[row] for row in by_id]
        self.places = np.empty(len(ids), dtype=np.uint64)
        self.places[by_id] = np.arange(len(ids), dtype=np.uint64)

    def results(self, keys: NDArray[np.uint64]) -> dict[str, float]:
        """Passage id to score, best first, from the keys of one query in any order."""
        keys = np.sort(keys[keys != NO_RESULT])[::-1]
        places = (keys & _LOW).tolist()
        return dict(zip([self.ids[place] for place in places], _scores_of(keys).tolist(), strict=True))


def ranking_keys(scores: NDArray[np.float32], places: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Keys from finite scores of any shape and the places of the passages' ids, which are its last axis."""
    bits = (scores + np.float32(0)).view(np.uint32)  # the addition turns -0 into 0, which trec_eval holds equal
    ordered = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    keys: NDArray[np.uint64] = (ordered.astype(np.uint64) << _SHIFT) | places
    return keys


def largest(keys: NDArray[np.uint64], k: int) -> NDArray[np.uint64]:
    """The k largest keys of each row, in no order; all of them where there are fewer."""
    columns = keys.shape[1]
    return keys if columns <= k else np.partition(keys, columns - k, axis=1)[:, columns - k :]


def scores_of(keys: NDArray[np.uint64]) -> NDArray[np.float32]:
    """The scores of keys, -inf where one is `NO_RESULT`."""
    return np.where(keys == NO_RESULT, np.float32(-np.inf), _scores_of(keys))


def ranked_passages(scores: Mapping[str, float]) -> list[str]:
    """Passage ids of one query of a run, best first."""
    values = np.fromiter(scores.values(), dtype=np.float32, count=len(scores)).tolist()
    return [passage_id for _, passage_id in sorted(zip(values, scores, strict=True), reverse=True)]


def _scores_of(keys: NDArray[np.uint64]) -> NDArray[np.float32]:
    ordered = (keys >> _SHIFT).astype(np.uint32)
    return np.where(ordered & _SIGN, ordered ^ _SIGN, ~ordered).view(np.float32)
