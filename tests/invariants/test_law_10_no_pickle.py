"""Law 10, for training: no pickle is written or read.

1. A run and its resumption call neither pickle nor torch's save and load.
2. No file that a run leaves behind is a pickle or an archive of one.
"""

from __future__ import annotations

import pickle
import zipfile

import pytest
import torch

from isogloss.recipe import parse_recipe
from isogloss.training import checkpoints, train
from tests.training.runs import recipe_content


def test_a_run_leaves_no_pickle(tmp_path, tiny_static, monkeypatch):
    def refuse(*arguments, **options):
        pytest.fail("pickle was used")

    for module, names in (
        (torch, ("save", "load")),
        (pickle, ("dump", "dumps", "load", "loads", "Pickler", "Unpickler")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, refuse)
    content = recipe_content(tmp_path, tiny_static, save_strategy="steps", save_steps=2)
    train(parse_recipe(content), tmp_path / "out")
    for path in checkpoints.checkpoints(tmp_path / "out")[:1]:
        assert path.name == "checkpoint-3"
        (path / "checkpoint.json").unlink()
    report = train(parse_recipe(content), tmp_path / "out", resume="previous")
    assert report.resumed_from == 2
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        assert path.suffix in (".json", ".jsonl", ".safetensors", ".md"), path
        assert not path.read_bytes().startswith(b"\x80"), path
        assert not zipfile.is_zipfile(path), path
