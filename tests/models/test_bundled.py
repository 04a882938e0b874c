"""The bundled model keeps what its card says.

1. It is small, loads offline without torch in about a second, and its files are the sentence-transformers layout.
2. sentence-transformers gives its vectors, to the precision of its float16 table.
3. It knows the scripts of its 42 languages: at most 2 % of a language's pieces are unknown (rare Hangul and Han signs).
4. On XQuAD it is at least as good as the floor that its card promises.
"""

import time

import numpy as np
import pytest

import isogloss
from isogloss.datasets import load
from isogloss.evaluation.evaluate import evaluate
from isogloss.models.bundled import bundled_model
from isogloss.recipe import load_recipe

MOST_BYTES = 64_000_000
TEXTS = [
    "Where does the river reach the sea?",
    "Где река впадает в море?",
    "नदी समुद्र से कहाँ मिलती है?",
    "แม่น้ำไหลลงทะเลที่ไหน",
]
MOST_UNKNOWN = 0.02
FLOOR_SAME, FLOOR_ACROSS = 0.86, 0.69


@pytest.fixture(scope="module")
def retriever():
    return isogloss.Retriever.load("bundled")


def test_it_is_small_and_quick_to_load():
    size = sum(path.stat().st_size for path in bundled_model().rglob("*") if path.is_file())
    assert size <= MOST_BYTES
    times = []
    for _ in range(3):
        start = time.perf_counter()
        isogloss.Retriever.load("bundled")
        times.append(time.perf_counter() - start)
    assert min(times) < 1.0


def test_sentence_transformers_gives_the_same_vectors(retriever):
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(bundled_model()), device="cpu").encode(TEXTS)
    assert np.abs(retriever.encode_query(TEXTS) - theirs.astype(np.float32)).max() < 2e-3


def test_it_knows_its_languages(shared_data, retriever):
    from isogloss.datasets import read_multiway

    languages = set(load_recipe("bundled").model.new.languages)
    assert len(languages) >= 40
    cut = retriever.query.engine.tokenizer.encode_batch
    unknown, total = dict.fromkeys(languages, 0), dict.fromkeys(languages, 0)
    for number, (_, texts) in enumerate(read_multiway(shared_data / "bitext-eval" / "flores-sib200.jsonl.gz")):
        if number == 100:
            break
        for language in languages & set(texts):
            ids = cut([texts[language]], add_special_tokens=False)[0].ids
            unknown[language] += ids.count(0)
            total[language] += len(ids)
    shares = {language: unknown[language] / total[language] for language in languages if total[language]}
    assert len(shares) >= 40
    assert max(shares.values()) < MOST_UNKNOWN, max(shares, key=shares.__getitem__)


@pytest.mark.slow
def test_it_reaches_its_floor_on_xquad(shared_data, retriever):
    found = evaluate(
        retriever,
        load(shared_data / "retrieval" / "xquad"),
        pairs="same,to-en,from-en",
        measures="nDCG@10",
        resamples=1,
    )
    across = [found.summary(group, "nDCG@10").macro for group in ("to-en", "from-en")]
    assert found.summary("same", "nDCG@10").macro >= FLOOR_SAME
    assert sum(across) / 2 >= FLOOR_ACROSS
