"""A trimmed model is the model, on the texts that it was trimmed for.

1. For Unigram, BPE and WordPiece, static models and transformers, tied and untied: every text of the corpus has the
   same ids up to the mapping and the same vectors, and the folder opens in sentence-transformers with them.
2. It is smaller: pieces of the languages that were left out are gone.
3. Nothing is written where the proof fails or the model cannot be trimmed; a dry run writes nothing.
4. Texts that are now cut differently are counted by language.
5. Other texts in the same characters are cut as before too; with `used` that is not promised, and the model is smaller.
6. BPE merges stay consistent: each that stays has its parts and its result, in the old order.
"""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from isogloss.errors import DataError, ModelError, ParityError, UsageError
from isogloss.models import trim_vocabulary as module
from isogloss.models.retriever import Retriever
from isogloss.models.tensor_rows import copy_rows, read_header
from isogloss.models.trim_vocabulary import trim_vocabulary
from isogloss.models.trimming import TrimmedTokenizer, count_use, trim_tokenizer
from isogloss.records import Text
from tests.conftest import (
    SPECIAL_TOKENS,
    TINY_TEXTS,
    bert_modules,
    build_tokenizer,
    save_sentence_transformer,
    static_modules,
)

KINDS = ("Unigram", "BPE", "WordPiece")
EUROPEAN = [Text(f"e{row}", TINY_TEXTS[row], "en" if row in (0, 1, 10) else "de") for row in (0, 1, 2, 3, 10)]
RUSSIAN = [Text(f"r{row}", TINY_TEXTS[row], "ru") for row in (4, 5, 11)]


def static_folder(kind, tmp_path):
    return save_sentence_transformer(static_modules(kind), tmp_path / f"static-{kind}")


def bytes_folder(kind, tmp_path):
    Retriever.load(static_folder(kind, tmp_path)).save(tmp_path / f"bytes-{kind}", precision="int8")
    return tmp_path / f"bytes-{kind}"


def transformer_folder(kind, tmp_path):
    return save_sentence_transformer(bert_modules(tmp_path / f"bert-{kind}", kind), tmp_path / f"transformer-{kind}")


def xlm_roberta_folder(tmp_path):
    """A model in the shape of XLM-R: pieces behind four special ones, the mask last, positions counted from padding."""
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    pieces = json.loads(build_tokenizer("Unigram").to_str())["model"]["vocab"][len(SPECIAL_TOKENS) :]
    names = ("<s>", "<pad>", "</s>", "<unk>")
    scored = [*((name, 0.0) for name in names), *map(tuple, pieces), ("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.add_special_tokens([*names, "<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    special = {
        "bos": "<s>",
        "cls": "<s>",
        "pad": "<pad>",
        "eos": "</s>",
        "sep": "</s>",
        "unk": "<unk>",
        "mask": "<mask>",
    }
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=32,
        **{f"{role}_token": name for role, name in special.items()},
    )
    config = XLMRobertaConfig(
        vocab_size=len(scored),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=34,
        pad_token_id=1,
    )
    XLMRobertaModel(config).save_pretrained(tmp_path / "xlm-r")
    fast.save_pretrained(tmp_path / "xlm-r")
    return save_sentence_transformer([Transformer(str(tmp_path / "xlm-r")), Pooling(32, "mean")], tmp_path / "model")


def opens_elsewhere_with(folder, texts):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu").encode([text.text for text in texts])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("make", "keep"), [(static_folder, "characters"), (bytes_folder, "characters"), (transformer_folder, "used")]
)
def test_ids_and_vectors_are_the_same_and_the_folder_opens_elsewhere(make, keep, kind, tmp_path):
    folder = make(kind, tmp_path)
    report = trim_vocabulary(folder, EUROPEAN, tmp_path / "out", check=RUSSIAN, keep=keep)
    (place,) = report.places
    assert place.pieces < place.pieces_before and report.bytes_after < report.bytes_before
    assert report.largest_difference <= 1e-6 and report.vectors == 2 * len(EUROPEAN)
    before, after = Retriever.load(folder), Retriever.load(tmp_path / "out")
    np.testing.assert_allclose(after.encode_passage(EUROPEAN), before.encode_passage(EUROPEAN), atol=1e-6)
    theirs = opens_elsewhere_with(tmp_path / "out", EUROPEAN)
    np.testing.assert_allclose(theirs, opens_elsewhere_with(folder, EUROPEAN), atol=1e-5)
    by_language = {row.language: row for row in report.languages}
    assert (by_language["en"].texts, by_language["en"].outside) == (3, 0)
    assert (by_language["ru"].texts, by_language["ru"].checked, by_language["ru"].checked_outside) == (0, 3, 3)
    if make is transformer_folder:
        config = json.loads((tmp_path / "out" / "config.json").read_text())
        assert config["vocab_size"] == place.pieces


@pytest.mark.parametrize("kind", KINDS)
def test_the_pieces_of_a_word_are_its_old_ones(kind):
    tokenizer = build_tokenizer(kind)
    description = json.loads(tokenizer.to_str())
    strings = [[text.text] for text in EUROPEAN]
    trimmed = trim_tokenizer(description, count_use(tokenizer, strings))
    smaller = Tokenizer.from_str(json.dumps(trimmed.description))
    assert len(trimmed.old_ids) == smaller.get_vocab_size() < tokenizer.get_vocab_size()
    for (text,) in strings:
        old, new = tokenizer.encode(text), smaller.encode(text)
        assert old.ids == trimmed.old_ids[new.ids].tolist() and old.tokens == new.tokens
    assert [smaller.id_to_token(number) for number in range(len(trimmed.old_ids))] == [
        tokenizer.id_to_token(int(old)) for old in trimmed.old_ids
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_other_texts_in_the_same_characters_are_cut_as_before(kind):
    tokenizer = build_tokenizer(kind)
    description = json.loads(tokenizer.to_str())
    use = count_use(tokenizer, [[text.text] for text in EUROPEAN[:2]])
    trimmed = trim_tokenizer(description, use)
    smallest = trim_tokenizer(description, use, keep="used")
    assert len(smallest.old_ids) < len(trimmed.old_ids)
    smaller = Tokenizer.from_str(json.dumps(trimmed.description))
    generator = random.Random(0)
    letters = sorted(set("".join(text.text for text in EUROPEAN[:2]).lower()))
    for _ in range(300):
        text = "".join(generator.choices(letters, k=30))
        assert tokenizer.encode(text).ids == trimmed.old_ids[smaller.encode(text).ids].tolist()


@pytest.mark.parametrize("keep", ["characters", "used"])
def test_merges_that_stay_have_their_parts_and_their_order(keep):
    tokenizer = build_tokenizer("BPE")
    description = json.loads(tokenizer.to_str())
    trimmed = trim_tokenizer(description, count_use(tokenizer, [[text.text] for text in EUROPEAN]), keep=keep)
    model = trimmed.description["model"]
    assert 0 < len(model["merges"]) < len(description["model"]["merges"])
    for left, right in model["merges"]:
        assert {left, right, left + right} <= model["vocab"].keys()
    order = [description["model"]["merges"].index(merge) for merge in model["merges"]]
    assert order == sorted(order)


def test_the_cost_of_the_unknown_piece_stays():
    # Without the piece of the least score an unknown character would cost less than the rare piece 'ab'.
    vocabulary = [["<unk>", 0.0], ["a", -1.0], ["abb", -12.0], ["z", -30.0]]
    description = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": {"type": "Unigram", "unk_id": 0, "vocab": vocabulary, "byte_fallback": False},
    }
    tokenizer = Tokenizer.from_str(json.dumps(description))
    trimmed = trim_tokenizer(description, count_use(tokenizer, [["abb"], ["a"]]))
    assert ["z", -30.0] in trimmed.description["model"]["vocab"]
    assert Tokenizer.from_str(json.dumps(trimmed.description)).encode("abb").tokens == ["abb"]


def test_untied_towers_are_both_trimmed(tiny_untied, tmp_path):
    report = trim_vocabulary(tiny_untied, EUROPEAN, tmp_path / "out")
    assert len(report.places) == 2
    before, after = Retriever.load(tiny_untied), Retriever.load(tmp_path / "out")
    for role in ("query", "passage"):
        np.testing.assert_allclose(after.encode(EUROPEAN, role=role), before.encode(EUROPEAN, role=role), atol=1e-6)


@pytest.mark.parametrize("keep", ["characters", "used"])
def test_the_special_pieces_of_xlm_roberta_stay_where_it_looks_for_them(keep, tmp_path):
    folder = xlm_roberta_folder(tmp_path)
    trim_vocabulary(folder, EUROPEAN, tmp_path / "out", keep=keep)
    trimmed = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert [trimmed.token_to_id(name) for name in ("<s>", "<pad>", "</s>", "<unk>")] == [0, 1, 2, 3]
    assert trimmed.token_to_id("<mask>") == trimmed.get_vocab_size() - 1
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["pad_token_id"], config["vocab_size"]) == (1, trimmed.get_vocab_size())
    theirs = opens_elsewhere_with(tmp_path / "out", EUROPEAN)
    np.testing.assert_allclose(theirs, opens_elsewhere_with(folder, EUROPEAN), atol=1e-6)


def test_prompts_are_part_of_the_texts(tiny_transformer, tmp_path):
    trim_vocabulary(tiny_transformer, RUSSIAN, tmp_path / "out")
    after = Retriever.load(tmp_path / "out")
    assert after.query.prompt == "query: "
    np.testing.assert_allclose(
        after.encode_query(RUSSIAN), Retriever.load(tiny_transformer).encode_query(RUSSIAN), atol=1e-6
    )


def test_rare_pieces_can_go_and_the_texts_that_had_them_are_named(tmp_path):
    folder = static_folder("Unigram", tmp_path)
    exact = trim_vocabulary(folder, EUROPEAN, tmp_path / "exact", keep="used")
    fewer = trim_vocabulary(folder, [*EUROPEAN, EUROPEAN[0]], tmp_path / "fewer", keep="used", least_texts=2)
    assert fewer.places[0].pieces < exact.places[0].pieces
    outside = {row.language: row.outside for row in fewer.languages}
    assert outside["de"] > 0 and outside["en"] < 4
    with pytest.raises(UsageError, match="least_texts"):
        trim_vocabulary(folder, EUROPEAN, tmp_path / "none", least_texts=0)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_written_where_ids_differ(kind, tmp_path, monkeypatch):
    folder = static_folder(kind, tmp_path)
    honest = trim_tokenizer

    def from_one_text(description, use, **options):
        use = count_use(Tokenizer.from_file(str(next(folder.rglob("tokenizer.json")))), [[EUROPEAN[0].text]])
        return honest(description, use, keep="used")

    monkeypatch.setattr(module, "trim_tokenizer", from_one_text)
    with pytest.raises(ParityError, match=r"cut differently[^$]*Nothing was written\. Keep more pieces"):
        trim_vocabulary(folder, EUROPEAN, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert {path.name for path in tmp_path.iterdir()} == {f"static-{kind}"}


def test_nothing_is_written_where_vectors_differ(tmp_path, monkeypatch):
    folder = static_folder("WordPiece", tmp_path)
    monkeypatch.setattr(
        module,
        "copy_rows",
        lambda source, target, rows: copy_rows(source, target, {name: ids[::-1] for name, ids in rows.items()}),
    )
    with pytest.raises(ParityError, match=r"vectors that differ[^$]*Nothing was written\. Save the model again"):
        trim_vocabulary(folder, EUROPEAN, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_dry_run_proves_and_keeps_nothing(tmp_path):
    folder = static_folder("Unigram", tmp_path)
    report = trim_vocabulary(folder, EUROPEAN, None)
    assert report.vectors and [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_what_cannot_be_trimmed_is_refused(tmp_path):
    folder = static_folder("Unigram", tmp_path)
    with pytest.raises(DataError, match="no texts"):
        trim_vocabulary(folder, [], tmp_path / "out")
    with pytest.raises(ModelError, match="kind Made"):
        trim_tokenizer({"model": {"type": "Made"}}, count_use(build_tokenizer("WordPiece"), []))
    (weights,) = folder.rglob("*.safetensors")
    with pytest.raises(
        ModelError, match="fewer rows than the tokenizer beside it has pieces\nThe two files are not of"
    ):
        module._write_tables(weights.parent, tmp_path, {}, TrimmedTokenizer({}, np.array([0, 10**6])))
    weights.write_bytes(b"no header")
    with pytest.raises(ModelError, match="cannot be read"):
        trim_vocabulary(folder, EUROPEAN, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_rows_are_copied_bit_for_bit_in_any_precision(tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    tensors = {"table": torch.randn(7, 3).to(torch.bfloat16), "bias": torch.randn(7), "other": torch.arange(5)}
    save_file(tensors, tmp_path / "a.safetensors", metadata={"format": "pt"})
    rows = np.array([0, 2, 6])
    copy_rows(tmp_path / "a.safetensors", tmp_path / "b.safetensors", {"table": rows, "bias": rows})
    found = load_file(tmp_path / "b.safetensors")
    assert torch.equal(found["table"], tensors["table"][rows]) and torch.equal(found["bias"], tensors["bias"][rows])
    assert torch.equal(found["other"], tensors["other"])
    assert read_header(tmp_path / "b.safetensors")["table"]["shape"] == [3, 3]


def test_new_ids_are_those_of_the_old_ones():
    trimmed = TrimmedTokenizer({}, np.array([0, 3, 9]))
    assert [trimmed.new_id(old) for old in (0, 3, 9, 4, 10)] == [0, 1, 2, None, None]
