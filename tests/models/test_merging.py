"""A merged model lies between those that it was made of.

1. Its weights are their weighted mean, in every tower that differs, for static models and transformers; a mean of one
   model with itself is that model.
2. A passage tower that all have alike is kept bit for bit: the banks and indexes that it made stay valid.
3. What differs in more than its weights is refused, with all that differs, and nothing is written.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isogloss.errors import UsageError
from isogloss.models.merging import merge
from isogloss.models.retriever import Retriever
from tests.cli.worlds import answer, run
from tests.conftest import TINY_TEXTS, save_sentence_transformer, static_modules


def changed(retriever: Retriever, amount: float, role: str = "query") -> Retriever:
    """The retriever with another number added to all weights of a tower."""
    towers = retriever.to_torch()
    with torch.no_grad():
        for parameter in getattr(towers, role).parameters():
            parameter.add_(amount * torch.sin(torch.arange(parameter.numel())).reshape(parameter.shape))
    return retriever.with_towers(towers)


def state(retriever: Retriever, role: str = "query") -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in getattr(retriever.to_torch(), role).state_dict().items()}


@pytest.mark.parametrize("kind", ["tiny_static", "tiny_transformer", "tiny_untied"])
@pytest.mark.parametrize("shares", [None, (3, 1)])
def test_weights_are_the_mean(kind, shares, request):
    start = Retriever.load(request.getfixturevalue(kind))
    tuned = changed(changed(start, 0.5), 0.25, "passage") if kind == "tiny_untied" else changed(start, 0.5)
    merged = merge([start, tuned], shares)
    first = 0.5 if shares is None else 0.75
    for role in ("query", "passage"):
        ours, one, other = state(merged, role), state(start, role), state(tuned, role)
        assert ours.keys() == one.keys()
        for name in ours:
            np.testing.assert_allclose(ours[name], first * one[name] + (1 - first) * other[name], atol=1e-6)
    assert merged.towers == start.towers
    assert merged.query.fingerprint.digest not in {start.query.fingerprint.digest, tuned.query.fingerprint.digest}
    same = merge([tuned, tuned], shares)
    assert same.query.fingerprint == tuned.query.fingerprint


@pytest.mark.parametrize("order", [1, -1])
def test_a_passage_tower_that_all_have_is_kept(tiny_transformer, order):
    start = Retriever.load(tiny_transformer)
    tuned = changed(start.untie(), 0.5)
    merged = merge([start, tuned][::order])
    assert merged.towers == "frozen_passage"
    assert merged.passage.fingerprint == start.passage.fingerprint
    np.testing.assert_array_equal(merged.encode_passage(TINY_TEXTS), start.encode_passage(TINY_TEXTS))
    assert merged.query.fingerprint not in (start.query.fingerprint, tuned.query.fingerprint)


def test_what_does_not_fit_is_refused(tiny_static, tiny_transformer, tmp_path):
    start = Retriever.load(tiny_static)
    for retrievers, shares, said in (
        ([start], None, "at least two"),
        ([start, start], (1, 0), "shares: 1, 0 for 2 models"),
        ([start, start], (1,), "shares: 1 for 2 models"),
    ):
        with pytest.raises(UsageError, match=said):
            merge(retrievers, shares)
    with pytest.raises(UsageError) as caught:
        merge([start, Retriever.load(tiny_transformer)])
    said = str(caught.value)
    assert "tokenizer is not that of model 1" in said and "32 dimensions" in said
    other = save_sentence_transformer(static_modules("BPE"), tmp_path / "other")
    with pytest.raises(UsageError, match="tokenizer"):
        merge([start, Retriever.load(other)])


def test_the_verb(tiny_static, tmp_path):
    start = Retriever.load(tiny_static)
    changed(start.untie(), 0.5).save(tmp_path / "tuned")
    arguments = ("merge", tiny_static, tmp_path / "tuned", "--out", tmp_path / "merged", "--shares", "1,3", "--json")
    assert answer(run(*arguments, "--dry-run"))["dry_run"] and not (tmp_path / "merged").exists()
    assert answer(run(*arguments))["passage_tower_kept"]
    merged = Retriever.load(tmp_path / "merged")
    assert merged.passage.fingerprint == start.passage.fingerprint
    assert merged.query.fingerprint == merge([start, Retriever.load(tmp_path / "tuned")], (1, 3)).query.fingerprint
    assert run(*arguments).exit_code == 1
    wrong = run("merge", tiny_static, tmp_path / "tuned", "--out", tmp_path / "new", "--shares", "half")
    assert wrong.exit_code == 2 and not (tmp_path / "new").exists()
