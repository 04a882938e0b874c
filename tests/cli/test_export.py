"""`isogloss export` keeps a model only if it is the same: exit code 0 and a folder, or 3, the languages, and no folder.

`isogloss encode` takes a folder of files and several workers.
"""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from isogloss.cli.main import app
from isogloss.models import export_graphs
from tests.models.test_export import TINY_SET, sabotage


@pytest.fixture
def tiny_set(tmp_path) -> Path:
    """A BEIR folder in eight languages."""
    folder = tmp_path / "set"
    (folder / "qrels").mkdir(parents=True)
    for name, texts in (("corpus", TINY_SET.passages), ("queries", TINY_SET.queries)):
        lines = (json.dumps({"_id": text.id, "text": text.text, "lang": text.language}) for text in texts)
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    lines = [f"{query}\t{passage}\t1" for query, grades in TINY_SET.qrels.items() for passage in grades]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]))
    return folder


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, json.loads(result.stdout)


def test_exports_and_reports(tiny_static, tiny_set, tmp_path):
    out = tmp_path / "out"
    command = ("export", tiny_static, "--out", out, "--onnx", "--data", tiny_set, "--json")
    code, plan = run(*command, "--dry-run")
    assert code == 0 and plan["dry_run"] and not out.exists()
    code, result = run(*command)
    assert code == 0 and result["passed"] and set(result["languages"]) == set(TINY_SET.passage_languages)
    assert json.loads((out / "parity.json").read_text())["languages"] == result["languages"]
    onnx.checker.check_model(str(out / "onnx" / "model.onnx"))
    assert run(*command)[0] == 1  # the folder is not empty


def test_refused_export_leaves_nothing(tiny_static, tiny_set, tmp_path, monkeypatch):
    write = export_graphs.write_graph
    monkeypatch.setattr(export_graphs, "write_graph", lambda engine, path: (write(engine, path), sabotage(path)))
    before = sorted(tmp_path.iterdir())
    code, result = run("export", tiny_static, "--out", tmp_path / "out", "--onnx", "--data", tiny_set, "--json")
    assert code == 3 and result["exported"] is None and not result["passed"]
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--onnx"),
        (("--onnx", "--int8"), "static model"),
        (("--onnx", "--set", "least_cosine=2"), "least_cosine"),
    ],
)
def test_what_cannot_be_exported(tiny_static, tiny_set, tmp_path, options, said):
    code, result = run("export", tiny_static, "--out", tmp_path / "out", "--data", tiny_set, "--json", *options)
    assert code == 2 and said in json.dumps(result) and not (tmp_path / "out").exists()


def test_encodes_a_folder_of_files_with_workers(tiny_static, tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number in range(3):
        (corpus / f"part-{number}.jsonl").write_text(
            f'{{"_id": "{number}", "text": "night ship {number}", "lang": "en"}}\n'
        )
    out = tmp_path / "bank"
    code, result = run("encode", corpus, "--out", out, "--model", tiny_static, "--workers", "2", "--json")
    assert code == 0 and result["passages"] == result["encoded"] == 3
    assert result["languages"]["en"]["truncated"] == 0
