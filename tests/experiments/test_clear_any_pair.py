"""Paragraphs to train on and to measure are apart, and each row joins the translations of one question.

1. The parts share no paragraph and no question, in any language, and together are the whole set.
2. A row has the English question, the English paragraph and that question's translation; every translation has a row.
3. The groups of pairs share nothing and are all pairs.
"""

from __future__ import annotations

import pytest
from experiments.clear_any_pair import (
    FROM_ENGLISH,
    LANGUAGES,
    OTHERS,
    TO_ENGLISH,
    WITHIN,
    WITHOUT_ENGLISH,
    paired,
    part_by_paragraph,
)

from isogloss.records import EvalSet, Text

PARAGRAPHS = 40


@pytest.fixture
def whole() -> EvalSet:
    passages = [Text(f"p{n}.{one}", f"paragraph {n} {one}", one) for n in range(PARAGRAPHS) for one in LANGUAGES]
    queries = [Text(f"q{n}.{one}", f"question {n} {one}", one) for n in range(2 * PARAGRAPHS) for one in LANGUAGES]
    qrels = {query.id: {f"p{int(query.id[1:].split('.')[0]) // 2}.{one}": 1 for one in LANGUAGES} for query in queries}
    return EvalSet("xquad", tuple(queries), tuple(passages), qrels)


def test_parts_share_nothing_and_are_all(whole: EvalSet) -> None:
    first, second = part_by_paragraph(whole, 0, 0.5), part_by_paragraph(whole, 0.5, 1)
    for one, other, texts in (
        (first.passages, second.passages, whole.passages),
        (first.queries, second.queries, whole.queries),
    ):
        names = [{text.id.split(".")[0] for text in some} for some in (one, other)]
        assert not names[0] & names[1]
        assert min(map(len, names)) > 0
        assert len(one) + len(other) == len(texts)
    assert set(first.qrels) == {query.id for query in first.queries}
    known = {text.id for text in first.passages}
    assert all(set(answers) <= known and len(answers) == len(LANGUAGES) for answers in first.qrels.values())


def test_a_row_joins_one_question_with_its_translation(whole: EvalSet) -> None:
    part = part_by_paragraph(whole, 0, 0.5)
    rows = list(paired(part))
    assert len(rows) == len(OTHERS) * len(part.queries) // len(LANGUAGES)
    for row in rows:
        number = int(row.query.split()[1])
        assert row.passage == f"paragraph {number // 2} en"
        assert row.translated_query == f"question {number} {row.translated_query_language}"
        assert row.translated_query_language in OTHERS


def test_groups_of_pairs_are_all_pairs_once() -> None:
    pairs = [*TO_ENGLISH, *FROM_ENGLISH, *WITHIN, *WITHOUT_ENGLISH]
    assert len(pairs) == len(set(pairs)) == len(LANGUAGES) ** 2
