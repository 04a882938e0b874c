"""The static engine gives what the definition of the model gives, without torch.

1. A vector is the mean of the token vectors, scaled to unit length; a text without tokens has the zero vector.
2. It does not depend on the other texts of the call, on their order, or on where chunks end, bit for bit.
3. Half-precision tables give the vectors of the same table in float32.
4. Tables as model2vec writes them are unfolded; broken, missing and pickled files are refused.
"""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file

from isogloss.engines import row_sums, static
from isogloss.engines.static import StaticEngine
from isogloss.errors import ModelError
from tests.conftest import TINY_TEXTS, build_tokenizer


def engine_over(tokenizer, dtype=np.float32, prompt="") -> StaticEngine:
    weights = np.random.default_rng(3).normal(size=(tokenizer.get_vocab_size(), 16)).astype(np.float16)
    return StaticEngine(weights.astype(dtype), tokenizer, prompt=prompt)


def test_vector_is_the_mean_of_its_tokens(every_tokenizer):
    engine = engine_over(every_tokenizer(), prompt="q: ")
    encoded = engine.encode(list(TINY_TEXTS))
    for row, text in enumerate(TINY_TEXTS):
        ids = engine.tokenizer.encode("q: " + text, add_special_tokens=False).ids
        mean = engine.weights[ids].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(encoded.vectors[row], mean / np.linalg.norm(mean), atol=1e-6)
        assert encoded.token_counts[row] == len(ids)
    assert encoded.vectors.dtype == np.float32 and not encoded.truncated.any()


def test_text_without_tokens_has_the_zero_vector(every_tokenizer):
    engine = engine_over(every_tokenizer())
    texts = ["", TINY_TEXTS[0], "", TINY_TEXTS[5], ""]
    encoded = engine.encode(texts)
    assert [bool(vector.any()) for vector in encoded.vectors] == [False, True, False, True, False]
    np.testing.assert_array_equal(encoded.vectors[[1, 3]], engine.encode([texts[1], texts[3]]).vectors)
    assert engine.encode([]).vectors.shape == (0, 16)


@pytest.mark.parametrize(("texts_per_chunk", "few_tokens"), [(1, 0), (3, 20), (5, 0)])
def test_neighbours_and_chunks_do_not_matter(every_tokenizer, monkeypatch, texts_per_chunk, few_tokens):
    engine = engine_over(every_tokenizer())
    texts = [*TINY_TEXTS, "", " ".join(TINY_TEXTS)]
    whole = engine.encode(texts).vectors
    monkeypatch.setattr(static, "TEXTS_PER_CHUNK", texts_per_chunk)
    monkeypatch.setattr(row_sums, "FEW_TOKENS", few_tokens)
    order = np.random.default_rng(0).permutation(len(texts))
    np.testing.assert_array_equal(engine.encode([texts[row] for row in order]).vectors, whole[order])


def test_half_precision_gives_the_same_vectors(every_tokenizer):
    tokenizer = every_tokenizer()
    full, half = engine_over(tokenizer), engine_over(tokenizer, np.float16)
    np.testing.assert_array_equal(full.encode(TINY_TEXTS).vectors, half.encode(TINY_TEXTS).vectors)
    assert full.fingerprint_parts() == half.fingerprint_parts()


def test_truncation_of_the_tokenizer_file_counts(every_tokenizer):
    tokenizer = every_tokenizer()
    tokenizer.enable_truncation(5)
    engine = engine_over(tokenizer)
    encoded = engine.encode(["a", TINY_TEXTS[0]])
    assert engine.max_length == 5
    assert encoded.token_counts[1] == 5 and encoded.truncated.tolist() == [False, True]


def test_truncation_from_the_left_keeps_the_end(every_tokenizer):
    tokenizer = every_tokenizer()
    tokenizer.enable_truncation(3, direction="left")
    engine = engine_over(tokenizer)
    texts = ["a", TINY_TEXTS[0], TINY_TEXTS[4]]
    encoded = engine.encode(texts)
    for row, text in enumerate(texts):
        sums = engine.weights[tokenizer.encode(text, add_special_tokens=False).ids].sum(axis=0)
        np.testing.assert_allclose(encoded.vectors[row], sums / np.linalg.norm(sums), atol=1e-6)


def test_rows_widened_once_serve_other_texts_too(every_tokenizer, monkeypatch):
    monkeypatch.setattr(row_sums, "FEW_TOKENS", 0)
    tokenizer = every_tokenizer()
    half, full = engine_over(tokenizer, np.float16), engine_over(tokenizer)
    for text in TINY_TEXTS:
        np.testing.assert_array_equal(half.encode([text]).vectors, full.encode([text]).vectors)


def test_unfolds_what_model2vec_writes(tiny_static, tmp_path):
    folder = tmp_path / "model2vec"
    shutil.copytree(tiny_static, folder)
    plain = StaticEngine.load(tiny_static)
    generator = np.random.default_rng(0)
    mapping = generator.integers(0, 40, len(plain.weights))
    rows = generator.normal(size=(40, 24)).astype(np.float32)
    weights = generator.uniform(size=len(plain.weights)).astype(np.float32)
    save_file({"embeddings": rows, "mapping": mapping, "weights": weights}, folder / "model.safetensors")
    unfolded = StaticEngine.load(folder)
    np.testing.assert_allclose(unfolded.weights, rows[mapping] * weights[:, None])


def test_broken_folders_are_refused(tiny_static, tmp_path):
    def copy(name):
        return shutil.copytree(tiny_static, tmp_path / name)

    folder = copy("cut")
    (folder / "model.safetensors").write_bytes((tiny_static / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"model\.safetensors cannot be read"):
        StaticEngine.load(folder)
    folder = copy("missing")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickle"):
        StaticEngine.load(folder)
    folder = copy("tokenizer")
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0"}))
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read[^$]*\nCopy the whole model folder"):
        StaticEngine.load(folder)
    folder = copy("named otherwise")
    save_file({"table": np.zeros((7, 24), dtype=np.float32)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"it has: table\)\nSave the static model with"):
        StaticEngine.load(folder)
    folder = copy("mixed")
    save_file({"embedding.weight": np.zeros((7, 24), dtype=np.float32)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match="7, 24"):
        StaticEngine.load(folder)


def test_whole_counts_are_those_of_the_uncut_text():
    tokenizer = build_tokenizer("WordPiece")
    pieces = len(tokenizer.encode("p: ship ship ship", add_special_tokens=False).ids)
    tokenizer.enable_truncation(2)
    engine = StaticEngine(np.ones((tokenizer.get_vocab_size(), 4), dtype=np.float32), tokenizer, prompt="p: ")
    assert engine.count_tokens(["ship ship ship", ""])[0] == pieces
    assert engine.encode(["ship ship ship"]).token_counts.tolist() == [2]
