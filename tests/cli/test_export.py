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
from isogloss.engines.byte_table import ByteTable
from isogloss.models import export_graphs, export_openvino
from isogloss.models.calibration import spread_over_languages
from isogloss.models.retriever import Retriever
from isogloss.records import Text
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


def test_exports_int8_calibrated_on_the_users_own_texts(tiny_transformer, tiny_set, tmp_path, monkeypatch):
    monkeypatch.setattr("isogloss.models.export.multiplies_int8", lambda: True)
    monkeypatch.setattr("isogloss.engines.openvino_engine.multiplies_int8", lambda: True)
    seen = []
    quantize = export_openvino.quantize_static
    monkeypatch.setattr(
        export_openvino, "quantize_static", lambda path, samples: (seen.extend(samples), quantize(path, samples))
    )
    own = tmp_path / "own.jsonl"
    own.write_text('{"_id": "1", "text": "ship", "lang": "en"}\n{"_id": "2", "text": "Schiff", "lang": "de"}\n')
    out = tmp_path / "out"
    command = ("export", tiny_transformer, "--out", out, "--openvino", "--int8", "--data", tiny_set)
    options = ("--calibration", own, "--set", "calibration_texts=10", "--set", "largest_change=1", "--json")
    code, plan = run(*command, *options, "--dry-run")
    assert code == 0 and plan["format"] == "openvino" and not out.exists()
    code, result = run(*command, *options)
    assert code == 0 and result["precision"].startswith("int8-static") and result["format"] == "openvino"
    assert len(seen) == 5 + 2  # queries of the set, and the passages of the corpus
    assert all(feeds["input_ids"].shape[0] == 1 for feeds in seen)
    engine = Retriever.load(out).passage.engine
    assert engine.graph.kind == "openvino"
    ids = [engine.with_prompt("passage: ").feeds(text)["input_ids"].tolist() for text in ("ship", "Schiff")]
    assert [feeds["input_ids"].tolist() for feeds in seen[5:]] == ids[::-1]  # languages in their order: de, en


def test_calibration_takes_all_languages_alike():
    texts = [Text(f"{row}", f"text {row}", language="en") for row in range(500)]
    texts += [Text(f"th{row}", f"ข้อความ {row}", language="th") for row in range(3)]
    drawn = spread_over_languages(iter(texts), 10)
    languages = [text.language for text in drawn]
    assert languages.count("th") == 3 and languages.count("en") == 7
    assert drawn == spread_over_languages(texts, 10)
    assert any(int(text.id) > 50 for text in drawn if text.language == "en")  # from all of the corpus


def test_refused_export_leaves_nothing(tiny_static, tiny_set, tmp_path, monkeypatch):
    write = export_graphs.write_graph
    monkeypatch.setattr(export_graphs, "write_graph", lambda engine, path: (write(engine, path), sabotage(path)))
    before = sorted(tmp_path.iterdir())
    code, result = run("export", tiny_static, "--out", tmp_path / "out", "--onnx", "--data", tiny_set, "--json")
    assert code == 3 and result["exported"] is None and not result["passed"]
    assert sorted(tmp_path.iterdir()) == before


def test_a_static_table_is_kept_in_bytes_where_the_gate_lets_it_pass(tiny_static, tiny_set, tmp_path):
    out = tmp_path / "out"
    command = ("export", tiny_static, "--out", out, "--int8", "--data", tiny_set, "--json")
    code, plan = run(*command, "--dry-run")
    assert code == 0 and plan["format"] == "table" and not out.exists()
    before = sorted(tmp_path.iterdir())
    code, result = run(*command, "--set", "least_cosine=1")
    assert code == 3 and result["exported"] is None and sorted(tmp_path.iterdir()) == before
    code, result = run(*command, "--set", "largest_change=1")
    assert code == 0 and result["precision"] == "int8"
    assert json.loads((out / "parity.json").read_text())["languages"] == result["languages"]
    assert isinstance(Retriever.load(out).passage.engine.table, ByteTable)


def test_only_static_tables_are_kept_in_bytes(tiny_transformer, tiny_set, tmp_path):
    code, result = run("export", tiny_transformer, "--out", tmp_path / "out", "--int8", "--data", tiny_set, "--json")
    assert code == 2 and "static models only" in json.dumps(result) and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--onnx"),
        (("--onnx", "--openvino"), "one at a time"),
        (("--onnx", "--int8"), "static model"),
        (("--onnx", "--set", "precision=bfloat16"), "bfloat16 for ONNX"),
        (("--openvino", "--calibration", "x.jsonl"), "--openvino --int8"),
        (("--int8", "--calibration", "x.jsonl"), "--openvino --int8"),
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
