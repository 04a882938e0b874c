"""What a user sees of a search is what the exact search found, with the texts.

1. Ranks count from 1, scores are those of the exact search, and every hit carries its passage whole.
2. A language filter takes every spelling, leaves out passages and changes no score.
3. Languages that are unknown or absent, and a `k` below 1, are refused: all of them at once, with what there is.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from isogloss.engines.bank import Bank, encode_bank
from isogloss.engines.protocol import Encoded
from isogloss.errors import UsageError
from isogloss.indexing import search as search_exactly
from isogloss.indexing.hits import search
from isogloss.records import Text

TEXTS = [
    Text(f"p{row}", f"text {row}", language=("de", "zh", None, "ru")[row % 4], title="title" * (row % 2))
    for row in range(12)
]


def vectors_of(count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, 16)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hits") / "bank"
    rows = iter(vectors_of(len(TEXTS), 1))

    def encode(texts):
        found = np.stack([next(rows) for _ in texts])
        return Encoded(found, np.ones(len(texts), dtype=np.int64), np.zeros(len(texts), dtype=bool))

    encode_bank(TEXTS, encode, folder, fingerprint={"weights": "w"}, shard_size=5, progress=False)
    return Bank.open(folder)


def test_hits_are_those_of_the_exact_search(bank):
    queries = vectors_of(3, 2)
    run = search_exactly(queries, ["a", "b", "c"], bank, k=4)
    found = search(bank, queries, k=4)
    for name, hits in zip("abc", found, strict=True):
        assert [(hit.passage.id, hit.score) for hit in hits] == list(run[name].items())
        assert [hit.rank for hit in hits] == [1, 2, 3, 4]
        for hit in hits:
            stored = TEXTS[int(hit.passage.id[1:])]
            assert hit.passage == stored
            assert json.loads(json.dumps(hit.to_json())) == {
                "rank": hit.rank,
                "id": stored.id,
                "score": hit.score,
                "language": stored.language,
                "title": stored.title,
                "text": stored.text,
            }


def test_k_beyond_the_bank_gives_all_of_it(bank):
    assert [len(hits) for hits in search(bank, vectors_of(2, 2), k=100)] == [12, 12]
    assert search(bank, vectors_of(0, 2), k=1) == []


@pytest.mark.parametrize(
    ("languages", "wanted"), [(["deu_Latn"], {"de"}), (["cmn", "RU"], {"zh", "ru"}), (["de", "ger"], {"de"})]
)
def test_a_language_filter_only_leaves_out(bank, languages, wanted):
    queries = vectors_of(2, 3)
    for everything, hits in zip(
        search(bank, queries, k=12), search(bank, queries, k=12, languages=languages), strict=True
    ):
        kept = [(hit.passage.id, hit.score) for hit in everything if hit.passage.language in wanted]
        assert [(hit.passage.id, hit.score) for hit in hits] == kept
        assert len(kept) == 3 * len(wanted)


def test_languages_that_find_nothing_are_told_at_once(bank):
    with pytest.raises(UsageError) as caught:
        search(bank, vectors_of(1, 2), languages=["klingon", "fr", "de", "sw"])
    assert [fault.where for fault in caught.value.faults] == ["language klingon", "language fr", "language sw"]
    assert "de, ru, zh" in caught.value.next_step


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one(bank, k):
    with pytest.raises(UsageError, match="at least 1"):
        search(bank, vectors_of(1, 2), k=k)
