"""`--set engine=…`, `precision=…` and `device=…` reach the model wherever a verb makes vectors.

1. A bank that was encoded with them says so in its fingerprint, and another precision is refused beside it.
2. What an engine cannot do is refused with what to do, and nothing is written.
"""

from __future__ import annotations

import numpy as np
import pytest

from isogloss import Bank
from tests.cli.worlds import answer, run


@pytest.fixture
def encoded(tmp_path, tiny_transformer):
    def encode(name, *sets, corpus="set"):
        options = [part for one in sets for part in ("--set", one)]
        return run("encode", corpus, "--model", tiny_transformer, "--out", tmp_path / name, *options, "--json")

    return encode


def test_a_bank_says_its_precision(world, encoded, tmp_path, tiny_transformer):
    assert encoded("whole", "engine=torch", "device=cpu").exit_code == 0
    assert encoded("half", "engine=torch", "precision=bfloat16", "device=cpu").exit_code == 0
    whole, half = Bank.open(tmp_path / "whole"), Bank.open(tmp_path / "half")
    assert whole.fingerprint != half.fingerprint
    vectors = [np.concatenate([np.asarray(block) for _, _, block in bank.vectors()]) for bank in (whole, half)]
    assert 0 < np.abs(vectors[0] - vectors[1]).max() < 0.05
    measure = ("evaluate", tiny_transformer, "--data", "set", "--bank", tmp_path / "half", "--json")
    same = ("--set", "engine=torch", "--set", "precision=bfloat16", "--set", "device=cpu")
    assert run(*measure, "--out", tmp_path / "scores", *same).exit_code == 0
    assert run(*measure, "--out", tmp_path / "others").exit_code == 1
    assert not (tmp_path / "others").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("precision=bfloat16", "engine='torch'"),
        ("device=cuda", "engine='torch'"),
        ("engine=tensorrt", "engine"),
        ("precision=float8", "precision"),
    ],
)
def test_what_an_engine_cannot_do_is_refused(world, setting, said):
    for verb in (
        ("encode", "set", "--model", world.model, "--out", "new"),
        ("evaluate", world.model, "--data", "set", "--out", "new"),
    ):
        result = run(*verb, "--set", setting, "--json")
        assert result.exit_code == 2
        assert said in str(answer(result))
        assert not (world / "new").exists()
