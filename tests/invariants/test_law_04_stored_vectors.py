"""Law 4, second half: a frozen passage tower keeps its bank valid.

1. Encoding a stored text again gives the stored vector, whatever is encoded beside it.
2. Untying, training the query tower, saving and loading leave the passage tower's fingerprint and weights file as they
   are, so the bank is still accepted; and the query tower did change, else this says nothing.
3. Training the passage tower itself makes the bank stale, and it is refused.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isogloss import Bank, Retriever, Text
from isogloss.errors import StaleBankError
from tests.conftest import TINY_TEXTS

TEXTS = [Text(f"p{row}", text, title="Title" * (row % 2)) for row, text in enumerate(TINY_TEXTS)]
MODELS = ["tiny_static", "tiny_transformer", "tiny_untied", "tiny_untied_transformer"]


def train(towers, role: str) -> None:
    """Three steps that pull one tower somewhere else."""
    tower = towers.towers[role].train()
    wanting = [parameter for parameter in towers.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(wanting, lr=1e-2, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        tower(tower.features(TINY_TEXTS[:4]))[:, 0].sum().backward()
        optimizer.step()


def weights_files(folder) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in folder.rglob("*.safetensors")}


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("model", MODELS)
def test_stored_text_encodes_to_the_stored_vector(model, dtype, request, tmp_path):
    retriever = Retriever.load(request.getfixturevalue(model))
    retriever.encode_bank(TEXTS, tmp_path / "bank", dtype=dtype, progress=False)
    bank = Bank.open(tmp_path / "bank")
    bank.require(Retriever.load(request.getfixturevalue(model)).passage.fingerprint)
    for id_ in reversed(bank.ids):
        again = retriever.encode_passage([bank.text(id_)])
        np.testing.assert_allclose(bank.get([id_]), again, atol=5e-4 if dtype == "float16" else 1e-6)


@pytest.mark.parametrize("precision", ["as_is", "float16", "int8"])
@pytest.mark.parametrize("model", MODELS)
def test_frozen_passage_tower_survives(model, precision, request, tmp_path):
    if precision != "as_is" and "transformer" in model:
        pytest.skip("tables are rounded on disk for static models alone")
    Retriever.load(request.getfixturevalue(model)).save(tmp_path / "base", precision=precision)
    base = Retriever.load(tmp_path / "base")
    base.encode_bank(TEXTS, tmp_path / "bank", progress=False)
    bank = Bank.open(tmp_path / "bank")

    untied = base.untie(frozen_passage=True)
    untied.save(tmp_path / "untied")
    towers = untied.to_torch()
    train(towers, "query")
    trained = untied.with_towers(towers)
    trained.save(tmp_path / "trained")
    loaded = Retriever.load(tmp_path / "trained")

    for retriever in (untied, trained, loaded):
        assert retriever.towers == "frozen_passage"
        assert retriever.passage.fingerprint == base.passage.fingerprint
        bank.require(retriever.passage.fingerprint)
        np.testing.assert_array_equal(retriever.encode_passage(TEXTS), base.encode_passage(TEXTS))
    before, after = weights_files(tmp_path / "untied"), weights_files(tmp_path / "trained")
    document = next(name for name in before if name.startswith("document_0"))
    assert after[document] == before[document]
    if model.startswith("tiny_static"):
        assert weights_files(tmp_path / "base") == {"0_StaticEmbedding": before[document]}

    assert loaded.query.fingerprint != base.query.fingerprint
    assert loaded.query.fingerprint == trained.query.fingerprint
    assert np.abs(loaded.encode_query(TINY_TEXTS) - base.encode_query(TINY_TEXTS)).max() > 1e-2
    np.testing.assert_allclose(
        loaded.encode_query(TINY_TEXTS),
        towers.query.eval()(towers.query.features(TINY_TEXTS)).detach().numpy(),
        atol=1e-6,
    )
    assert loaded.untie().towers == "frozen_passage"


@pytest.mark.parametrize("model", MODELS)
def test_trained_passage_tower_makes_its_bank_stale(model, request, tmp_path):
    base = Retriever.load(request.getfixturevalue(model))
    base.encode_bank(TEXTS, tmp_path / "bank", progress=False)
    towers = base.to_torch()
    train(towers, "passage")
    trained = base.with_towers(towers)
    assert trained.towers == base.towers
    with pytest.raises(StaleBankError) as caught:
        Bank.open(tmp_path / "bank").require(trained.passage.fingerprint)
    assert [fault.where for fault in caught.value.faults] == ["weights"]
    base.passage.fingerprint  # noqa: B018  # taken before or after, the original must not have moved
    Bank.open(tmp_path / "bank").require(Retriever.load(request.getfixturevalue(model)).passage.fingerprint)
    np.testing.assert_allclose(Bank.open(tmp_path / "bank").get(["p0"]), base.encode_passage(TEXTS[:1]), atol=5e-4)
