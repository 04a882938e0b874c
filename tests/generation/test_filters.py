"""What a generator writes is dropped for stated reasons alone, and each reason is counted.

1. Each filter drops its own case and lets the rest pass; the first that holds is counted.
2. The language check looks at script and language; what it cannot tell it does not drop.
3. The round trips keep a query exactly where its passage is found again.
"""

from __future__ import annotations

import pytest

from isogloss.generation.filters import Candidate, Filters, Tally, longest_copy, refers_to_the_text
from isogloss.generation.round_trip import found_again
from isogloss.generation.settings import GenerateSettings
from isogloss.generation.tasks import Task
from isogloss.languages.detection import LanguageDetector
from isogloss.records import Text

PASSAGE = Text("p", "The keeper of the old lighthouse counts all the ships that pass at night by their lamps.", "en")


def candidate(text: str, language: str = "en", passage: Text = PASSAGE) -> Candidate:
    return Candidate(Task(passage, language), text)


@pytest.mark.parametrize(
    ("text", "language", "reason"),
    [
        ("Who counts the ships in the dark?", "en", None),
        ("?!", "en", "empty"),
        ("Кто считает корабли ночью?", "en", "other language"),
        ("Wer zählt nachts die Schiffe auf dem Meer?", "en", "other language"),
        ("Wer zählt nachts die Schiffe auf dem Meer?", "de", None),
        ("What does the document say about ships?", "en", "refers to the text"),
        ("keeper of the old lighthouse counts all the ships that pass", "en", "copied span"),
        ("of the old lighthouse counts all the ships", "en", None),
    ],
)
def test_each_filter_drops_its_own(text, language, reason):
    tally = Tally()
    kept = Filters(GenerateSettings(), {"en", "de", "ru"}).apply([candidate(text, language)], tally)
    assert tally.dropped == ({language: {reason: 1}} if reason else {})
    assert len(kept) == (reason is None)


def test_duplicates_of_the_passage_and_of_other_passages_go():
    other = Text("o", "Bread is baked before the market opens.", "en")
    texts = [
        ("Who counts ships?", PASSAGE),
        ("who COUNTS  ships", PASSAGE),
        ("Who bakes?", other),
        ("When is bread baked?", other),
    ]
    both = [("Why?", PASSAGE), ("Why?", other)]
    tally = Tally()
    candidates = [candidate(text, passage=passage) for text, passage in texts + both]
    settings = GenerateSettings(language_filter=False)
    kept = Filters(settings, ()).apply(candidates, tally, {"o": {"whobakes"}})
    assert [one.text for one in kept] == ["Who counts ships?", "When is bread baked?"]
    assert tally.dropped == {"en": {"duplicate": 4}}


def test_a_filter_that_is_off_drops_nothing():
    names = ("language_filter", "duplicate_filter", "copy_filter", "reference_filter")
    settings = GenerateSettings(**dict.fromkeys(names, False))
    texts = ["Кто?", "Кто?", "what does the document say", PASSAGE.text]
    tally = Tally()
    assert len(Filters(settings, ()).apply([candidate(text) for text in texts], tally)) == 4
    assert tally.dropped == {}


@pytest.mark.parametrize(
    ("query", "passage", "expected"),
    [
        ("a b c d", "x a b c y d", 3),
        ("The Ships", "all the ships", 2),
        ("nothing here", "else", 0),
        ("灯塔看守人在夜里数船", "灯塔看守人在夜里数船。", 3),
    ],
)
def test_longest_copy(query, passage, expected):
    assert longest_copy(query, passage) == expected


@pytest.mark.parametrize(
    "query", ["this article?", "Worum geht es in dem Text?", "¿Qué dice el texto?", "この文章の主題は"]
)
def test_references(query):
    assert refers_to_the_text(query)


@pytest.mark.parametrize("query", ["text messages in 1998", "document scanner", "Textil", "context of the war"])
def test_no_references(query):
    assert not refers_to_the_text(query)


@pytest.mark.parametrize(
    ("text", "language", "agrees"),
    [
        ("Di mana letak sungai yang paling panjang?", "id", True),
        ("Where is the longest river in the world?", "id", False),
        ("灯塔有多高", "ja", False),
        ("世界で一番長い川はどこですか", "zh", False),
        ("세계에서 가장 긴 강은 어디입니까?", "ko", True),
        ("Bushe umulonga uukalamba waba kwi?", "bem", True),
        ("Какая река самая длинная?", "bem", False),
        ("123?", "en", False),
    ],
)
def test_the_language_check(text, language, agrees):
    detector = LanguageDetector(["id", "ja", "zh", "ko", "bem", "ru"])
    assert detector.check(text, language).agrees is agrees


class ByFirstLetter:
    """A retriever whose vectors say the first letter of a text."""

    def encode_query(self, texts, progress=False):
        import numpy as np

        return np.asarray([[float(text.text[0] == letter) for letter in "abc"] for text in texts], dtype=np.float32)

    encode_passage = encode_query


def test_the_round_trip_keeps_what_is_found_again():
    passages = [Text("1", "a one"), Text("2", "b two"), Text("3", "a three"), Text("4", "c four")]
    candidates = [
        candidate(query, passage=passages[place]) for query, place in [("a?", 0), ("a!", 2), ("b?", 3), ("c?", 3)]
    ]
    tally = Tally()
    kept = found_again(candidates, passages, ByFirstLetter(), k=1, tally=tally)
    # "a?" ties between 1 and 3, and the higher id comes first.
    assert [(one.text, one.provenance["round_trip_rank"]) for one in kept] == [("a!", 1), ("c?", 1)]
    assert tally.dropped == {"en": {"round trip": 2}}
    # Behind "b two" the others tie at 0 for "b?", and 4 is the highest id.
    again = found_again(candidates, passages, ByFirstLetter(), k=2, tally=Tally())
    assert [one.provenance["round_trip_rank"] for one in again] == [2, 1, 2, 1]
