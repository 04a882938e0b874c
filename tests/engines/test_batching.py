"""Batches hold every text once, within a budget of tokens, with next to no padding; work ahead changes no order.

1. On a mixture of languages and lengths as wide as a real corpus, padded tokens are at most 1.02 times the real ones,
   in not many more batches than full ones would be; so they are on 20,000 real passages (skipped where the shared data
   are not at hand). No other cut of the sorted texts is cheaper.
2. Every row is in one batch, and a batch exceeds the budget only where a single text does. Chunks are bounded in texts
   and in characters, and so is what a tokenizer gets at once.
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
from isogloss.engines.bank_writing import SHARD_SIZE
from isogloss.engines.batching import bounded, chunks_to_sort, one_ahead, token_budget_batches, usable_cores
from isogloss.engines.token_rows import TokenRows


def mixed_lengths(texts: int) -> list[int]:
    """Tokens per text of eight languages whose texts take from 0.6 to 4 times the tokens of English, log-normal."""
    generator = np.random.default_rng(7)
    per_language = generator.choice([0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 4.0], size=texts)
    lengths = generator.lognormal(mean=4.2, sigma=0.7, size=texts) * per_language
    return np.clip(lengths, 3, 512).astype(int).tolist()


def padding(counts: list[int], texts: list[str]) -> tuple[float, float]:
    """Padded tokens for each real one, and batches for each that is full, in shards as banks have them."""
    padded = real = batches = 0
    for shard in range(0, len(texts), SHARD_SIZE):
        start = shard
        for texts_of_chunk in chunks_to_sort(texts[shard : shard + SHARD_SIZE]):
            chunk = counts[start : start + len(texts_of_chunk)]
            start += len(chunk)
            for rows in token_budget_batches(chunk, batching.TOKENS_PER_BATCH):
                padded += len(rows) * max(chunk[row] for row in rows)
                real += sum(chunk[row] for row in rows)
                batches += 1
    assert real == sum(counts)
    return padded / real, batches * batching.TOKENS_PER_BATCH / padded


@pytest.mark.parametrize("shortened", [1, 3])
def test_padding_of_a_mixed_corpus_is_small(shortened):
    counts = [max(3, count // shortened) for count in mixed_lengths(20_000)]
    padded, batches = padding(counts, ["x"] * 20_000)
    assert padded <= 1.02 and batches <= 1.3


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
    """By exact count, in the shards and chunks in which banks are encoded."""
    texts = real_texts(shared_data)
    counts = Retriever.load("bundled").passage.engine.count_tokens(texts)
    assert len(counts) == 20_000
    padded, batches = padding([min(count, 512) for count in counts], texts)
    assert padded <= 1.02 and batches <= 1.3


def test_no_other_cut_is_cheaper():
    counts, budget = [9, 9, 8, 5, 5, 5, 4, 2, 2, 1], 64

    def cost(batches):
        return sum(len(rows) * max(counts[row] for row in rows) + budget // 32 for rows in batches)

    def all_cuts(rows):
        yield [rows]
        for size in range(1, len(rows)):
            yield from ([rows[:size], *rest] for rest in all_cuts(rows[size:]))

    possible = [cut for cut in all_cuts(list(range(10))) if all(len(rows) * counts[rows[0]] <= budget for rows in cut)]
    assert cost(token_budget_batches(counts, budget)) == min(map(cost, possible))


def test_chunks_are_bounded_and_keep_the_order(monkeypatch):
    monkeypatch.setattr(batching, "TEXTS_PER_CHUNK", 16)
    monkeypatch.setattr(batching, "CHARACTERS_PER_CHUNK", 800)
    texts = [f"{number:02d}" for number in range(30)] + [f"{number}" * 150 for number in range(30, 50)]
    chunks = list(chunks_to_sort(texts))
    assert [text for chunk in chunks for text in chunk] == texts
    assert [len(chunk) for chunk in chunks[:3]] == [2, 16, 15]  # the first is an eighth
    assert all(len(chunk) == 3 for chunk in chunks[3:-1])  # of 300 characters each: the last may exceed the bound
    assert list(chunks_to_sort([])) == [] and list(bounded(iter("ab"), 5, 100)) == [["a", "b"]]


def test_what_is_kept_of_tokens_is_what_was_given():
    pieces = [
        TokenRows.of_lists({"input_ids": [[5, 6], []], "mask": [[1, 1], []]}, [True, False]),
        TokenRows.of_lists({"input_ids": [[250_001]], "mask": [[1]]}, [False]),
    ]
    kept = TokenRows.joined(iter(pieces))
    assert kept.lists([2, 0, 1]) == {"input_ids": [[250_001], [5, 6], []], "mask": [[1], [1, 1], []]}
    assert kept.counts.tolist() == [2, 0, 1] and kept.truncated.tolist() == [True, False, False]


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
