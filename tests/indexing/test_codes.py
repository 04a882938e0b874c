"""The codes or vectors of an embedded index are read once, file by file, by the first search that looks at them all.

1. An index keeps its codes where they are looked for, and tells the engine not to read them at opening.
2. A search that compares whole vectors reads none; the first other search reads them, and no later one.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from isogloss.indexing import codes
from isogloss.indexing.embedded import EmbeddedIndex
from isogloss.indexing.manifest import IndexOptions
from tests.indexing.conformance import ABOUT, passages_of, vectors_of

COUNT = 300


@pytest.fixture(params=["int8", "float16"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An index whose passages have codes, or vectors alone."""
    about = replace(ABOUT, precision=request.param)
    index = EmbeddedIndex.create(tmp_path / "index", about, IndexOptions(exact_below=100))
    index.add(passages_of(COUNT), vectors_of(COUNT))
    index.optimize()
    index.close()
    return tmp_path / "index"


def files(place: Path) -> list[Path]:
    coded = EmbeddedIndex.open(place).about.precision == "int8"
    return list((place / "qdrant").glob(codes.CODES if coded else codes.VECTORS))


def test_they_are_where_they_are_looked_for_and_not_read_at_opening(place: Path) -> None:
    assert sum(file.stat().st_size for file in files(place)) >= COUNT * ABOUT.dimension
    kept = json.loads((place / "qdrant" / "edge_config.json").read_text())
    assert kept["vectors"][""]["memory"] == "cold"
    for file in (place / "qdrant").glob("segments/*/vector_storage/quantized.config.json"):
        assert json.loads(file.read_text())["quantization_config"]["scalar"]["memory"] == "cold"


def test_they_are_read_by_the_first_search_among_all(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(codes, "_read", read.append)
    for options, expected in ((IndexOptions(exact_below=COUNT), 0), (IndexOptions(exact_below=100), len(files(place)))):
        index = EmbeddedIndex.open(place, options)
        assert read == []
        for _ in range(2):
            assert len(index.search(vectors_of(1, seed=9), k=10)[0]) == 10
            assert len(read) == expected
        index.close()
