"""Invariant: a table in bytes has one form, moves no number by over 1/127 of its row, and is its own float copy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isogloss.engines.byte_table import ByteTable, as_bytes, from_files, rounded_to_bytes
from isogloss.engines.hashing import tensor_digest


def table(seed: int = 0, rows: int = 40, dimension: int = 7) -> np.ndarray:
    generator = np.random.default_rng(seed)
    lengths = np.exp(generator.normal(0, 3, (rows, 1)))
    return (generator.standard_normal((rows, dimension)) * lengths).astype(np.float32)


@given(st.integers(0, 10_000))
def test_rounding_moves_a_number_by_at_most_a_127th_of_the_largest_of_its_row(seed: int) -> None:
    values = table(seed)
    rounded = rounded_to_bytes(values)
    moved = np.abs(rounded[:] - values)
    assert np.all(moved <= np.abs(values).max(axis=1, keepdims=True) / 127 * (1 + 1e-6))
    assert np.all(np.abs(rounded.codes.astype(int)).max(axis=1) >= 63)


@given(st.integers(0, 10_000), st.sampled_from([np.float16, np.float32]))
def test_the_floating_copy_is_known_as_the_same_table(seed: int, dtype: type) -> None:
    rounded = rounded_to_bytes(np.clip(table(seed), -1000, 1000))
    copied = rounded[:].astype(dtype)
    again = as_bytes(copied)
    if not np.array_equal(copied.astype(np.float32), rounded[:]):  # a row so short that float16 lacks its digits
        return
    assert again is not None
    assert np.array_equal(again.codes, rounded.codes) and np.array_equal(again.scales, rounded.scales)
    assert tensor_digest({"table": rounded}) == tensor_digest({"table": copied})


def test_a_change_of_one_number_or_of_one_scale_changes_the_digest() -> None:
    rounded = rounded_to_bytes(table())
    codes, scales = rounded.codes.copy(), rounded.scales.copy()
    codes[3, 2] += 1 if codes[3, 2] < 0 else -1
    scales[5] *= 2
    digests = {tensor_digest({"t": one}) for one in (rounded, ByteTable(codes, rounded.scales))}
    digests.add(tensor_digest({"t": ByteTable(rounded.codes, scales)}))
    assert len(digests) == 3


@pytest.mark.parametrize("values", [table(), np.full((2, 3), 1 / 3, np.float32), np.array([[np.inf, 1.0]], np.float32)])
def test_numbers_that_bytes_do_not_hold_are_left_alone(values: np.ndarray) -> None:
    assert as_bytes(values) is None


def test_one_row_that_bytes_do_not_hold_is_enough_wherever_it_stands() -> None:
    values = rounded_to_bytes(table(rows=9_000, dimension=2))[:]
    assert as_bytes(values) is not None
    values[8_765] = [1.0, 0.3]
    assert as_bytes(values) is None


def test_rows_of_zeros_stay_zeros() -> None:
    rounded = rounded_to_bytes(np.zeros((2, 3), np.float32))
    assert np.array_equal(rounded[:], np.zeros((2, 3)))
    assert from_files(rounded.codes, rounded.scales) is not None


def test_files_of_another_form_are_not_taken_for_this_one() -> None:
    rounded = rounded_to_bytes(table())
    assert from_files(rounded.codes, rounded.scales) is not None
    assert from_files(rounded.codes, rounded.scales * np.float32(1.5)) is None  # no powers of two
    assert from_files(rounded.codes // 2, rounded.scales) is None  # a row with a smaller form
    assert from_files(rounded.codes, None) is None
    assert from_files(rounded.codes.astype(np.int32), rounded.scales) is None
