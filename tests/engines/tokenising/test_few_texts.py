"""A tokenizer file gives the ids of its whole tokenizer, whether that has been read or not.

1. Ids of a few short texts are those of the whole tokenizer: unknown characters, ties, spaces and reserved signs too.
2. It is read whole when texts are long or come again, and at once where fewer pieces might cut otherwise.
3. A digest is taken from the notes only where they are of this very file.
4. A broken file is refused at once.
"""

from __future__ import annotations

import json

import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from isogloss.engines.hashing import text_digest, tokenizer_digest
from isogloss.engines.tokenising import TextTokenizer, TokenizerFile, few_texts
from isogloss.models.vocabulary import balanced_shares, build_tokenizer, count_words
from tests.conftest import TINY_TEXTS
from tests.engines.tokenising.test_tokenising import HOSTILE, many_texts, own_ids


@pytest.fixture(scope="module")
def whole() -> Tokenizer:
    """A tokenizer as the bundled model has one: folding, whole words, pieces."""
    counts = {"xx": [count_words([*TINY_TEXTS, *HOSTILE, "แม่น้ำไหลลงทะเล 河流入海 الكتاب والبيت"] * 3)]}
    return build_tokenizer(balanced_shares(counts, {}), whole_words=30, pieces=220)


def is_read(file: TokenizerFile) -> bool:
    return file._whole is not None


def test_ids_are_those_of_the_whole_tokenizer(whole):
    short = [text for text in [*TINY_TEXTS, *HOSTILE, *many_texts(5)] if len(text) < few_texts.FEW_CHARACTERS]
    for text in short:
        file = TokenizerFile(whole.to_str())
        assert file.ids_of_few([text, ""]) == own_ids(whole, [text, ""]), text
        assert not is_read(file)


def test_unknown_characters_cost_what_the_least_likely_piece_says():
    # "abz" is "▁ab" and an unknown sign, or "▁a" and "bz": the least score of all pieces says which is less unlikely.
    pieces = [("<unk>", 0.0), ("▁ab", -1.0), ("▁a", -30.0), ("bz", -30.0)]
    found = []
    for least in (-5.0, -100.0):
        tokenizer = Tokenizer(models.Unigram([*pieces, ("far", least)], unk_id=0))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        found.append(TokenizerFile(tokenizer.to_str()).ids_of_few(["abz"]))
        assert found[-1] == own_ids(tokenizer, ["abz"])
    assert found == [[[1, 0]], [[2, 3]]]


def test_it_is_read_whole_where_there_is_more_to_cut(whole):
    long = TokenizerFile(whole.to_str())
    assert long.ids_of_few(["a" * few_texts.FEW_CHARACTERS]) is None
    again = TextTokenizer(file := TokenizerFile(whole.to_str()))
    texts = list(TINY_TEXTS[:2])
    for call in range(few_texts.FEW_CALLS + 1):
        again.prove(texts, ["en", "de"])
        assert again.ids(texts).lists() == own_ids(whole, texts)
        assert is_read(file) == (call == few_texts.FEW_CALLS)
    assert again._quick is not None


@pytest.mark.parametrize("change", ["added", "bytes", "BPE"])
def test_it_is_read_at_once_where_fewer_pieces_might_cut_otherwise(whole, change):
    tokenizer = Tokenizer.from_str(whole.to_str())
    if change == "added":
        tokenizer.add_tokens([AddedToken("ship")])
    elif change == "bytes":
        pieces = [("<unk>", 0.0), *((f"<0x{byte:02X}>", -5.0) for byte in range(256)), ("a", -1.0)]
        tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    else:
        tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    file = TokenizerFile(tokenizer.to_str())
    assert is_read(file) and file.ids_of_few(["ship ab"]) is None
    assert TextTokenizer(file).ids(["ship ab é"]).lists() == own_ids(tokenizer, ["ship ab é"])


def test_what_is_known_without_reading_is_what_the_whole_says(whole):
    limited = Tokenizer.from_str(whole.to_str())
    limited.enable_truncation(7, direction="left")
    file = TokenizerFile(limited.to_str())
    size, truncation, content = file.size, file.truncation, file.content
    assert not is_read(file)
    assert (size, truncation) == (file.whole.get_vocab_size(), file.whole.truncation)
    assert tokenizer_digest(content) == tokenizer_digest(file.whole.to_str())
    few = TokenizerFile(limited.to_str()).ids_of_few([TINY_TEXTS[0]])
    assert few == own_ids(whole, [TINY_TEXTS[0]])  # its limit is left to the engine


def test_a_digest_is_noted_of_this_very_file(whole):
    content = whole.to_str()
    noted = TokenizerFile(content, {text_digest(content): "noted"})
    assert noted.digest == "noted" and not is_read(noted)
    stale = TokenizerFile(content + "\n", {text_digest(content): "noted"})
    assert stale.digest == tokenizer_digest(content)


def test_a_broken_file_is_refused_at_once(whole):
    for broken in ("{", json.dumps({"version": "1.0"})):
        with pytest.raises(Exception, match=r"."):
            TokenizerFile(broken)
    parts = json.loads(whole.to_str())
    parts["pre_tokenizer"] = {"type": "NoSuchThing"}
    with pytest.raises(Exception, match=r"."):
        TokenizerFile(json.dumps(parts))
