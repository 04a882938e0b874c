"""An evaluation set gives any pair of languages and the mixed pool, and neither invents nor loses relevance.

1. In a pair, the translation of a relevant passage is relevant, with its grade; passages of other languages are gone.
2. Queries without a relevant passage are left out and counted, never scored as zero in silence.
3. In the mixed pool every translation of a relevant passage is relevant.
4. Passages without a parallel id count only by their own judgement.
5. A selection of languages that the set has not is refused, all of them named at once.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from isogloss.errors import UsageError
from isogloss.records import EvalSet, Text


@pytest.fixture
def eval_set() -> EvalSet:
    passages = [
        Text(f"p{number}.{language}", f"text {number} {language}", language, parallel_id=f"p{number}")
        for number in (0, 1)
        for language in ("de", "en", "th")
    ]
    passages.append(Text("lone", "no translation", "en"))
    queries = [
        Text("q0.de", "Frage", "de"),
        Text("q0.en", "question", "en"),
        Text("q1.de", "noch eine", "de"),
        Text("q2.en", "of the lone one", "en"),
    ]
    qrels = {
        "q0.de": {"p0.de": 2, "p1.de": 0},
        "q0.en": {"p0.en": 1},
        "q1.de": {"p1.de": 1},
        "q2.en": {"lone": 1},
    }
    return EvalSet("toy", tuple(queries), tuple(passages), qrels, licence="CC0")


def test_a_pair_carries_relevance_to_translations(eval_set):
    pair = eval_set.pair("de", "th")
    assert pair.name == "toy.de-th"
    assert [text.id for text in pair.passages] == ["p0.th", "p1.th"]
    assert pair.qrels == {"q0.de": {"p0.th": 2, "p1.th": 0}, "q1.de": {"p1.th": 1}}
    assert pair.notes == ()
    assert pair.licence == "CC0"


def test_a_pair_of_one_language_keeps_its_own_judgements(eval_set):
    assert eval_set.pair("de", "de").qrels == {"q0.de": {"p0.de": 2, "p1.de": 0}, "q1.de": {"p1.de": 1}}


def test_queries_without_relevance_are_left_out_and_counted(eval_set):
    pair = eval_set.pair("en", "de")
    assert [text.id for text in pair.queries] == ["q0.en"]
    assert pair.notes == ("1 of 2 queries have no relevant passage here",)


def test_a_grade_of_zero_is_no_answer(eval_set):
    judged = replace(eval_set, qrels={**eval_set.qrels, "q1.de": {"p1.de": 0}})
    assert [text.id for text in judged.pair("de", "en").queries] == ["q0.de"]


def test_in_the_mixed_pool_all_translations_are_relevant(eval_set):
    pool = eval_set.mixed_pool()
    assert pool.qrels["q0.en"] == {"p0.de": 1, "p0.en": 1, "p0.th": 1}
    assert pool.qrels["q2.en"] == {"lone": 1}
    assert len(pool.passages) == 7


def test_languages_are_sorted(eval_set):
    assert eval_set.query_languages == ("de", "en")
    assert eval_set.passage_languages == ("de", "en", "th")


def test_selecting_queries_leaves_passages_and_judgements(eval_set):
    chosen = eval_set.select(query_languages=["de"])
    assert chosen.passages == eval_set.passages
    assert chosen.qrels == {key: eval_set.qrels[key] for key in ("q0.de", "q1.de")}


def test_selecting_passages_makes_their_translations_relevant(eval_set):
    chosen = eval_set.select(query_languages=["de"], passage_languages=["en", "th"])
    assert chosen.qrels == {
        "q0.de": {"p0.en": 2, "p0.th": 2, "p1.en": 0, "p1.th": 0},
        "q1.de": {"p1.en": 1, "p1.th": 1},
    }


def test_languages_that_the_set_has_not_are_all_named(eval_set):
    with pytest.raises(UsageError) as caught:
        eval_set.select(query_languages=["ja", "de"], passage_languages=["sw"])
    assert [fault.where for fault in caught.value.faults] == ["query_languages", "passage_languages"]
    assert "'ja'" in str(caught.value)
    assert "it has: de, en, th" in str(caught.value)
