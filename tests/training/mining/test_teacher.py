"""A teacher scores the candidates of a row: its passage first, then its negatives in their order.

1. Scores are the cross-encoder's logits, pair by pair, and no activation bends them.
2. Rows may have different numbers of negatives; equal pairs are scored once.
3. A cross-encoder with several outputs, and scores that are no numbers, are refused.
"""

from __future__ import annotations

import pytest
import torch

from isogloss.errors import DataError, ModelError
from isogloss.records import Row
from isogloss.training.mining import CrossEncoderTeacher, teacher_scores
from tests.conftest import TINY_TEXTS
from tests.training.mining.tiny_cross_encoder import save_cross_encoder

ROWS = [
    Row("who counts?", TINY_TEXTS[0], negative_passages=TINY_TEXTS[4:7]),
    Row("where?", TINY_TEXTS[1], negative_passages=()),
    Row("who counts?", TINY_TEXTS[0], negative_passages=(TINY_TEXTS[6], TINY_TEXTS[2])),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_cross_encoder(tmp_path_factory.mktemp("teacher") / "model")


def logit(folder, query, passage):
    """The logit of one pair by transformers alone."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(query, passage, return_tensors="pt")
    with torch.no_grad():
        return float(model(**tokens).logits[0, 0])


def test_scores_are_logits_in_the_order_of_the_candidates(folder):
    teacher = CrossEncoderTeacher.load(str(folder), batch_size=2)
    scores = teacher_scores(ROWS, [row.passage for row in ROWS], teacher)
    for row, found in zip(ROWS, scores, strict=True):
        expected = [logit(folder, row.query, text) for text in (row.passage, *row.negative_passages)]
        assert found == pytest.approx(expected, abs=1e-5)
    assert len({round(score, 4) for row in scores for score in row}) == 6


class Stub:
    name = "stub"

    def score(self, pairs):
        return [float(len(passage)) if "where" not in query else float("nan") for query, passage in pairs]


def test_scores_that_are_no_numbers_are_refused():
    assert teacher_scores(ROWS[:1], ["four"], Stub()) == [(4.0, *(float(len(text)) for text in TINY_TEXTS[4:7]))]
    with pytest.raises(DataError, match="1 problem"):
        teacher_scores(ROWS, ["p"] * 3, Stub())


def test_a_cross_encoder_with_several_outputs_is_refused(tmp_path):
    with pytest.raises(ModelError, match="3 scores"):
        CrossEncoderTeacher.load(str(save_cross_encoder(tmp_path / "three", labels=3)))


def test_what_is_no_cross_encoder_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be loaded"):
        CrossEncoderTeacher.load(str(tmp_path))
