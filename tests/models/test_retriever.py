"""A retriever gives every text the vector of its role, and says what it lost on the way.

1. Vectors are float32, unit length, one per text; the role picks tower and prompt.
2. Truncated texts are counted by role and language, and warned of, refused or passed over as the user says.
3. Empty texts are refused, all of them by name; wrong arguments name what is allowed.
4. A loaded, saved or untied retriever keeps prompts, title template and fingerprints; saving destroys nothing.
5. A family that wants prompts and records none gets them with a warning.
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

import isogloss
from isogloss.engines.static import StaticEngine
from isogloss.errors import DataError, FileError, ModelError, UsageError
from isogloss.models import persistence
from isogloss.models.retriever import Retriever
from isogloss.records import Text
from tests.conftest import TINY_TEXTS, bert_folder

TEXTS = list(TINY_TEXTS)
LONG = " ".join(TINY_TEXTS)


@pytest.fixture(scope="module")
def transformer(tiny_transformer):
    return Retriever.load(tiny_transformer)


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("model", ["tiny_static", "tiny_transformer", "tiny_untied", "tiny_untied_transformer"])
def test_vectors_have_unit_length(model, request):
    retriever = Retriever.load(request.getfixturevalue(model))
    for vectors in (retriever.encode_query(TEXTS), retriever.encode_document(TEXTS)):
        assert vectors.shape == (len(TEXTS), retriever.dimension) and vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert retriever.encode_query([]).shape == (0, retriever.dimension)


def test_role_picks_the_prompt(transformer):
    assert (transformer.query.prompt, transformer.passage.prompt) == ("query: ", "passage: ")
    queries, passages = transformer.encode_query(TEXTS), transformer.encode(TEXTS, role="passage")
    assert np.abs(queries - passages).max() > 1e-3
    prompted = Retriever.load(transformer_folder(transformer), prompts={"query": "", "document": ""})
    np.testing.assert_allclose(prompted.encode_query(["query: " + text for text in TEXTS]), queries, atol=1e-6)


def transformer_folder(retriever):
    return retriever.query.engine.tower.first.auto_model.name_or_path


def test_titles_join_passages_only(tiny_static):
    retriever = Retriever.load(tiny_static)
    plain = Text("p1", "The river reaches the sea.", title="Rivers")
    np.testing.assert_array_equal(
        retriever.encode_passage([plain]), retriever.encode_passage(["Rivers The river reaches the sea."])
    )
    np.testing.assert_array_equal(retriever.encode_query([plain]), retriever.encode_query([plain.text]))


def test_truncation_is_counted_by_role_and_language(tiny_transformer, caplog):
    retriever = Retriever.load(tiny_transformer)
    with caplog.at_level(logging.WARNING, logger="isogloss"):
        retriever.encode_passage([LONG, "a", LONG], languages=["de", "de", None])
        retriever.encode_query([Text("q1", LONG, language="th")])
    assert {key: (count.texts, count.truncated) for key, count in retriever.truncation.counts.items()} == {
        ("passage", "de"): (2, 1),
        ("passage", "unknown"): (1, 1),
        ("query", "th"): (1, 1),
    }
    assert retriever.truncation.truncated == 3
    assert retriever.truncation.lines()[0] == "passage de: 1 of 2 texts truncated"
    assert "2 of 3 texts are longer than the 32 tokens" in caplog.text and "de 1, unknown 1" in caplog.text


def test_overflow_is_refused_or_ignored(tiny_transformer, caplog):
    strict = Retriever.load(tiny_transformer, on_overflow="error")
    with pytest.raises(DataError) as caught:
        strict.encode_passage([LONG, "a", Text("p7", LONG)])
    assert [fault.where for fault in caught.value.faults] == ["text 0", "id p7"]
    lenient = Retriever.load(tiny_transformer, on_overflow="ignore")
    lenient.encode_query([LONG])
    assert not caplog.records and lenient.truncation.truncated == 1


def test_empty_texts_are_all_named(tiny_static):
    with pytest.raises(DataError) as caught:
        Retriever.load(tiny_static).encode_query(["a", "", Text("q9", " \n\t"), "b"])
    assert [fault.where for fault in caught.value.faults] == ["text 1", "id q9"]


def test_wrong_arguments(tiny_static, tiny_transformer, tmp_path):
    retriever = Retriever.load(tiny_static)
    for attempt, message in [
        (lambda: retriever.encode(TEXTS, role="document"), "query, passage"),
        (lambda: retriever.encode_query("one text"), "list of texts"),
        (lambda: retriever.encode_query(TEXTS, languages=["de"]), "1 for 12 texts"),
        (lambda: Retriever.load(tiny_static, engine="numpy"), "auto, static, onnx, openvino, torch"),
        (lambda: Retriever.load(tiny_static, prompts={"question": ""}), "question"),
        (lambda: Retriever.load(tiny_transformer).save(tmp_path / "m", precision="float16"), "static"),
        (lambda: Retriever.load(tiny_static, device="cuda"), "engine static, which computes on the processor"),
        (lambda: Retriever.load(tiny_transformer, device="cuda:77"), "'cuda:77' cannot be used here"),
        (lambda: Retriever.load(tiny_transformer, device="abacus"), "Use one of: cpu"),
    ]:
        with pytest.raises(UsageError, match=message):
            attempt()
    with pytest.raises(ModelError, match="static models only"):
        Retriever.load(tiny_transformer, engine="static")


NO_TEXTS = [
    (["a", None, 3], "2 problems", ("text 1  None is no text but NoneType", "text 2  3 is no text but int")),
    (b"abc", "no list of texts but bytes", ()),
    (None, "no list of texts but NoneType", ()),
    (iter(["a"]), "no list of texts but list_iterator", ("list(texts)",)),
    ({"a": "b"}, "no list of texts but dict", ()),
    (["a", "b\ud800"], "1 problem", (r"text 1  has half of a surrogate pair: 'b\ud800'",)),
]


@pytest.mark.parametrize(("texts", "message", "more"), NO_TEXTS)
def test_what_is_no_list_of_texts(tiny_static, texts, message, more):
    with pytest.raises(UsageError, match=message) as error:
        Retriever.load(tiny_static).encode_query(texts)
    assert all(part in str(error.value) for part in more)


def test_languages_are_checked(tiny_static):
    retriever = Retriever.load(tiny_static)
    for languages, said in ((["klingon"], "klingon"), ("klingon", "klingon"), (5, "5 is int"), ([7], "7")):
        with pytest.raises(UsageError, match=said):
            retriever.encode_query(["a"], languages=languages)
    assert retriever.encode_query(["a", "b", "c"], languages=["deu_Latn", None, "und"]).shape[0] == 3


def test_a_passage_without_a_token_names_what_lists_them():
    """Which texts those are depends on the model; what has no letter or digit is found without one."""
    with pytest.raises(DataError, match="no token that the model knows") as error:
        Retriever.load("bundled").encode_passage(["a", "..."])
    assert "isogloss data check" in error.value.next_step


def test_what_is_no_model(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="None is NoneType"):
        Retriever.load(None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "modules.json").write_text("[{]")
    for name, message in [
        (tmp_path / "nowhere", "no model folder"),
        (str(tmp_path / "nowhere"), "no model folder"),
        (tmp_path / "empty", "it has: nothing"),
        (tmp_path / "file", "is a file"),
        (tmp_path, "cannot be read"),
        ("someone/model-that-is-not-here", "is no folder here"),
    ]:
        with pytest.raises(ModelError, match=message):
            Retriever.load(name)


@pytest.mark.parametrize("model", ["tiny_static", "tiny_transformer", "tiny_untied", "tiny_untied_transformer"])
def test_saving_keeps_everything(model, request, tmp_path):
    retriever = Retriever.load(request.getfixturevalue(model))
    retriever.save(tmp_path / "saved")
    again = Retriever.load(tmp_path / "saved")
    assert again.towers == retriever.towers
    for role in ("query", "passage"):
        before, after = retriever.tower(role), again.tower(role)
        assert after.fingerprint.differences(before.fingerprint) == []
        assert (after.prompt, after.max_length) == (before.prompt, before.max_length)
        np.testing.assert_array_equal(again.encode(TEXTS, role=role), retriever.encode(TEXTS, role=role))
    again.save(tmp_path / "twice")
    assert content(tmp_path / "saved") == content(tmp_path / "twice")
    notes = json.loads((tmp_path / "saved" / "isogloss.json").read_text())
    assert notes["fingerprints"]["passage"]["digest"] == retriever.passage.fingerprint.digest


def test_saving_destroys_nothing(tiny_static, tmp_path, monkeypatch):
    retriever = Retriever.load(tiny_static)
    retriever.save(tmp_path / "model")
    before = content(tmp_path / "model")
    with pytest.raises(FileError, match="not empty"):
        retriever.save(tmp_path / "model")

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(persistence, "_card", full_disk)
    with pytest.raises(FileError, match="no space left"):
        retriever.save(tmp_path / "model", overwrite=True)
    assert content(tmp_path / "model") == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_half_precision_halves_the_file(tiny_static, tmp_path):
    retriever = Retriever.load(tiny_static)
    retriever.save(tmp_path / "full")
    retriever.save(tmp_path / "half", precision="float16")
    sizes = [(tmp_path / name / "0_StaticEmbedding" / "model.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.55 * sizes[0]
    half = Retriever.load(tmp_path / "half")
    np.testing.assert_allclose(half.encode_query(TEXTS), retriever.encode_query(TEXTS), atol=2e-3)
    notes = json.loads((tmp_path / "half" / "isogloss.json").read_text())
    assert (
        notes["fingerprints"]["query"]["digest"] == half.query.fingerprint.digest != retriever.query.fingerprint.digest
    )
    half.save(tmp_path / "again")
    assert content(tmp_path / "half") == content(tmp_path / "again")


def test_a_quarter_of_the_size_is_the_same_model_in_every_engine(tiny_static, tmp_path):
    retriever = Retriever.load(tiny_static)
    retriever.save(tmp_path / "bytes", precision="int8")
    weights = Path("0_StaticEmbedding", "model.safetensors")
    with safe_open(str(tmp_path / "bytes" / weights), framework="np") as tensors:
        assert {name: tensors.get_slice(name).get_dtype() for name in tensors.keys()} == {  # noqa: SIM118
            "embeddings": "I8",
            "weights": "F32",
        }
    loaded = Retriever.load(tmp_path / "bytes")
    bulk = [*TEXTS, *(f"{text} {number}" for number in range(400) for text in TEXTS)]  # enough for the wide table
    np.testing.assert_allclose(loaded.encode_query(bulk), retriever.encode_query(bulk), atol=2e-2)
    np.testing.assert_allclose(loaded.encode_query(bulk)[: len(TEXTS)], loaded.encode_query(TEXTS), atol=1e-6)
    torch = Retriever.load(tmp_path / "bytes", engine="torch")
    np.testing.assert_allclose(torch.encode_query(bulk), loaded.encode_query(bulk), atol=1e-6)
    assert torch.query.fingerprint == loaded.query.fingerprint != retriever.query.fingerprint
    loaded.save(tmp_path / "again")
    assert content(tmp_path / "bytes") == content(tmp_path / "again")
    untrained = loaded.with_towers(loaded.to_torch())
    assert untrained.query.fingerprint == loaded.query.fingerprint


def test_fingerprints_tell_the_part_that_differs(tiny_static, tiny_transformer, tmp_path):
    plain = Retriever.load(tiny_static)
    prompted = Retriever.load(tiny_static, prompts={"query": "", "passage": "passage: "})
    assert prompted.query.fingerprint == plain.query.fingerprint
    assert prompted.passage.fingerprint.differences(plain.passage.fingerprint) == ["prompt"]
    changed = StaticEngine(plain.query.engine.weights.copy(), plain.query.engine.tokenizer)
    changed.weights[7, 3] += 1e-3
    assert {
        name for name, part in changed.fingerprint_parts().items() if part != plain.query.fingerprint.parts[name]
    } == {"weights"}
    folder = shutil.copytree(tiny_transformer, tmp_path / "shorter")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"model_max_length": 16}))
    pooling = json.loads((folder / "1_Pooling" / "config.json").read_text())
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling | {"pooling_mode": "cls"}))
    other = Retriever.load(folder).query.fingerprint
    assert other.differences(Retriever.load(tiny_transformer).query.fingerprint) == ["max_length", "pooling"]


@pytest.mark.parametrize("engine", ["static", "torch"])
def test_engines_agree(tiny_static, engine):
    auto, chosen = Retriever.load(tiny_static), Retriever.load(tiny_static, engine=engine)
    assert isinstance(auto.query.engine, StaticEngine)
    np.testing.assert_allclose(chosen.encode_query(TEXTS), auto.encode_query(TEXTS), atol=1e-6)
    assert chosen.query.fingerprint == auto.query.fingerprint


@pytest.mark.parametrize(
    ("name", "query", "passage", "pooling"),
    [
        ("multilingual-e5-small", "query: ", "passage: ", "mean"),
        ("bge-small-en-v1.5", "Represent this sentence for searching relevant passages: ", "", "cls"),
        ("bert-base-multilingual-cased", "", "", "mean"),
    ],
)
def test_plain_checkpoint_gets_the_prompts_and_pooling_of_its_family(tmp_path, caplog, name, query, passage, pooling):
    retriever = Retriever.load(bert_folder(tmp_path / name))
    assert (retriever.query.prompt, retriever.passage.prompt) == (query, passage)
    assert ("records no prompts" in caplog.text) == bool(query)
    assert f"using {pooling}" in caplog.text
    assert f'"modes": ["{pooling}"]' in retriever.query.fingerprint.parts["pooling"]
    caplog.clear()
    retriever.save(tmp_path / "saved")
    again = Retriever.load(tmp_path / "saved")
    assert again.query.prompt == query and not caplog.records
    np.testing.assert_array_equal(again.encode_query(TEXTS), retriever.encode_query(TEXTS))


def test_prompts_given_silence_the_warning(tmp_path, caplog):
    folder = bert_folder(tmp_path / "multilingual-e5-small")
    assert Retriever.load(folder, prompts={"query": "q: "}).query.prompt == "q: "
    assert "records no prompts" not in caplog.text


def test_hub_name_is_fetched_without_pickles(tiny_static, monkeypatch):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    asked = {}

    def snapshot_download(name, **options):
        asked.update(options, name=name)
        return str(tiny_static)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    retriever = Retriever.load("intfloat/multilingual-e5-small")
    assert asked["name"] == "intfloat/multilingual-e5-small"
    assert "*.safetensors" in asked["allow_patterns"]
    assert not any(pattern.endswith(("bin", "pt", "pkl")) for pattern in asked["allow_patterns"])
    assert retriever.query.prompt == "query: "


def test_bundled_is_a_name(monkeypatch, tiny_static):
    from isogloss.models import hub

    monkeypatch.setattr(hub, "bundled_model", lambda: tiny_static)
    assert isogloss.Retriever.load("bundled").dimension == 24


def test_a_folder_of_that_name_does_not_shadow_the_bundled_model(monkeypatch, tiny_static, tmp_path, caplog):
    from isogloss.models import hub

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hub, "bundled_model", lambda: tiny_static)
    assert hub.resolve_model("bundled") == tiny_static and not caplog.records
    (tmp_path / "bundled").mkdir()
    assert hub.resolve_model("bundled") == tiny_static
    assert "not the folder of that name" in caplog.text and "./bundled" in caplog.text
    assert hub.resolve_model("./bundled") == hub.resolve_model(Path("bundled")) == Path("bundled")


def test_bank_of_a_retriever(transformer, tmp_path):
    texts = [Text(f"p{row}", text, language="de", title="T" * (row % 2)) for row, text in enumerate([*TEXTS, LONG])]
    report = transformer.encode_bank(texts, tmp_path / "bank", progress=False)
    bank = isogloss.Bank.open(tmp_path / "bank")
    bank.require(transformer.passage.fingerprint)
    np.testing.assert_allclose(bank.get(bank.ids), transformer.encode_passage(texts), atol=1e-3)
    assert report.languages["de"].truncated == 1 and report.passages == 13


def test_title_template_lives_in_the_model_and_its_fingerprint(tiny_static, tmp_path):
    retriever = Retriever.load(tiny_static)
    retriever.save(tmp_path / "model")
    notes = json.loads((tmp_path / "model" / "isogloss.json").read_text())
    (tmp_path / "model" / "isogloss.json").write_text(json.dumps(notes | {"title_template": "{text} ({title})"}))
    other = Retriever.load(tmp_path / "model")
    titled = Text("p1", "The river reaches the sea.", title="A {text}")
    plain = "The river reaches the sea. (Rivers)"
    assert other.passage.whole_text(Text("p1", "The river reaches the sea.", title="Rivers")) == plain
    assert other.passage.whole_text(titled) == "The river reaches the sea. (A {text})"
    assert other.passage.fingerprint.differences(retriever.passage.fingerprint) == ["title_template"]
    assert other.query.fingerprint == retriever.query.fingerprint
