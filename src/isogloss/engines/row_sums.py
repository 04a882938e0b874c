"""Sums of table rows for many texts, in float32, each text's added up by itself in the order of its tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.byte_table import ByteTable
from isogloss.engines.tokenising import Ids

FEW_TOKENS = 2_048


class RowSums:
    """Adds up rows of a table. A text's sum does not depend on its neighbours, bit for bit.

    Args:
        table: float32, float16 or bytes, of shape (rows, dimension). Rows of a narrow table are widened to float32 when
            they are first needed in bulk, and kept.
    """

    def __init__(self, table: NDArray[np.floating] | ByteTable) -> None:
        self.table = table
        self._wide: NDArray[np.float32] | None = None
        self._widened = np.zeros(0, dtype=np.bool_)

    def add_up(self, ids: Ids) -> NDArray[np.float32]:
        """Sum of the rows of each text, shape (texts, dimension); a text without tokens has zeros."""
        if len(ids.flat) < FEW_TOKENS:
            return self._few(ids)
        from scipy.sparse import csr_matrix

        table = self._wide_table(ids.flat)
        ends = np.concatenate([[0], np.cumsum(ids.counts)])
        ones = np.ones(len(ids.flat), dtype=np.float32)
        sums: NDArray[np.float32] = csr_matrix((ones, ids.flat, ends), shape=(len(ids.counts), len(table))) @ table
        return sums

    def _few(self, ids: Ids) -> NDArray[np.float32]:
        """The same sums without SciPy, whose import would cost a single query more than all the rest."""
        sums = np.zeros((len(ids.counts), self.table.shape[1]), dtype=np.float32)
        rows = self.table[ids.flat].astype(np.float32, copy=False)
        start = 0
        for text, count in enumerate(ids.counts.tolist()):
            np.add.reduce(rows[start : start + count], axis=0, out=sums[text])
            start += count
        return sums

    def _wide_table(self, flat: NDArray[np.int32]) -> NDArray[np.floating]:
        if not isinstance(self.table, ByteTable) and self.table.dtype == np.float32:
            return self.table
        if self._wide is None:
            # Pages of rows that are never needed are never touched.
            self._wide = np.empty(self.table.shape, dtype=np.float32)
            self._widened = np.zeros(len(self.table), dtype=np.bool_)
        needed = np.zeros(len(self.table), dtype=np.bool_)
        needed[flat] = True
        new = np.flatnonzero(needed & ~self._widened)
        self._wide[new] = self.table[new]
        self._widened[new] = True
        return self._wide
