"""What pieces translate what, counted.

1. A piece goes with the English piece that it stands beside and others do not, and not with the frequent one.
2. Rows sum to 1; a piece that no translation has, and the unknown piece, has none.
3. A file's weight counts as so many lines, and the order of lines changes nothing.
4. The share of a piece that is foreign follows from the lines it stands in.
5. Overlong lines are left out.
"""

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from isogloss.models.associations import MOST_PIECES, Translations, associate, piece_incidence

WORDS = ["[?]", "the", "ship", "boat", "lamp", "das", "schiff", "lampe", "nie"]


@pytest.fixture
def tokenizer():
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[?]"))  # noqa: S106  (no password)
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return made


def lines(times=4):
    english = ["the ship", "the lamp"] * times
    german = ["das schiff", "das lampe"] * times
    return english, german


def row(found, word):
    return dict(zip(WORDS, found.english[WORDS.index(word)].toarray()[0].tolist(), strict=True))


def test_a_piece_goes_with_its_translation(tokenizer):
    found = associate(tokenizer, {"de": [Translations(*lines())]}, np.zeros(len(WORDS)))
    assert row(found, "schiff")["ship"] > 0.9
    assert row(found, "lampe")["lamp"] > 0.9
    assert row(found, "schiff")["lamp"] == 0.0
    sums = np.asarray(found.english.sum(axis=1)).ravel()
    assert sums[[WORDS.index("schiff"), WORDS.index("lampe")]] == pytest.approx(1.0)
    assert sums[WORDS.index("nie")] == sums[0] == 0.0


def test_chance_is_no_association(tokenizer):
    # "das" and "the" are in every line: each is what chance alone gives.
    found = associate(tokenizer, {"de": [Translations(*lines())]}, np.zeros(len(WORDS)))
    assert row(found, "das")["the"] == 0.0


def test_weights_count_as_lines_and_order_does_not(tokenizer):
    english, german = lines()
    extra = Translations(["boat"], ["schiff"])
    twice = associate(tokenizer, {"de": [Translations(*lines()), extra, extra]}, np.zeros(len(WORDS)))
    weighed = associate(
        tokenizer,
        {"de": [Translations(english[::-1], german[::-1]), Translations(["boat"], ["schiff"], weight=2.0)]},
        np.zeros(len(WORDS)),
    )
    assert np.allclose(twice.english.toarray(), weighed.english.toarray())
    assert 0.0 < row(twice, "schiff")["boat"] < row(twice, "schiff")["ship"]


def test_the_foreign_share(tokenizer):
    english, german = lines()
    counts = np.asarray(piece_incidence(tokenizer, [*english, *["schiff"] * 12]).sum(axis=0)).ravel()
    found = associate(tokenizer, {"de": [Translations(english, german)]}, counts)
    assert found.foreign_share[WORDS.index("schiff")] == pytest.approx(4 / (4 + 12))
    assert found.foreign_share[WORDS.index("ship")] == 0.0


def test_overlong_lines_are_left_out():
    words = [f"w{number}" for number in range(MOST_PIECES + 2)]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(["[?]", *words])}, unk_token="[?]"))  # noqa: S106  (no password)
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    kept, left = ["w0 w1", "w2"], [" ".join(words), "w2"]
    assert associate(made, {"de": [Translations(kept, kept)]}, np.zeros(len(words) + 1)).english.nnz > 0
    assert associate(made, {"de": [Translations(left[:1], left[:1])]}, np.zeros(len(words) + 1)).english.nnz == 0


def test_what_met_rarely_counts_less(tokenizer):
    # "schiff" is in 5 of 10 lines: 4 with "ship" (in 4), 1 with "boat" (in 1); φ less chance, shrunk by C / (C + 3).
    english = ["ship"] * 4 + ["boat"] + ["lamp"] * 5
    german = ["schiff"] * 5 + ["lampe"] * 5
    found = row(associate(tokenizer, {"de": [Translations(english, german)]}, np.zeros(len(WORDS))), "schiff")
    ship = ((4 - 5 * 4 / 10) / (5 * 4) ** 0.5 * 4 / (4 + 3)) ** 2
    boat = ((1 - 5 * 1 / 10) / (5 * 1) ** 0.5 * 1 / (1 + 3)) ** 2
    assert found["ship"] == pytest.approx(ship / (ship + boat))
    assert found["boat"] == pytest.approx(boat / (ship + boat))
