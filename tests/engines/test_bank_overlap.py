"""Encoding a bank keeps a second core busy, and says how far it is.

1. While a graph computes, another thread tokenises what comes next: from the second chunk of a shard on, with shards of
   the usual size and chunks of the usual size.
2. The bytes of the bank are the same with one core and with two, and those of one call for all texts of a shard.
3. Progress comes batch by batch and counts every passage and token once; what does not report counts by shard.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from isogloss.engines import batching
from isogloss.engines.bank import Bank, encode_bank
from isogloss.engines.bank_writing import SHARD_SIZE
from isogloss.engines.exported_engine import ExportedEngine
from isogloss.engines.exported_tower import ExportedTower
from isogloss.engines.pooling import Pooling
from isogloss.models.retriever import Retriever, Tower
from isogloss.records import Text
from tests.conftest import TINY_TEXTS, build_tokenizer

TEXTS = [
    Text(f"p{number}", " ".join(TINY_TEXTS[: 1 + number % 5]), language="de") for number in range(SHARD_SIZE + 1500)
]


class Table:
    """Gives each token a vector of its own."""

    kind, inputs = "onnx", ("input_ids", "attention_mask")

    def __init__(self, size: int) -> None:
        self.outputs = {"last_hidden_state": 8}
        self.rows = np.random.default_rng(0).normal(size=(size, 8)).astype(np.float32)

    def run(self, output, feeds):
        return self.rows[feeds["input_ids"]]

    def precision(self, noted):
        return "float32"


class Watched(ExportedEngine):
    """Notes which thread tokenises how many texts."""

    tokenized: list[tuple[str, int]]

    def _tokenize_chunk(self, texts):
        ahead = threading.current_thread() is not threading.main_thread()
        self.tokenized.append(("ahead" if ahead else "before", len(texts)))
        return super()._tokenize_chunk(texts)


def retriever(tmp_path: Path) -> Retriever:
    tokenizer = build_tokenizer("WordPiece")
    (tmp_path / "model.onnx").write_bytes(b"")
    tower = ExportedTower(tmp_path / "model.onnx", tokenizer, Pooling(("mean",)))
    engine = Watched(tower, Table(tokenizer.get_vocab_size()))
    engine.tokenized = []
    return Retriever(Tower("query", engine), Tower("passage", engine), on_overflow="ignore")


@contextmanager
def noting(seen: list[tuple[int, int]]) -> Iterator[Callable[..., None]]:
    """In the place of the bar."""
    yield lambda texts, tokens=0: seen.append((texts, tokens))


def encoded(tmp_path, monkeypatch, cores: int, texts=TEXTS) -> tuple[Watched, dict[str, bytes], list[tuple[int, int]]]:
    monkeypatch.setattr(batching, "usable_cores", lambda: cores)
    seen: list[tuple[int, int]] = []

    monkeypatch.setattr("isogloss.engines.bank_writing.encoding_bar", lambda *given, **options: noting(seen))
    made, path = retriever(tmp_path), tmp_path / f"bank{cores}"
    made.encode_bank(texts, path)
    content = {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    return made.passage.engine, content, seen


def test_the_next_texts_are_tokenised_while_a_graph_computes(tmp_path, monkeypatch):
    alone, one, _ = encoded(tmp_path, monkeypatch, 1)
    beside, two, seen = encoded(tmp_path, monkeypatch, 2)
    first = batching.TEXTS_PER_CHUNK // batching.CHUNKS_PER_FIRST
    rest = [SHARD_SIZE - first, 1500 - first]
    assert alone.tokenized == [("before", first), ("before", rest[0]), ("before", first), ("before", rest[1])]
    assert [size for where, size in beside.tokenized if where == "ahead"] == rest
    assert [size for where, size in beside.tokenized if where == "before"] == [first, first]
    assert one == two
    assert len(seen) > 40 and max(texts for texts, _ in seen) < 1000
    counts = Bank.open(tmp_path / "bank2").language_counts["de"]
    assert tuple(np.sum(seen, axis=0)) == (len(TEXTS), counts.tokens) == (counts.passages, counts.tokens)


def test_a_shard_is_one_call(tmp_path, monkeypatch):
    engine, content, _ = encoded(tmp_path, monkeypatch, 2)
    together = engine.encode([text.text for text in TEXTS[:SHARD_SIZE]]).vectors.astype(np.float16)
    assert len(content) == 5
    np.testing.assert_array_equal(np.load(tmp_path / "bank2" / "shards" / "00000.vectors.npy"), together)


@pytest.mark.parametrize("shard_size", [7, 100])
def test_what_does_not_report_counts_by_shard(tmp_path, monkeypatch, shard_size):
    engine = retriever(tmp_path).passage.engine
    seen: list[tuple[int, int]] = []

    monkeypatch.setattr("isogloss.engines.bank_writing.encoding_bar", lambda *given, **options: noting(seen))
    report = encode_bank(
        TEXTS[:20],
        lambda some: engine.encode([text.text for text in some]),
        tmp_path / "bank",
        fingerprint={"weights": "w"},
        shard_size=shard_size,
    )
    assert [texts for texts, _ in seen] == ([7, 7, 6] if shard_size == 7 else [20])
    assert sum(tokens for _, tokens in seen) == report.encoded_tokens and report.tokens_per_second > 0
