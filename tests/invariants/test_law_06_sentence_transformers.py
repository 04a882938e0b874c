"""Law 6: what we save opens in sentence-transformers and gives the same vectors; what they save opens here.

1. Both ways, tied and untied, static and transformer, with prompts and titles of each role.
2. We write the class names that every release resolves, and the configuration keys that releases before 6 know.
3. Half-precision static folders open there too, within the rounding of their arithmetic.
4. A model in memory becomes a retriever without being changed.
"""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from isogloss import Retriever
from isogloss.engines.sentence_transformers_modules import Router, StaticEmbedding
from tests.conftest import TINY_TEXTS, bert_modules, save_sentence_transformer, static_modules

TEXTS = [*TINY_TEXTS, "a", " ".join(TINY_TEXTS)]
MODELS = ["tiny_static", "tiny_transformer", "tiny_untied", "tiny_untied_transformer"]
PROMPTED = {"query": "query: ", "document": "passage: "}


def assert_same(retriever: Retriever, model: SentenceTransformer, tolerance: float = 1e-6) -> None:
    np.testing.assert_allclose(model.encode_query(TEXTS), retriever.encode_query(TEXTS), atol=tolerance)
    np.testing.assert_allclose(model.encode_document(TEXTS), retriever.encode_passage(TEXTS), atol=tolerance)


def opened(folder) -> SentenceTransformer:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


@pytest.mark.parametrize("model", MODELS)
def test_theirs_opens_here(model, request):
    folder = request.getfixturevalue(model)
    assert_same(Retriever.load(folder, on_overflow="ignore"), opened(folder))


@pytest.mark.parametrize("model", MODELS)
def test_ours_opens_there(model, request, tmp_path):
    retriever = Retriever.load(request.getfixturevalue(model), on_overflow="ignore")
    retriever.save(tmp_path / "saved")
    model = opened(tmp_path / "saved")
    assert_same(retriever, model)
    assert model.similarity_fn_name == "cosine"
    model.save(str(tmp_path / "theirs"), create_model_card=False)
    back = Retriever.load(tmp_path / "theirs", on_overflow="ignore")
    assert_same(back, model)
    assert back.passage.fingerprint == retriever.passage.fingerprint


@pytest.mark.parametrize("model", ["tiny_static", "tiny_transformer"])
def test_ours_untied_opens_there(model, request, tmp_path):
    base = Retriever.load(request.getfixturevalue(model), prompts=PROMPTED, on_overflow="ignore")
    untied = base.untie()
    towers = untied.to_torch()
    with torch.no_grad():
        next(towers.query.parameters()).mul_(-1.5)
    trained = untied.with_towers(towers)
    trained.save(tmp_path / "saved")
    model = opened(tmp_path / "saved")
    assert isinstance(model[0], Router)
    assert_same(trained, model)
    assert np.abs(model.encode_query(TEXTS) - base.encode_query(TEXTS)).max() > 1e-2


@pytest.mark.parametrize("model", MODELS)
def test_class_names_are_those_that_every_release_resolves(model, request, tmp_path):
    Retriever.load(request.getfixturevalue(model)).save(tmp_path / "saved")
    types = [module["type"] for module in json.loads((tmp_path / "saved" / "modules.json").read_text())]
    router = tmp_path / "saved" / "router_config.json"
    if router.exists():
        types.extend(json.loads(router.read_text())["types"].values())
    assert all(kind.startswith("sentence_transformers.models.") and kind.count(".") == 2 for kind in types)
    for path in tmp_path.rglob("sentence_bert_config.json"):
        assert json.loads(path.read_text()) == {"max_seq_length": 32, "do_lower_case": False}
    for path in tmp_path.rglob("*Pooling/config.json"):
        assert json.loads(path.read_text())["pooling_mode_mean_tokens"] is True
    assert not list(tmp_path.rglob("*.bin"))


@pytest.mark.parametrize("prompts", [None, PROMPTED, {"passage": "p: ", "other": "o: "}])
def test_half_precision_opens_there(tmp_path, prompts):
    save_sentence_transformer(static_modules(), tmp_path / "full", prompts)
    Retriever.load(tmp_path / "full").save(tmp_path / "half", precision="float16")
    model = opened(tmp_path / "half")
    assert model[0].embedding.weight.dtype == torch.float16
    assert_same(Retriever.load(tmp_path / "half"), model, tolerance=2e-3)


def test_a_table_in_bytes_opens_there(tmp_path):
    save_sentence_transformer(static_modules(), tmp_path / "full", PROMPTED)
    Retriever.load(tmp_path / "full").save(tmp_path / "bytes", precision="int8")
    assert_same(Retriever.load(tmp_path / "bytes"), opened(tmp_path / "bytes"))


@pytest.mark.parametrize("default", [None, "other"])
@pytest.mark.parametrize("names", [{"query": "q: "}, {"query": "q: ", "corpus": "c: "}, {"passage": "p: "}, {}])
def test_prompts_by_their_names(tmp_path, names, default):
    model = SentenceTransformer(
        modules=static_modules(), prompts={**names, "other": "o: "}, default_prompt_name=default, device="cpu"
    )
    model.save(str(tmp_path / "theirs"), create_model_card=False)
    retriever = Retriever.load(tmp_path / "theirs")
    assert_same(retriever, opened(tmp_path / "theirs"))
    retriever.save(tmp_path / "ours")
    ours = opened(tmp_path / "ours")
    assert_same(retriever, ours)
    assert ours.prompts["other"] == "o: " and ours.default_prompt_name == default


@pytest.mark.parametrize("untied", [False, True])
@pytest.mark.parametrize("kind", ["static", "transformer"])
def test_model_in_memory(kind, untied, tmp_path):
    def modules(seed):
        return static_modules(seed=seed) if kind == "static" else bert_modules(tmp_path / str(seed), seed=seed)

    chosen = [Router.for_query_document(modules(1), modules(2))] if untied else modules(1)
    model = SentenceTransformer(modules=chosen, prompts=PROMPTED, device="cpu")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    retriever = Retriever.from_sentence_transformer(model, on_overflow="ignore")
    assert retriever.towers == ("separate" if untied else "shared")
    assert_same(retriever, model)
    with torch.no_grad():
        for parameter in retriever.to_torch().parameters():
            parameter.zero_()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_folder_without_normalisation_gets_unit_length(tmp_path):
    static = static_modules()[0]
    assert isinstance(static, StaticEmbedding)
    save_sentence_transformer([static], tmp_path / "theirs")
    retriever = Retriever.load(tmp_path / "theirs")
    theirs = opened(tmp_path / "theirs").encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(retriever.encode_query(TEXTS), theirs, atol=1e-6)
    retriever.save(tmp_path / "ours")
    np.testing.assert_allclose(opened(tmp_path / "ours").encode(TEXTS), theirs, atol=1e-6)


def test_the_tokenizer_has_a_name_that_transformers_4_knows(tiny_transformer, tmp_path):
    # What the releases of then make of it is checked by tests/compatibility, in an environment of its own.
    Retriever.load(tiny_transformer).save(tmp_path / "saved")
    written = json.loads((tmp_path / "saved" / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert written["tokenizer_class"] == "PreTrainedTokenizerFast"
