"""Lexical search is of use in every script.

1. Terms are words where spaces part words, and pairs of characters with their marks where they do not.
2. Spelling variants of width, case and composition give the same terms.
3. BM25 ranks by terms shared; a passage that shares none is not found.
4. The order of passages and queries changes no bit of a run.
5. A language that the tokenizer does not cut is refused, not ranked by chance.
"""

from __future__ import annotations

import unicodedata

import pytest

from isogloss.errors import DataError
from isogloss.indexing import LexicalIndex
from isogloss.indexing.tokens import terms
from isogloss.records import Text
from tests.evaluation.stand_ins import WORDS, parallel_set


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Straße, x2!", ["the", "strasse", "x2"]),
        ("भारत की दिल्ली", ["भारत", "की", "दिल्ली"]),
        ("東京タワー", ["東京", "京タ", "タワ", "ワー"]),
        ("กี่วัน", ["กี่วั", "วัน"]),
        ("កម្ពុជា", ["កម្", "ម្ពុ", "ពុជា"]),
        ("대한민국", ["대한", "한민", "민국"]),
        ("用Python写", ["用", "python", "写"]),
        ("ཁམས་ཆེན", ["ཁམས", "ཆེན"]),
        ("می‌خواهم", ["میخواهم"]),
        ("  … — ", []),
    ],
)
def test_terms_by_script(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@pytest.mark.parametrize("text", ["Việt Nam", "ＡＢＣ ｶﾞ", "ΟΔΟΣ", "कि़"])
def test_variants_of_one_spelling_give_one_list(text: str) -> None:
    assert terms(text) == terms(unicodedata.normalize("NFD", text)) == terms(text.upper())


@pytest.mark.parametrize("language", sorted(WORDS))
def test_finds_the_passage_that_shares_rare_terms(language: str) -> None:
    passages = [
        Text(f"p{number}", f"{word} {WORDS[language][0]}", language) for number, word in enumerate(WORDS[language])
    ]
    run = LexicalIndex(passages).search([Text("q", WORDS[language][4], language), Text("none", "xyzzy", language)], k=3)
    assert next(iter(run["q"])) == "p4"
    assert run["none"] == {}


def test_passages_without_a_shared_term_are_not_found_and_titles_are_searched() -> None:
    passages = [Text("a", "ship"), Text("b", "tower"), Text("c", "rain", title="Ship")]
    assert set(LexicalIndex(passages).search([Text("q", "ship")])["q"]) == {"a", "c"}


def test_ties_go_to_the_larger_id_also_at_the_cut_off() -> None:
    passages = [Text(f"p{number}", "ship") for number in range(11)]
    assert list(LexicalIndex(passages).search([Text("q", "ship")], k=3)["q"]) == ["p9", "p8", "p7"]


def test_order_changes_no_bit() -> None:
    found = parallel_set()
    forwards = LexicalIndex(found.passages).search(found.queries)
    backwards = LexicalIndex(found.passages[::-1]).search(found.queries[::-1])
    assert all(list(forwards[name].items()) == list(backwards[name].items()) for name in forwards)


def test_a_script_that_is_not_cut_is_refused_by_language() -> None:
    uncut = [Text(f"j{number}", chr(0x10A60 + number) * 50, "xsa") for number in range(3)]
    with pytest.raises(DataError, match="xsa  3 of 3 long passages"):
        LexicalIndex([*uncut, Text("e", "a long passage in English words that are cut well", "en")])
    with pytest.raises(DataError, match="no passages"):
        LexicalIndex([])
