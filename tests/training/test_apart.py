"""Training is kept apart from the texts that a model is measured on.

1. A text is held whatever its case, punctuation, vowel signs or compatibility forms; short ones, ids, titles never.
2. Rows and pairs with such a text on any side are dropped; a line of many languages loses that text alone.
3. A run without its own texts to keep apart drops nothing, and one with them says how many it dropped.
4. The start of a new model sees none of them.
"""

import json

import pytest

from isogloss.files import write_jsonl
from isogloss.records import ParallelRow, Row
from isogloss.training.sources.apart import Apart
from isogloss.training.sources.multiway_files import read_multiway_files

HELD = "Where does the river reach the sea?"
ARABIC = "أَجْنِيْ مِئْةَ يُوْرَو فِيْ اليَوْم."


@pytest.fixture
def apart(tmp_path):
    path = tmp_path / "queries.jsonl"
    write_jsonl(
        path,
        [
            {"_id": "an identifier that is long", "text": HELD, "title": "A title of many letters", "lang": "en"},
            {"_id": "2", "text": "أجني مئة يورو في اليوم"},
            {"_id": "3", "text": "ships"},
        ],
    )
    return Apart([str(path)])


@pytest.mark.parametrize(
    "text", [HELD, "WHERE does the river – reach the sea", "Where does the river reach the sea?", ARABIC]
)
def test_held_whatever_hides_it(apart, text):
    assert apart.holds(text)


@pytest.mark.parametrize(
    "text", ["ships", "an identifier that is long", "A title of many letters", "Where does the river reach the lake?"]
)
def test_not_held(apart, text):
    assert not apart.holds(text)


def test_rows_and_pairs_are_dropped(apart):
    rows = [Row("q", "a passage"), Row(HELD, "a passage"), Row("q", HELD.upper()), Row("q", "p", translated_query=HELD)]
    rows.append(Row("q", "p", negative_passages=("another", HELD)))
    assert list(apart.rows(rows)) == rows[:1]
    pairs = [
        ParallelRow("a", "b", "en", "ar"),
        ParallelRow("a", ARABIC, "en", "ar"),
        ParallelRow(HELD, "b", "en", "ar"),
    ]
    assert list(apart.pairs(pairs)) == pairs[:1]
    assert apart.found == 6
    assert "6 such texts were left out" in apart.notes()[0]


def test_a_line_loses_that_text_alone(apart, tmp_path):
    path = tmp_path / "lines.jsonl"
    lines = [{"_id": "1", "en": HELD, "de": "Wo mündet der Fluss?"}, {"_id": "2", "en": "A lamp", "de": "Eine Lampe"}]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    (file,) = read_multiway_files([str(path)], takes={"en", "de"}.__contains__, synonyms=False, longest=99, apart=apart)
    assert file.columns == {"en": ["", "A lamp"], "de": ["Wo mündet der Fluss?", "Eine Lampe"]}


def test_nothing_kept_apart_drops_nothing():
    rows = [Row(HELD, HELD)]
    nothing = Apart()
    assert list(nothing.rows(rows)) == rows
    assert nothing.notes() == []
