"""Invariant: a text has the vector that it has alone, whatever lies beside it in a packed row."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from isogloss.engines.packed import Packing, can_pack, packed_attention, packed_positions
from isogloss.engines.torch_engine import TorchEngine
from isogloss.engines.torch_tower import TorchTower
from tests.conftest import TINY_TEXTS, bert_modules

COUNTS = [5, 9, 1]
SIZES = {"num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 40}
MODELS = {
    "bert": (BertConfig, BertModel),
    "electra": (ElectraConfig, ElectraModel),
    "xlm-roberta": (XLMRobertaConfig, XLMRobertaModel),
}


def tiny(kind):
    config, model = MODELS[kind]
    torch.manual_seed(7)
    return model(config(vocab_size=100, hidden_size=32, **SIZES)).eval()


@pytest.mark.parametrize("kind", sorted(MODELS))
@torch.no_grad()
def test_every_architecture_computes_a_row_as_its_texts_apart(kind):
    model = tiny(kind)
    assert can_pack(model)
    texts = [torch.randint(5, 100, (count,)) for count in COUNTS]
    apart = torch.cat([model(text[None]).last_hidden_state[0] for text in texts])
    packing = Packing.of(COUNTS, torch.device("cpu"))
    with packed_attention(model):
        row = {"input_ids": torch.cat(texts)[None], "position_ids": packed_positions(model, COUNTS)}
        packed = model(**row, packing=packing).last_hidden_state[0]
    torch.testing.assert_close(packed, apart, atol=2e-6, rtol=0)
    # Afterwards the model attends as before.
    torch.testing.assert_close(model(texts[1][None]).last_hidden_state[0], apart[5:14])


def test_texts_go_apart_and_together_again():
    packing = Packing.of(COUNTS, torch.device("cpu"))
    tokens = torch.arange(1.0, 31.0).view(15, 2)
    rows = packing.apart(tokens)
    assert rows.shape == (3, 9, 2)
    assert torch.equal(rows[2, 0], tokens[14]) and not rows[0, 5:].any() and not rows[2, 1:].any()
    assert torch.equal(packing.together(rows), tokens)
    assert packing.starts.tolist() == [0, 5, 14, 15]


def test_other_models_are_not_packed():
    own = type("OwnBert", (BertModel,), {"__module__": "modeling_own"})
    config = BertConfig(vocab_size=100, hidden_size=32, **SIZES)
    distil = DistilBertModel(DistilBertConfig(vocab_size=100, dim=32, n_layers=1, n_heads=4, hidden_dim=64))
    decoder = BertModel(BertConfig(vocab_size=100, hidden_size=32, is_decoder=True, **SIZES))
    assert can_pack(BertModel(config))
    assert not any(can_pack(model) for model in (own(config), distil, decoder))


@pytest.mark.parametrize(("mode", "include_prompt"), [("mean", True), ("mean", False), ("cls", True), ("max", True)])
def test_the_engine_packs_what_it_would_pad(tmp_path, mode, include_prompt):
    modules = bert_modules(tmp_path / "bert")
    pooling = type(modules[1])(32, mode, include_prompt=include_prompt)
    tower = TorchTower([modules[0], pooling], prompt="query: ")
    padded = TorchEngine(tower, packed=False).encode(TINY_TEXTS)
    engine = TorchEngine(tower, packed=True, tokens_per_batch=60)
    packed = engine.encode(TINY_TEXTS)
    np.testing.assert_allclose(packed.vectors, padded.vectors, atol=1e-6)
    np.testing.assert_array_equal(packed.token_counts, padded.token_counts)
    assert engine.copy().packed and engine.with_prompt("passage: ").packed
    assert engine.fingerprint_parts() == TorchEngine(tower).fingerprint_parts()


def test_sentence_transformers_sees_the_same_model_afterwards(tmp_path):
    modules = bert_modules(tmp_path / "bert")
    theirs = SentenceTransformer(modules=modules, device="cpu")
    before = theirs.encode(list(TINY_TEXTS))
    packed = TorchEngine(TorchTower(modules), packed=True).encode(TINY_TEXTS).vectors
    np.testing.assert_allclose(packed, before, atol=1e-6)
    np.testing.assert_array_equal(theirs.encode(list(TINY_TEXTS)), before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="the kernel runs on a GPU of NVIDIA's alone")
def test_the_kernel_on_a_gpu_is_near_the_padded_texts(tmp_path):
    tower = TorchTower(bert_modules(tmp_path / "bert")).to("cuda")
    packed = TorchEngine(tower, precision="bfloat16")
    assert packed.packed
    exact = TorchEngine(tower, packed=False).encode(TINY_TEXTS).vectors
    assert np.min(np.sum(packed.encode(TINY_TEXTS).vectors * exact, axis=1)) > 0.999
