"""Law 7: an exported or quantised model passes a parity gate per language before its file is kept.

1. Whatever lowers a precision, a gate that refuses leaves no file of it: nothing at all, what was there, or the model
   in full precision where a training has to leave one.
2. A gate that lets it pass has looked at every language, and the folder or the run says what it found.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from isogloss.errors import ParityError
from isogloss.evaluation.parity import ParityLimits, compare_retrievers
from isogloss.models.export import ExportPlan, export_retriever, save_in_bytes
from isogloss.models.retriever import Retriever
from isogloss.training import rounding
from isogloss.training.rounding import LIMITS, save_rounded
from tests.models.test_export import TINY_SET

LANGUAGES = {text.language for text in (*TINY_SET.queries, *TINY_SET.passages)}
Make = Callable[[Retriever, Path, Callable[[Retriever], dict[str, object]]], object]
EXPORTS: dict[str, tuple[str, Make]] = {
    "graph of a static model": ("tiny_static", lambda model, out, gate: export_retriever(model, out, gate)),
    "table in int8": ("tiny_static", save_in_bytes),
    "graph": ("tiny_transformer", lambda model, out, gate: export_retriever(model, out, gate, ExportPlan("onnx"))),
    "int8": (
        "tiny_transformer",
        lambda model, out, gate: export_retriever(model, out, gate, ExportPlan("onnx", int8=True)),
    ),
}


def gate_of(original: Retriever, limits: ParityLimits, subject: str) -> Callable[[Retriever], dict[str, object]]:
    def gate(copy: Retriever) -> dict[str, object]:
        report = compare_retrievers(original, copy, TINY_SET, limits=limits)
        report.require(subject)
        return report.to_json()

    return gate


@pytest.mark.parametrize("kind", EXPORTS)
def test_a_gate_that_refuses_leaves_nothing(request, tmp_path, kind):
    name, make = EXPORTS[kind]
    model = Retriever.load(request.getfixturevalue(name))
    unreachable = ParityLimits(least_cosine=1.0, largest_change=0.0)
    refusing = gate_of(model, unreachable, kind)

    def gate(copy: Retriever) -> dict[str, object]:
        refusing(copy)
        raise ParityError("equal to the last bit")  # float32 graphs may be

    with pytest.raises(ParityError):
        make(model, tmp_path / "out", gate)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", EXPORTS)
def test_what_is_kept_says_what_was_found_in_every_language(request, tmp_path, kind):
    name, make = EXPORTS[kind]
    model = Retriever.load(request.getfixturevalue(name))
    make(model, tmp_path / "out", gate_of(model, ParityLimits(least_cosine=0.9, largest_change=1.0), kind))
    kept = json.loads((tmp_path / "out" / "parity.json").read_text(encoding="utf-8"))
    assert kept["passed"]
    assert set(kept["languages"]) == LANGUAGES


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_a_training_keeps_the_whole_model_where_the_gate_refuses(tiny_static, tmp_path, monkeypatch, precision):
    model = Retriever.load(tiny_static)
    passed = save_rounded(model, tmp_path / "model", precision, [TINY_SET])
    assert passed.saved == precision
    assert set(passed.to_json()["parity"][0]["languages"]) == LANGUAGES
    monkeypatch.setattr(rounding, "LIMITS", replace(LIMITS, least_cosine=1.0))
    refused = save_rounded(model, tmp_path / "model", precision, [TINY_SET])
    assert refused.saved == "as_is"
    np.testing.assert_array_equal(Retriever.load(tmp_path / "model").query.engine.table[:], model.query.engine.table[:])
