"""Law 10: no pickle is ever read or written, and code of a model runs only where the user says so.

1. Loading, encoding, training objects, saving and banks leave pickle and torch's own files alone.
2. Weights in pickle files are refused before anything opens them, also where they lie beside a router's routes.
3. A model with code of its own does not run it unasked.
"""

from __future__ import annotations

import json
import pickle
import shutil

import numpy as np
import pytest
import torch

from isogloss import Bank, Retriever, Text
from isogloss.errors import ModelError
from tests.conftest import TINY_TEXTS, bert_folder

MODELS = ["tiny_static", "tiny_transformer", "tiny_untied", "tiny_untied_transformer"]


@pytest.fixture
def no_pickle(monkeypatch):
    """Fails on every way into pickle that our libraries have."""

    def refuse(*_, **__):
        raise AssertionError("a pickle was read or written")

    for module, names in (
        (pickle, ("load", "loads", "dump", "dumps", "Pickler", "Unpickler")),
        (torch, ("save", "load")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, refuse)
    real_load, real_save = np.load, np.save

    def load(*arguments, **options):
        assert options.get("allow_pickle", False) is False
        return real_load(*arguments, **options)

    def save(*arguments, **options):
        assert options["allow_pickle"] is False
        return real_save(*arguments, **options)

    monkeypatch.setattr(np, "load", load)
    monkeypatch.setattr(np, "save", save)


@pytest.mark.parametrize("model", MODELS)
def test_no_pickle_on_the_way(model, request, tmp_path, no_pickle):
    folder = request.getfixturevalue(model)
    retriever = Retriever.load(folder)
    retriever.encode_query(TINY_TEXTS)
    retriever.encode_bank([Text("p", TINY_TEXTS[0])], tmp_path / "bank", progress=False)
    bank = Bank.open(tmp_path / "bank")
    bank.verify()
    assert bank.get(bank.ids).shape == (1, retriever.dimension)
    untied = retriever.untie()
    untied.with_towers(untied.to_torch()).save(tmp_path / "saved")
    Retriever.load(tmp_path / "saved").encode_passage(TINY_TEXTS)
    written = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert written <= {".json", ".jsonl", ".npy", ".safetensors", ".md", ".txt", ".model"}


@pytest.mark.parametrize("model", [*MODELS, "checkpoint"])
def test_pickled_weights_are_refused_unread(model, request, tmp_path, no_pickle):
    folder = tmp_path / "model"
    if model == "checkpoint":
        bert_folder(folder)
    else:
        shutil.copytree(request.getfixturevalue(model), folder)
    for weights in folder.rglob("model.safetensors"):
        weights.rename(weights.with_name("pytorch_model.bin"))
    pickles = sorted(str(path) for path in folder.rglob("*.bin"))
    with pytest.raises(ModelError, match="pickle") as caught:
        Retriever.load(folder)
    assert [fault.where for fault in caught.value.faults] == pickles


@pytest.mark.parametrize("where", ["modules.json", "config.json"])
def test_code_of_a_model_does_not_run_unasked(where, tiny_transformer, tmp_path):
    folder = shutil.copytree(tiny_transformer, tmp_path / "model")
    mark = tmp_path / "ran"
    (folder / "evil.py").write_text(f"import pathlib\npathlib.Path({str(mark)!r}).touch()\nclass Evil: pass\n")
    content = json.loads((folder / where).read_text())
    if where == "modules.json":
        content[2]["type"] = "evil.Evil"
    else:
        content |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}}
    (folder / where).write_text(json.dumps(content))
    with pytest.raises(ModelError):
        Retriever.load(folder)
    assert not mark.exists()
