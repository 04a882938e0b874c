"""A row for CLEAR holds a question, its translation, and questions that its passage does not answer.

1. Questions meet their translations in either column, whatever case, spaces and signs; rows with one stay as they are.
2. A negative query is in the language of the translated one, from a window of ranks by similarity to the passage.
3. No question whose known passage is the row's, or nearly is, is a negative query: not under its translation either.
"""

from __future__ import annotations

import numpy as np
import pytest

from isogloss import Retriever
from isogloss.errors import DataError
from isogloss.records import ParallelRow, Row
from isogloss.training.mining import MiningSettings, QueryMiner, pair_questions
from isogloss.training.mining.known_answers import KNOWN_ANSWER, NEAR_DUPLICATE
from tests.conftest import TINY_TEXTS

KEEPER, RIVER, BREAD = TINY_TEXTS[0], "The river reaches the sea near Sulina, in the south-east.", TINY_TEXTS[10]
ROWS = [
    Row("Who counts ships?", KEEPER, "en", "en", row_id="r1"),
    Row("Wer zählt Schiffe?", KEEPER, "de", "en", row_id="r2"),
    Row("Where does the river end?", RIVER, "en", "en", row_id="r3"),
    Row("When is bread baked?", BREAD, "en", "en", row_id="r4"),
]
PAIRS = [
    ParallelRow("who counts  ships", "Wer zählt Schiffe?", "en", "de"),
    ParallelRow("Wo endet der Fluss?", "Where does the river end?", "de", "en"),
    ParallelRow("Who counts ships?", "Кто считает корабли?", "en", "ru"),
    ParallelRow("Who counts ships?", "Wer zählt Schiffe", "fr", "de"),
]


def test_questions_meet_their_translations():
    paired = pair_questions(ROWS, [*PAIRS, PAIRS[0]])
    found = [(row.row_id, row.query, row.translated_query_language, row.translated_query) for row in paired]
    assert found == [
        ("r1.de", "Who counts ships?", "de", "Wer zählt Schiffe?"),
        ("r1.ru", "Who counts ships?", "ru", "Кто считает корабли?"),
        ("r3.de", "Where does the river end?", "de", "Wo endet der Fluss?"),
    ]
    assert pair_questions(paired, PAIRS) == paired


def test_no_translation_at_all():
    with pytest.raises(DataError, match="none of 4 questions has a translation"):
        pair_questions(ROWS, [])


QUESTIONS = list(dict.fromkeys(f"{word}?" for word in (TINY_TEXTS[2] + " " + TINY_TEXTS[10]).lower().split()))
# The first two questions are of one passage, the third of nearly the same, the others of passages of their own.
NEARLY = RIVER.replace("south-east", "south")
PASSAGES = [RIVER, RIVER, NEARLY, *(text[::step] for step in (1, -1) for text in TINY_TEXTS)][: len(QUESTIONS)]
POOL = [Row(f"English {place}", passage, "en", "en") for place, passage in enumerate(PASSAGES)]
TRANSLATED = [
    Row(row.query, row.passage, "en", "en", translated_query=question, translated_query_language="de")
    for row, question in zip(POOL, QUESTIONS, strict=True)
]
OTHER = Row("Russian", "Something else.", "en", "en", translated_query="Кто?", translated_query_language="ru")


@pytest.fixture(scope="module")
def retriever(tiny_static):
    return Retriever.load(tiny_static)


def mined(retriever, rows, **settings):
    chosen = MiningSettings(**{"query_ranks": (1, 90), "negative_queries": 90, "pick": "first", **settings})
    miner = QueryMiner(retriever, rows, chosen)
    some = [row for row in rows if row.translated_query_language == "de"]
    return miner, miner.mine(some, retriever.encode_passage([row.passage for row in some]))


def test_negative_queries_are_those_that_the_passage_does_not_answer(retriever):
    miner, selections = mined(retriever, [*TRANSLATED, OTHER])
    for row, selection in zip(TRANSLATED, selections, strict=True):
        vectors = retriever.encode_query(QUESTIONS).astype(np.float64)
        ranked = np.argsort(-(vectors @ retriever.encode_passage([row.passage])[0].astype(np.float64))).tolist()
        answered = {place for place, other in enumerate(TRANSLATED) if other.passage == row.passage}
        nearly = set(range(3)) if row.passage in (RIVER, NEARLY) else set()
        expected = [(QUESTIONS[place], rank) for rank, place in enumerate(ranked, 1) if place not in answered | nearly]
        assert [(miner.text(negative.id), negative.rank) for negative in selection.negatives] == expected
        assert selection.excluded.get(KNOWN_ANSWER, 0) == len(answered)
        assert selection.excluded.get(NEAR_DUPLICATE, 0) == len(nearly - answered)


def test_a_window_of_queries(retriever):
    _, whole = mined(retriever, TRANSLATED)
    _, some = mined(retriever, TRANSLATED, query_ranks=(5, 9), negative_queries=2)
    for all_of_it, selection in zip(whole, some, strict=True):
        expected = [negative for negative in all_of_it.negatives if 5 <= negative.rank <= 9][:2]
        assert list(selection.negatives) == expected


def test_a_passage_known_for_the_translation_alone_counts(retriever):
    known_in_german = Row(QUESTIONS[5], RIVER, "de", "en")
    miner, selections = mined(retriever, [*TRANSLATED, known_in_german])
    assert QUESTIONS[5] not in [miner.text(negative.id) for negative in selections[0].negatives]
    asked_in_english = Row(POOL[6].query, RIVER, "en", "en")
    miner, selections = mined(retriever, [*TRANSLATED, asked_in_english])
    assert QUESTIONS[6] not in [miner.text(negative.id) for negative in selections[0].negatives]


def test_a_margin_compares_with_the_translated_query(retriever):
    miner, selections = mined(retriever, TRANSLATED, margin=0.0)
    for row, selection in zip(TRANSLATED, selections, strict=True):
        vectors = retriever.encode_query([row.translated_query, *(miner.text(n.id) for n in selection.negatives)])
        scores = vectors @ retriever.encode_passage([row.passage])[0]
        assert (scores[1:] <= scores[0] + 1e-6).all()
