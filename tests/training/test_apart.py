"""Training is kept apart from the texts that a model is measured on.

1. A text is held whatever its case, punctuation, vowel signs or compatibility forms; short ones, ids, titles never.
2. Rows and pairs with such a text on any side are dropped; a line of many languages loses that text alone.
3. No kind of source lets one through, kinds that are added later included.
4. A run without its own texts to keep apart drops nothing, and one with them says how many it dropped.
"""

import json

import pytest

from isogloss.files import write_jsonl
from isogloss.recipe import Recipe
from isogloss.records import ParallelRow, Row
from isogloss.training.assembly import open_sources
from isogloss.training.sources import SOURCE_KINDS
from isogloss.training.sources.apart import Apart
from isogloss.training.sources.multiway_files import read_multiway_files
from isogloss.training.texts import TextTable

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


def lines(path, records):
    path.write_text("\n".join(json.dumps(record, ensure_ascii=False) for record in records), encoding="utf-8")
    return str(path)


def settings(kind, folder):
    """A source of each kind over files that hold the text that is kept apart, among others."""
    rows = [{"query": f"question {n}", "positive": f"an answer, number {n}", "lang": "en"} for n in range(40)]
    many = [{"_id": str(n), "en": f"the lamp number {n}", "de": f"die Lampe Nummer {n}"} for n in range(40)]
    held_rows = lines(folder / "rows.jsonl", [*rows, {"query": HELD, "positive": "At the cape.", "lang": "en"}])
    held_many = lines(folder / "many.jsonl", [*many, {"_id": "x", "en": HELD, "de": "Wo mündet der Fluss ins Meer?"}])
    lexicon = lines(folder / "lexicon.jsonl", [{"_id": "1", "en": "question", "de": "Frage"}, {"_id": "2", "en": HELD}])
    return {
        "rows": {"path": held_rows},
        "parallel": {"path": held_many},
        "multiway": {"path": held_many},
        "nonparallel": {"path": held_many},
        "code_switched": {"path": held_rows, "lexicons": [lexicon], "languages": ["de"]},
    }[kind]


@pytest.mark.parametrize("kind", SOURCE_KINDS)
def test_no_kind_of_source_lets_one_through(kind, apart, tmp_path):
    source = {"kind": kind, "batch": 4, **settings(kind, tmp_path)}
    recipe = Recipe.model_validate({"sources": {"one": source}, "objective": [{"term": "infonce", "on": "one"}]})
    without, with_all = TextTable(), TextTable()
    open_sources(recipe, with_all, lambda title, passage: passage)
    opened = open_sources(recipe, without, lambda title, passage: passage, apart)
    assert any(apart_letters(text) == apart_letters(HELD) for text in with_all) or kind == "code_switched"
    assert not any(apart_letters(text) == apart_letters(HELD) for text in without)
    assert apart.found > 0
    assert opened["one"].rows > 0


def apart_letters(text):
    return "".join(character for character in text.casefold() if character.isalnum())
