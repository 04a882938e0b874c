"""Code-switched rows: English labels, words of another language.

1. What the lexicon has is replaced, longest phrases and inflected forms too; what it lacks stays.
2. One side of a row stays as it was.
3. The same seed writes the same rows.
4. A language without a lexicon is a fault.
"""

import json

import numpy as np
import pytest

from isogloss.recipe import SourceSettings
from isogloss.training.sources import CodeSwitchedKind, SourceContext
from isogloss.training.sources.code_switched import read_lexicons
from isogloss.training.texts import TextTable

LEXICON = {"ship": ["Schiff"], "night": ["Nacht"], "lighthouse keeper": ["Leuchtturmwärter"], "carry": ["tragen"]}
ALWAYS = CodeSwitchedKind(lexicons=(), languages=("de",), replaced=1.0, kept_function_words=0.0)


@pytest.mark.parametrize(
    ("english", "switched"),
    [
        ("ships at night", "Schiff Nacht"),
        ("the lighthouse keeper", "Leuchtturmwärter"),
        ("carries a lantern", "tragen lantern"),
        ("a gas and the ship", "gas Schiff"),
    ],
)
def test_words_are_replaced(english, switched):
    assert ALWAYS.switch(english, LEXICON, np.random.default_rng(0)) == switched


@pytest.fixture
def files(tmp_path):
    rows, lexicon = tmp_path / "rows.jsonl", tmp_path / "lexicon.jsonl"
    with rows.open("w", encoding="utf-8") as file:
        for place in range(40):
            row = {"query": f"which ship {place}", "positive": f"the ship at night {place}", "lang": "en"}
            file.write(json.dumps(row) + "\n")
    with lexicon.open("w", encoding="utf-8") as file:
        for place in range(40):
            file.write(json.dumps({"_id": f"l{place}", "en": f"word{place}", "de": f"Wort{place}"}) + "\n")
        file.write(json.dumps({"_id": "x", "en": "ship", "de": "Schiff", "_also": {"de": ["Boot"]}}) + "\n")
        file.write(json.dumps({"_id": "y", "en": "night", "de": "Nacht"}) + "\n")
    return str(rows), str(lexicon)


def opened(files, languages=("de",)):
    rows, lexicon = files
    context = SourceContext("s", 0, 3, TextTable(), lambda title, passage: passage)
    kind = CodeSwitchedKind(lexicons=(lexicon,), languages=languages, rows_per_language=30)
    return kind.open(SourceSettings(path=rows, batch=8), context), context


def test_one_side_stays_as_it_was(files):
    source, context = opened(files)
    changed = 0
    for step in range(4):
        columns = source.draw(step).columns
        for query, passage in zip(columns["query"], columns["passage"], strict=True):
            question, answer = context.texts[int(query)], context.texts[int(passage)]
            assert question.startswith("which ship") or answer.startswith("the ship at night")
            changed += "Schiff" in question + answer or "Boot" in question + answer or "Nacht" in answer
    assert changed > 16


def test_the_same_seed_writes_the_same_rows(files):
    assert list(opened(files)[1].texts) == list(opened(files)[1].texts)


def test_synonyms_are_translations_too(files):
    assert read_lexicons([files[1]], ["de"])["de"]["ship"] == ["Schiff", "Boot"]


def test_a_language_without_a_lexicon_is_a_fault(files):
    _, context = opened(files, languages=("de", "th"))
    assert "no lexicon has words in 'th'" in str(context.faults[0])
