"""Products of 8-bit integers are exact, or there are none.

1. The product equals that of 32-bit integers, for the largest numbers and any shape.
2. Without the instructions, without onnxruntime, or where sums overflow, there is none, and searches do without.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest

from isogloss.indexing import VectorTable, integer_products, search
from isogloss.indexing.integer_products import integer_product
from isogloss.indexing.integer_screening import LEAST_QUERIES, IntegerScreen, best_screen
from isogloss.indexing.screening import Screen


@pytest.fixture(autouse=True)
def _chosen_anew() -> Iterator[None]:
    integer_product.cache_clear()
    yield
    integer_product.cache_clear()


def unit_vectors(count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, 24)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 384, 3), (300, 65, 129)])
def test_the_product_is_exact(shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(integer_products, "multiplies_int8", lambda: True)
    product = integer_product()
    if product is None:
        pytest.skip("this processor adds pairs of products in 16 bits")
    generator = np.random.default_rng(1)
    rows, inner, columns = shape
    left = generator.integers(0, 256, (rows, inner)).astype(np.uint8)
    right = generator.integers(-127, 128, (inner, columns)).astype(np.int8)
    np.testing.assert_array_equal(product(left, right), left.astype(np.int32) @ right.astype(np.int32))


def test_without_the_instructions_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integer_products, "multiplies_int8", lambda: False)
    assert integer_product() is None
    assert isinstance(best_screen(unit_vectors(LEAST_QUERIES, 1)), Screen)


def test_without_onnxruntime_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integer_products, "multiplies_int8", lambda: True)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert integer_product() is None


def test_a_product_that_overflows_is_not_taken() -> None:
    def in_16_bits(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        products = rows[:, :, None].astype(np.int32) * columns.astype(np.int32)
        pairs = np.clip(products[:, ::2] + products[:, 1::2], -(2**15), 2**15 - 1)
        return pairs.sum(axis=1, dtype=np.int32)

    assert not integer_products._is_exact(in_16_bits)
    assert integer_products._is_exact(lambda rows, columns: rows.astype(np.int32) @ columns.astype(np.int32))


def test_a_search_of_many_queries_takes_it_and_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    if integer_product() is None:
        pytest.skip("this processor has no fast products of 8-bit integers")
    queries, table = (
        unit_vectors(LEAST_QUERIES, 2),
        VectorTable([f"p{row}" for row in range(900)], unit_vectors(900, 3)),
    )
    names = [f"q{row}" for row in range(len(queries))]
    assert isinstance(best_screen(queries), IntegerScreen)
    found = search(queries, names, table, k=5)
    monkeypatch.setattr(integer_products, "multiplies_int8", lambda: False)
    integer_product.cache_clear()
    assert found == search(queries, names, table, k=5)
