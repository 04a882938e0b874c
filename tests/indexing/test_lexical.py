"""Lexical search is of use in every script.

1. Terms are words where spaces part words, and pairs of characters with their marks where they do not.
2. Spelling variants of width, case and composition give the same terms.
3. BM25 ranks by terms shared; a passage that shares none is not found. Words in another form share parts, and whole
   words count more.
4. The order of passages and queries changes no bit of a run.
5. A language that the tokenizer does not cut is refused, not ranked by chance; one of which few texts lack their spaces
   is not, and says how many do.
6. A language that is left out costs the others nothing.
7. Without the parts of words a word is found in its own form alone, and a saved index knows which it is.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from isogloss.errors import DataError
from isogloss.indexing import LexicalIndex, tokens
from isogloss.indexing.tokens import terms, word_parts
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


@pytest.mark.parametrize(
    ("query", "passage", "language"),
    [
        ("Verteidigungen", "Die Landesverteidigung kostet Geld", "de"),
        ("городами", "В городе живут люди", "ru"),
        ("kitaplarımız", "Bu kitapta her şey yazıyor", "tr"),
        ("المدارس", "ذهب إلى مدارسهم", "ar"),
    ],
)
def test_a_word_is_found_in_another_form(query: str, passage: str, language: str) -> None:
    index = LexicalIndex([Text("form", passage, language), Text("other", "xyzzy plugh", language)])
    assert list(index.search([Text("q", query, language)])["q"]) == ["form"]


def test_the_word_itself_is_above_its_other_forms() -> None:
    passages = [Text("same", "a town of towers here"), Text("other", "a town of tower here")]
    run = LexicalIndex(passages).search([Text("one", "towers"), Text("many", "tower")])
    assert next(iter(run["one"])) == "same"
    assert next(iter(run["many"])) == "other"


def test_parts_hold_the_ends_and_are_no_words() -> None:
    assert word_parts("town") == ["…_tow", "…town", "…own_"]
    assert word_parts("of") == word_parts("") == []
    assert not set(word_parts("township")) & set(terms("township town …town ship"))


def test_ties_go_to_the_larger_id_also_at_the_cut_off() -> None:
    passages = [Text(f"p{number}", "ship") for number in range(11)]
    assert list(LexicalIndex(passages).search([Text("q", "ship")], k=3)["q"]) == ["p9", "p8", "p7"]


def test_order_changes_no_bit() -> None:
    found = parallel_set()
    forwards = LexicalIndex(found.passages).search(found.queries)
    backwards = LexicalIndex(found.passages[::-1]).search(found.queries[::-1])
    assert all(list(forwards[name].items()) == list(backwards[name].items()) for name in forwards)


def test_a_script_that_is_not_cut_is_refused_by_language() -> None:
    uncut = [Text(f"j{number}", chr(0x10A60 + number) * 50, "xsa") for number in range(20)]
    with pytest.raises(DataError, match=r"xsa  20 of 20 long passages.*\n.*--no-words xsa"):
        LexicalIndex([*uncut, Text("e", "a long passage in English words that are cut well", "en")])
    with pytest.raises(DataError, match="no passages"):
        LexicalIndex([])


UNSPACED = {
    "ja": "この町の灯台守は毎晩そばを通る船の数を数えてそれを一冊の帳面に丁寧に書きとめている",
    "th": "ผู้ดูแลประภาคารนับจำนวนเรือที่แล่นผ่านไปในเวลากลางคืนแล้วจดลงในสมุดบันทึก",
    "km": "អ្នកថែរក្សាប៉មភ្លើងហ្វារាប់ចំនួនកប៉ាល់ដែលឆ្លងកាត់នៅពេលយប់ហើយកត់ត្រាក្នុងសៀវភៅ",
}


@pytest.mark.parametrize("language", UNSPACED)
def test_pairs_of_characters_are_what_an_unspaced_script_is_taken_for(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    passages = [Text(f"p{row}", UNSPACED[language], language) for row in range(20)]
    assert LexicalIndex(passages).uncut == {}
    monkeypatch.setattr(tokens, "_is_unspaced", lambda character: False)
    with pytest.raises(DataError, match=f"{language}  20 of 20 long passages"):
        LexicalIndex(passages)


def spaced_and_not(not_spaced: int) -> list[Text]:
    """Twenty long passages of one language, some of them written without spaces."""
    text = "the keeper of the lighthouse counts the ships"
    return [Text(f"p{row}", f"{row} {text.replace(' ', '') if row < not_spaced else text}", "en") for row in range(20)]


def test_texts_that_lost_their_spaces_are_counted_and_do_not_refuse_their_language(tmp_path: Path) -> None:
    index = LexicalIndex(spaced_and_not(8))
    assert index.uncut == {"en": (8, 20)}
    index.save(tmp_path)
    assert LexicalIndex.load(tmp_path).uncut == {"en": (8, 20)}
    assert LexicalIndex(spaced_and_not(0)).uncut == {}
    with pytest.raises(DataError, match="en  14 of 20"):
        LexicalIndex(spaced_and_not(14))


def test_one_odd_passage_refuses_no_language() -> None:
    notes = [Text(f"n{row}", f"note {row}", language) for row, language in enumerate(["de", "en"] * 50)]
    index = LexicalIndex([*notes, Text("url", "https://example.org/" + "a" * 200, "de")])
    assert index.uncut == {"de": (1, 1)}
    assert len(index.search([Text("q", "note")], languages=["en"])["q"]) == 50


def test_a_language_that_is_left_out_changes_nothing_for_the_others(tmp_path: Path) -> None:
    english = [Text(f"p{row}", f"a ship {'of war ' * row}", "en") for row in range(5)]
    uncut = [Text(f"j{number}", f"ship {chr(0x10A60 + number) * 50}", "xsa") for number in range(3)]
    query = [Text("q", "ship of war")]
    mixed = LexicalIndex([*uncut, *english], without=["xsa"])
    assert mixed.search(query) == LexicalIndex(english).search(query)
    assert (mixed.without, mixed.left_out, len(mixed)) == (("xsa",), 3, 5)
    mixed.save(tmp_path)
    kept = LexicalIndex.load(tmp_path)
    assert (kept.without, kept.left_out, kept.search(query)) == (mixed.without, 3, mixed.search(query))


def test_words_alone_are_found_in_their_own_form(tmp_path: Path) -> None:
    passages = [Text("p", "Die Städte am Fluss", "de"), Text("r", "東京タワー", "ja")]
    alone = LexicalIndex(passages, parts=False)
    queries = [Text("other", "Städten"), Text("own", "Städte"), Text("pairs", "東京")]
    found = alone.search(queries)
    assert [list(found[query.id]) for query in queries] == [[], ["p"], ["r"]]
    assert list(LexicalIndex(passages).search(queries)["other"]) == ["p"]
    alone.save(tmp_path)
    kept = LexicalIndex.load(tmp_path)
    assert not kept.parts and kept.search(queries) == found
