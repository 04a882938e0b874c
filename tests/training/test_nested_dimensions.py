"""Nested dimensions under any objective.

1. A term over nested dimensions is the weighted sum of the term on each prefix at unit length, as the loss of
   sentence-transformers over nested dimensions has it.
2. A run trains the first dimensions, logs each, says so in its plan, and its model can be cut to them.
"""

from __future__ import annotations

import json

import pytest
import torch

from isogloss.losses import Embeddings, InfoNCE, Triplet
from isogloss.models.retriever import Retriever
from isogloss.recipe import parse_recipe
from isogloss.training import train
from isogloss.training.objective import BoundTerm, Objective
from tests.conftest import TINY_TEXTS
from tests.training.runs import recipe_content


def test_nested_dimensions_by_hand():
    # u·p is 0 and u·n is 1 in both dimensions together; of the first alone u = p = n = 1.
    vectors = {"query": [[0.6, 0.8]], "passage": [[0.8, -0.6]], "negative_passages": [[[0.6, 0.8]]]}
    given = Embeddings({role: torch.tensor(value, dtype=torch.float64) for role, value in vectors.items()})
    objective = Objective([BoundTerm("triplet", Triplet(margin=0.3), ("rows",))], dimensions={2: 1.0, 1: 0.5})
    found = objective.evaluate(lambda bound: given, measure=True)
    assert float(found.loss) == pytest.approx(1.3 + 0.5 * 0.3)
    assert found.measured == pytest.approx({"dimensions_2/triplet": 1.3, "dimensions_1/triplet": 0.3})


def test_nested_dimensions_as_sentence_transformers_has_them(tiny_transformer):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss, MultipleNegativesRankingLoss

    model = SentenceTransformer(str(tiny_transformer), device="cpu").eval()
    # The normalisation comes after the cut in this loss, and cosines are taken in any case.
    queries, passages = (model.tokenize(list(texts)) for texts in (TINY_TEXTS[:4], TINY_TEXTS[4:8]))
    theirs = MatryoshkaLoss(model, MultipleNegativesRankingLoss(model, scale=10.0), [32, 8], [1.0, 0.3])
    expected = theirs([queries, passages], None)
    vectors = {
        role: torch.from_numpy(model.encode(list(texts)))
        for role, texts in (("query", TINY_TEXTS[:4]), ("passage", TINY_TEXTS[4:8]))
    }
    ours = Objective([BoundTerm("infonce", InfoNCE(temperature=0.1), ("rows",))], dimensions={32: 1.0, 8: 0.3})
    found = ours.evaluate(lambda bound: Embeddings(vectors))
    assert float(found.loss) == pytest.approx(expected.item(), abs=1e-5)


def test_training_on_nested_dimensions_trains_the_first_ones(tmp_path, tiny_static):
    content = recipe_content(tmp_path, tiny_static, max_steps=40) | {"dimensions": {24: 0.01, 4: 1.0}}
    report = train(parse_recipe(content), tmp_path / "out")
    assert "each term counts at the first dimensions of the vectors: 24 (weight 0.01), 4 (weight 1)" in (
        report.plan.lines()
    )
    log = [json.loads(line) for line in (tmp_path / "out" / "train-log.jsonl").read_text().splitlines()]
    first, last = (sum(line["dimensions_4/infonce(rows)"] for line in lines) for lines in (log[:5], log[-5:]))
    assert last < 0.8 * first
    assert Retriever.load(report.model, dimension=4).encode_query(TINY_TEXTS).shape == (len(TINY_TEXTS), 4)
