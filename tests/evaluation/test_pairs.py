"""The words of a `pairs` option mean what they say, and nothing is left out unseen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from isogloss.errors import UsageError
from isogloss.evaluation.pairs import default_pairs, parse_pairs, with_languages
from tests.evaluation.stand_ins import parallel_set


def names(pairs: str) -> dict[str, list[str]]:
    return {group.name: [str(pair) for pair in group.pairs] for group in parse_pairs(pairs, parallel_set())}


def test_words() -> None:
    assert names("same, to-en,from-en") == {
        "same": ["de-de", "en-en", "th-th"],
        "to-en": ["de-en", "th-en"],
        "from-en": ["en-de", "en-th"],
    }
    assert len(names("all")["all"]) == 9
    assert names("mixed") == {"mixed": ["de-mixed", "en-mixed", "th-mixed"]}
    assert names("de-th,th-de,de-th") == {"listed": ["de-th", "th-de"]}
    assert names("to-eng_Latn") == {"to-en": ["de-en", "th-en"]}
    assert names("deu_Latn-th") == {"listed": ["de-th"]}


def test_tags_with_hyphens_are_cut_where_the_set_has_them() -> None:
    found = parallel_set()
    passages = tuple(replace(text, language="zh-hant") if text.language == "th" else text for text in found.passages)
    found = replace(found, passages=passages)
    assert str(parse_pairs("de-zh-hant", found)[0].pairs[0]) == "de-zh-hant"
    assert parse_pairs("de-zh-hant", found)[0].pairs[0].passage_language == "zh-hant"


def test_a_listed_pair_that_the_set_lacks_is_kept_to_be_blank() -> None:
    assert names("de-fr") == {"listed": ["de-fr"]}


def test_all_faults_at_once() -> None:
    with pytest.raises(UsageError) as error:
        parse_pairs("sam,to-fr,from-xqx", parallel_set())
    assert len(error.value.faults) == 3
    assert "de, en, th" in str(error.value)
    with pytest.raises(UsageError, match="none given"):
        parse_pairs(" , ", parallel_set())


def test_default_is_what_the_set_has() -> None:
    assert default_pairs(parallel_set()) == "same,to-en,from-en"
    assert default_pairs(parallel_set(("de", "th"))) == "same"
    found = parallel_set()
    apart = replace(found, passages=tuple(text for text in found.passages if text.language == "th"))
    apart = replace(apart, queries=tuple(text for text in found.queries if text.language == "de"))
    assert default_pairs(apart) == "all"


def test_texts_without_a_language_are_a_language_of_their_own() -> None:
    found = parallel_set(("de",))
    bare = replace(
        found,
        queries=tuple(replace(text, language=None) for text in found.queries),
        passages=tuple(replace(text, language=None) for text in found.passages),
    )
    assert [str(pair) for pair in parse_pairs("same", with_languages(bare))[0].pairs] == ["und-und"]
