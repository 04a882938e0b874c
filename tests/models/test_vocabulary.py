"""A static model's vocabulary: what a reader takes for one word has one row.

1. Case, Arabic vowel signs and letter variants, Greek accents, punctuation and the Arabic article change no id.
2. Frequent words of spaced scripts are whole; every other word is cut into known pieces.
3. Unspaced scripts are cut apart from spaced ones, and no piece of theirs begins a word.
4. A language's weight, not the amount of its text, decides how many of its words are whole.
5. The start gives rare pieces long vectors, frequent pieces short ones, and the unknown piece nearly none.
"""

from collections import Counter

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from isogloss.models.associations import Associations
from isogloss.models.static_start import piece_counts, random_directions, static_start, with_teacher, with_translations
from isogloss.models.vocabulary import balanced_shares, build_tokenizer, count_words, new_tokenizer

TEXTS = {
    "en": ["the lighthouse keeper counts ships", "the ships pass the lighthouse", "a keeper sleeps"] * 4,
    "ru": ["смотритель маяка считает корабли", "корабли проходят мимо маяка"] * 4,
    "ar": ["حارس المنارة يعد السفن", "السفن تمر قرب المنارة"] * 4,
    "th": ["ผู้ดูแลประภาคารนับเรือ", "เรือผ่านประภาคาร"] * 4,
}


@pytest.fixture(scope="module")
def shares():
    return balanced_shares({language: [count_words(texts)] for language, texts in TEXTS.items()}, {})


@pytest.fixture(scope="module")
def tokenizer(shares):
    return build_tokenizer(shares, whole_words=12, pieces=120)


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("The SHIPS, pass!", "the ships pass"),
        ("السُّفُن", "سفن"),
        ("أحمد", "احمد"),
        ("Φάρος", "φαροσ"),
        ("the lighthouse", "THE\u00a0lighthouse"),
    ],
)
def test_what_readers_ignore_changes_no_word(written, same):
    assert count_words([written]) == count_words([same])


def test_frequent_words_are_whole(tokenizer):
    assert tokenizer.encode("The lighthouse").tokens == ["▁the", "▁lighthouse"]


def test_other_words_are_cut_into_known_pieces(tokenizer):
    encoding = tokenizer.encode("lighthouses sleepers")
    assert len(encoding.tokens) > 2
    assert "<unk>" not in encoding.tokens


def test_unspaced_scripts_begin_no_word_and_stay_apart(tokenizer):
    tokens = tokenizer.encode("เรือ ships เรือ").tokens
    assert "▁ships" in tokens
    assert not any(token.startswith("▁") for token in set(tokens) - {"▁ships"})


def test_the_weight_and_not_the_amount_of_text_decides():
    counts = {"en": [Counter({"▁many": 900, "▁more": 100})], "sw": [Counter({"▁wengi": 9, "▁zaidi": 3})]}
    even = balanced_shares(counts, {})
    assert even["▁many"] > even["▁wengi"] > even["▁more"]
    favoured = balanced_shares(counts, {"sw": 9.0})
    assert favoured["▁zaidi"] > favoured["▁many"]
    assert sum(favoured.values()) == pytest.approx(1.0)


def test_rare_words_are_left_out_and_rare_runs_are_not():
    counts = {"en": [Counter({"▁often": 5, "▁once": 1})], "th": [Counter({"ประภาคารนับเรือ": 1})]}
    assert balanced_shares(counts, {}).keys() == {"▁often", "ประภาคารนับเรือ"}


def test_the_start_is_long_for_rare_pieces(tokenizer, shares):
    counts = piece_counts(tokenizer, shares)
    directions = random_directions(len(counts), dimension=64, seed=0)
    assert np.allclose(np.linalg.norm(directions, axis=1), 1.0, atol=1e-5)
    vectors = static_start(directions, counts)
    lengths = np.linalg.norm(vectors, axis=1)
    assert 0.0 < lengths[0] < lengths[1:].min()
    frequent, rare = int(np.argmax(counts)), int(np.argmin(counts[1:])) + 1
    assert lengths[frequent] < lengths[rare]
    assert np.array_equal(directions, random_directions(len(counts), dimension=64, seed=0))


def test_a_teacher_makes_its_words_alike_and_leaves_the_others():
    directions = random_directions(40, dimension=32, seed=0)
    taught = np.random.default_rng(1).standard_normal((20, 12)).astype(np.float32)
    taught[1] = taught[0]
    mixed = with_teacher(directions, np.arange(10, 30), taught, share=0.8, seed=0)
    assert np.allclose(np.linalg.norm(mixed, axis=1), 1.0, atol=0.5)
    assert mixed[10] @ mixed[11] > directions[10] @ directions[11] + 0.3
    untouched = [*range(10), *range(30, 40)]
    assert np.array_equal(mixed[untouched], directions[untouched])
    assert np.array_equal(with_teacher(directions, np.arange(10, 30), taught, share=0.0, seed=0), directions)


def test_a_translation_turns_towards_what_it_translates():
    directions = random_directions(3, dimension=64, seed=0)
    found = Associations(csr_matrix(([1.0], ([2], [1])), shape=(3, 3)), np.asarray([0.0, 0.0, 1.0]))
    turned = with_translations(directions, found, own=0.6)
    assert np.allclose(turned[:2], directions[:2], atol=1e-6)
    assert turned[2] @ directions[1] > 0.7
    assert turned[2] @ directions[2] > 0.5
    assert np.allclose(with_translations(directions, found, own=0.0)[2], directions[1], atol=1e-6)


def test_a_tokenizer_comes_back_from_its_file(tokenizer, tmp_path):
    from tokenizers import Tokenizer

    tokenizer.save(str(tmp_path / "tokenizer.json"))
    again = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert again.encode("Die Schiffe, корабли").ids == tokenizer.encode("Die Schiffe, корабли").ids


def test_an_untrained_tokenizer_folds_already():
    assert new_tokenizer().normalizer.normalize_str("ÇA VA?").strip() == "ça va"
