"""What is known to answer a question is never its negative.

1. By id or by text, labelled in any row that asks the same question or its translation.
2. Translations of it, by parallel id, which its id or its text leads to.
3. Passages with a gold answer: whole words where words are spaced, runs of characters where they are not.
4. Near duplicates of the row's passage, a sentence of it among them.
5. Other questions' answers may be negatives.
"""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from isogloss.records import Row, Text
from isogloss.training.mining.known_answers import (
    GOLD_ANSWER,
    KNOWN_ANSWER,
    NEAR_DUPLICATE,
    TRANSLATION,
    KnownAnswers,
    contains_answer,
    letters,
    overlap,
    overlaps,
    pieces,
)

RIVER = "The river reaches the sea near the old lighthouse at Sulina."
DELTA = "Its delta is among the largest wetlands of the continent."
BREAD = "Bread is baked early in the morning, before the market opens."
CORPUS = (
    Text("river.en", RIVER, "en", parallel_id="river"),
    Text("river.de", "Der Fluss mündet beim alten Leuchtturm ins Meer.", "de", parallel_id="river"),
    Text("delta.en", DELTA, "en", parallel_id="delta"),
    Text("delta.de", "Sein Delta ist eines der größten Feuchtgebiete.", "de", parallel_id="delta"),
    Text("bread.en", BREAD, "en", parallel_id="bread"),
)
ROWS = (
    Row("Where does the river end?", RIVER.upper(), "en", "en"),
    Row("where does the river end", "Some text about a delta.", "en", "en", passage_id="delta.en"),
    Row("Wo endet der Fluss?", BREAD, "de", "en"),
    Row("When is bread baked?", BREAD, "en", "en", answers=("early", "before the market")),
)
BY_ID = {text.id: text for text in CORPUS}


def reasons(row, rows=ROWS):
    known = KnownAnswers(rows, CORPUS)
    return {text.id: known.reason_against(row, text) for text in CORPUS}


def test_answers_of_a_question_and_their_translations():
    assert reasons(ROWS[0]) == {
        "river.en": KNOWN_ANSWER,
        "river.de": TRANSLATION,
        "delta.en": KNOWN_ANSWER,
        "delta.de": TRANSLATION,
        "bread.en": None,
    }


def test_a_translated_question_joins_the_answers():
    linked = Row("Wo endet der Fluss?", BREAD, "de", "en", translated_query="Where does the river end?")
    assert reasons(ROWS[0], (*ROWS[:2], linked))["bread.en"] == KNOWN_ANSWER
    assert reasons(linked, (*ROWS[:2], linked))["river.de"] == TRANSLATION


def test_gold_answers():
    known = KnownAnswers(ROWS, CORPUS)
    assert known.reason_against(ROWS[3], Text("x", "She left early.")) == GOLD_ANSWER
    assert known.reason_against(ROWS[3], Text("x", "She left nearly at once.")) is None
    assert known.reason_against(ROWS[0], Text("x", "She left early.")) is None


@pytest.mark.parametrize(
    ("text", "answer", "expected"),
    [
        ("Er kam 1990 an.", "1990", True),
        ("Er kam 11990 an.", "1990", False),
        ("New York City", "new york", True),
        ("灯塔看守人在夜里数船。", "看守人", True),
        ("灯塔看守人在夜里数船。", "守看", False),
        ("กรุงเทพมหานครเป็นเมืองหลวง", "มหานคร", True),
        ("anything", "?!", False),
    ],
)
def test_an_answer_is_whole_words_or_a_run_of_characters(text, answer, expected):
    assert contains_answer(text, [answer]) is expected


def test_near_duplicates():
    sentence = "The river reaches the sea near the old lighthouse"
    changed = RIVER.replace("Sulina", "Sfântu Gheorghe")
    known = KnownAnswers(ROWS, CORPUS)
    assert known.reason_against(ROWS[0], Text("x", sentence)) == NEAR_DUPLICATE
    assert known.reason_against(ROWS[0], Text("x", changed)) == NEAR_DUPLICATE
    assert known.reason_against(ROWS[0], Text("x", BREAD)) is None
    assert KnownAnswers(ROWS, near_duplicate=1.1).reason_against(ROWS[0], Text("x", sentence)) is None


def test_overlap_is_the_shared_part_of_the_smaller_text():
    # abcdefghij has the runs abcdefgh, bcdefghi, cdefghij; of the other's four, two are among them.
    assert overlap("abcdefghij", "Bcd efg-hij kl") == pytest.approx(2 / 3)
    assert overlap("abc", "ABC!") == 1
    assert overlap("abc", "abd") == 0


def test_positives_are_found_in_the_corpus_by_their_text():
    places = KnownAnswers(ROWS, CORPUS).places
    assert set(places.values()) == {"river.en", "bread.en"}


def test_letters_are_letters_marks_and_digits_of_every_script():
    every = "".join(map(chr, range(0x30000))).replace("\ud800", "")
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", every).casefold())
    assert letters(every) == "".join(sign for sign in folded if unicodedata.category(sign)[0] in "LMN")


def test_pieces_are_runs_of_eight_letters_each_once():
    assert len(pieces("abcdefgh")) == len(pieces("abc")) == 1
    assert len(pieces("ab" * 20)) == 2
    assert len(pieces("the river reaches the sea")) == len("theriverreachesthesea") - 7
    assert (pieces("a b-c d e f g h i") == pieces("ABCDEFGHI")).all()


def test_a_passage_that_is_no_copy_is_not_read_again():
    known = KnownAnswers(ROWS, CORPUS)
    assert known.reason_against(ROWS[0], Text("bread.en", RIVER, "en")) == NEAR_DUPLICATE
    assert KnownAnswers(ROWS).reason_against(ROWS[0], Text("bread.en", RIVER, "en")) == KNOWN_ANSWER


def test_the_quick_look_at_hashes_decides_as_all_of_them_do():
    generator = np.random.default_rng(3)
    words = ["".join(chr(97 + letter) for letter in generator.integers(0, 26, 6)) for _ in range(400)]
    passage = " ".join(words)
    decided = set()
    for share in np.linspace(0, 1, 60):
        other = " ".join(word if generator.random() < share else word[::-1] for word in words)
        exact = overlap(passage, other)
        for limit in (0.3, 0.8, exact, np.nextafter(exact, 2)):
            decided.add(exact >= limit)
            assert overlaps(passage, other, limit) == (exact >= limit), (share, limit)
    assert decided == {True, False}
    assert overlaps("abcdefghij", passage, 0.1) is False and overlaps("abc", "ABC!", 1.0) is True
