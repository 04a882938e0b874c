"""Batches hold every text once, within a budget of tokens, with next to no padding; work ahead changes no order.

1. On a mixture of languages and lengths as wide as a real corpus, padded tokens are at most 1.02 times the real ones;
   so they are on 20,000 real passages (skipped where the shared data are not at hand).
2. Every row is in one batch, and a batch exceeds the budget only where a single text does.
3. Work ahead gives the results in order with one core and with two, is at most two items ahead, and raises its errors.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from isogloss import Retriever
from isogloss.engines import batching
from isogloss.engines.bank_shards import TEXTS_PER_CALL
from isogloss.engines.batching import one_ahead, token_budget_batches, usable_cores


def mixed_lengths(texts: int) -> list[int]:
    """Tokens per text of eight languages whose texts take from 0.6 to 4 times the tokens of English, log-normal."""
    generator = np.random.default_rng(7)
    per_language = generator.choice([0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 4.0], size=texts)
    lengths = generator.lognormal(mean=4.2, sigma=0.7, size=texts) * per_language
    return np.clip(lengths, 3, 512).astype(int).tolist()


@pytest.mark.parametrize("texts_per_chunk", [2048, 4096])
def test_padding_of_a_mixed_corpus_is_small(texts_per_chunk):
    padded = real = 0
    counts = mixed_lengths(20_000)
    for start in range(0, len(counts), texts_per_chunk):
        chunk = counts[start : start + texts_per_chunk]
        for rows in token_budget_batches(chunk, batching.TOKENS_PER_BATCH):
            padded += len(rows) * max(chunk[row] for row in rows)
            real += sum(chunk[row] for row in rows)
    assert real == sum(counts)
    assert padded / real <= 1.02


def real_texts(shared: Path) -> list[str]:
    """All paragraphs of the sets for retrieval, 18 languages, and sentences of 205 languages up to 20,000."""
    paragraphs, sentences = [], []
    for path in sorted((shared / "retrieval").glob("*/corpus.jsonl.gz")):
        if path.parent.name != "tatoeba":  # English sentences
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                paragraphs += [json.loads(line)["text"] for line in lines]
    with gzip.open(shared / "bitext-eval" / "flores-sib200.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            sentences += [text for name, text in json.loads(line).items() if not name.startswith("_")]
    generator = np.random.default_rng(3)
    drawn = generator.choice(len(sentences), 20_000 - len(paragraphs), replace=False)
    texts = paragraphs + [sentences[row] for row in drawn]
    return [texts[row] for row in generator.permutation(len(texts))]


def test_padding_of_20_000_real_passages_is_small(shared_data):
    """By exact count, in the chunks in which banks are encoded."""
    texts = real_texts(shared_data)
    counts = Retriever.load("bundled").passage.engine.count_tokens(texts)
    assert len(counts) == 20_000
    padded = real = 0
    for start in range(0, len(counts), TEXTS_PER_CALL):
        chunk = [min(count, 512) for count in counts[start : start + TEXTS_PER_CALL]]
        for rows in token_budget_batches(chunk, batching.TOKENS_PER_BATCH):
            padded += len(rows) * max(chunk[row] for row in rows)
            real += sum(chunk[row] for row in rows)
    assert padded / real <= 1.02


def test_budget_and_every_row_once():
    counts = [5, 0, 90, 3, 3, 120, 1]
    batches = list(token_budget_batches(counts, 100))
    assert sorted(row for rows in batches for row in rows) == list(range(len(counts)))
    assert batches[0] == [5] and batches[1] == [2]
    assert all(len(rows) * max(counts[row] for row in rows) <= 100 for rows in batches[1:])


@pytest.mark.parametrize("cores", [1, 2])
def test_work_ahead_keeps_the_order(monkeypatch, cores):
    monkeypatch.setattr(batching, "usable_cores", lambda: cores)
    taken, used = [], []

    def items():
        for number in range(6):
            taken.append(number)
            yield number

    for done in one_ahead(lambda number: number * 10, items()):
        used.append(done)
        assert len(taken) - len(used) <= 2
    assert used == [0, 10, 20, 30, 40, 50]
    assert list(one_ahead(str, [])) == [] and list(one_ahead(str, [1])) == ["1"]
    results = one_ahead(lambda number: 1 // (2 - number), range(4))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_threads_asked_for_are_a_limit(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert usable_cores() == 1
