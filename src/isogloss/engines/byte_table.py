"""Tables of token vectors kept in one byte a number, with a power of two for each row.

A row is codes from -127 to 127 times 2^exponent, with the least exponent that holds its largest number. So rounding
moves a number by at most 1/127 of the largest of its row; a row has one form only; and float16 and float32 hold the
same values exactly. The files are those of model2vec: `embeddings` and a weight per row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

LARGEST = 127
ROWS_AT_ONCE = 4_096
ROWS_AT_FIRST = 16


@dataclass(frozen=True, eq=False)
class ByteTable:
    """Rows of numbers in a quarter of the memory of float32.

    Attributes:
        codes: int8, shape (rows, dimension).
        scales: float32, shape (rows,): the power of two that the codes of a row are multiplied by.
    """

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and dimension."""
        return self.codes.shape

    @property
    def ndim(self) -> int:
        """2 for a table."""
        return self.codes.ndim

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: NDArray[np.integer] | slice) -> NDArray[np.float32]:
        """The values of these rows, float32, shape (rows, dimension)."""
        values: NDArray[np.float32] = self.codes[rows].astype(np.float32)
        values *= self.scales[rows][:, None]
        return values

    def copy(self) -> ByteTable:
        """A copy that shares no memory."""
        return ByteTable(self.codes.copy(), self.scales.copy())


def rounded_to_bytes(table: NDArray[np.floating] | ByteTable) -> ByteTable:
    """The table with every number rounded to the nearest code of its row.

    Args:
        table: Finite numbers, shape (rows, dimension).
    """
    if isinstance(table, ByteTable):
        return table
    codes = np.empty(table.shape, dtype=np.int8)
    scales = np.empty(len(table), dtype=np.float32)
    for start in range(0, len(table), ROWS_AT_ONCE):
        block = slice(start, start + ROWS_AT_ONCE)
        values = table[block].astype(np.float32)
        scales[block] = _scales(values)
        codes[block] = np.rint(values / scales[block][:, None])
    return ByteTable(codes, scales)


def as_bytes(table: NDArray[np.generic]) -> ByteTable | None:
    """The very same values in bytes, or None where some row is not of this form.

    Args:
        table: Numbers of shape (rows, dimension).
    """
    if table.ndim != 2 or not table.size or table.dtype not in (np.float16, np.float32):
        return None
    if not (_is_exact(table[:ROWS_AT_FIRST]) and _is_exact(table)):
        return None
    return rounded_to_bytes(cast("NDArray[np.floating]", table))


def from_files(codes: NDArray[np.generic], scales: NDArray[np.generic] | None) -> ByteTable | None:
    """The table of a file's codes and weights, or None where they are not of this form."""
    if codes.dtype != np.int8 or codes.ndim != 2 or scales is None or scales.shape != (len(codes),):
        return None
    table = ByteTable(codes.astype(np.int8, copy=False), scales.astype(np.float32))
    largest = np.maximum(codes.max(axis=1, initial=0).astype(np.int16), -codes.min(axis=1, initial=0).astype(np.int16))
    fractions, _ = np.frexp(table.scales)
    fits = (largest <= LARGEST) & (largest > LARGEST // 2) & (fractions == 0.5)
    empty = (largest == 0) & (table.scales == 1.0)
    return table if bool(np.all(fits | empty)) else None


def _scales(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Least power of two of each row that brings its largest number to 127 or less; 1 for a row of zeros."""
    largest = np.abs(values).max(axis=1, initial=0.0)
    fraction, exponent = np.frexp(largest)  # largest = fraction · 2^exponent, 0.5 ≤ fraction < 1
    exponent = np.where(fraction * 128 > LARGEST, exponent + 1, exponent) - 7
    return np.where(largest > 0, np.ldexp(np.float32(1), exponent), np.float32(1)).astype(np.float32)


def _is_exact(table: NDArray[np.generic]) -> bool:
    for start in range(0, len(table), ROWS_AT_ONCE):
        values = table[start : start + ROWS_AT_ONCE].astype(np.float32)
        if not np.isfinite(values).all():
            return False
        codes = values / _scales(values)[:, None]
        if not np.array_equal(np.rint(codes), codes):
            return False
    return True
