"""The main job, on a tiny model and a tiny set.

1. Tuning the query tower leaves the index as it was, bit for bit, and changes the queries.
2. Everything that it says it made is there, in its folder alone, and each command that it names parses and exists.
3. What it shows and what it returns are the same, and scores agree with the run files.
4. Bad input is refused before anything is written.
"""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest
import typer

from isogloss import Bank, Retriever
from isogloss.cli.main import app
from isogloss.datasets import demo_rows, load
from isogloss.demonstration import check_demonstration, demonstrate
from isogloss.errors import DataError, FileError, ModelError, UsageError
from isogloss.evaluation.measures import mean, score_run
from isogloss.files import read_run
from tests.cli.worlds import answer, run, snapshot, write_beir

STEPS = ("train.max_steps=2", "train.logging_steps=1", "sources.rows.batch=8", "train.learning_rate=0.05")
NUMBER_OF_PRODUCTS = 6


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_static):
    """A finished demo: what it returned, what it said, its folder, and its set."""
    folder = tmp_path_factory.mktemp("demo of two words")
    data = write_beir(folder / "set")
    said: list[object] = []
    found = demonstrate(
        folder / "out", data=str(data), model=str(tiny_static), overrides=STEPS, say=said.append, progress=False
    )
    return found, said, folder, data


def test_the_index_is_unchanged_and_the_queries_are_not(made, tiny_static):
    found, _, _, data = made
    base, tuned = Retriever.load(tiny_static), Retriever.load(found.folder / "training" / "model")
    eval_set = load(data)
    bank = Bank.open(found.folder / "index")
    bank.verify()
    bank.require(tuned.passage.fingerprint)
    assert found.index_unchanged is True
    assert json.loads((found.folder / "training" / "manifest.json").read_text(encoding="utf-8"))["steps"] == 2
    assert tuned.towers == "frozen_passage"
    stored = bank.get([text.id for text in eval_set.passages])
    for retriever in (base, tuned):
        assert np.array_equal(stored, retriever.encode_passage(eval_set.passages).astype(np.float16))
    assert not np.array_equal(base.encode_query(eval_set.queries), tuned.encode_query(eval_set.queries))


def test_every_product_is_there_and_its_command_parses(made):
    found, _, folder, _ = made
    assert len(found.products) == NUMBER_OF_PRODUCTS
    for product in found.products:
        assert (folder / product.path).exists()
        program, verb, *rest = shlex.split(product.command)
        assert program == "isogloss"
        command = typer.main.get_command(app).commands[verb]
        parsed = command.make_context(verb, rest).params
        assert parsed
        assert product.command in (found.folder / "report.md").read_text(encoding="utf-8")
    assert {path.name for path in folder.iterdir()} == {"out", "set"}


def test_the_named_commands_make_the_same(made):
    """Also where paths have blanks in them; the finished run is gone on with, for its recipe and data are the same."""
    found = made[0]
    before = {name: content for name, (content, _) in snapshot(found.folder / "training" / "model").items()}
    for name in ("index", "bank", "model"):
        (product,) = (product for product in found.products if product.path.endswith(f"/{name}"))
        result = run(*shlex.split(product.command)[1:], "--json")
        assert result.exit_code == 0, result.output
        assert answer(result).get("encoded", 0) == 0
    assert {name: content for name, (content, _) in snapshot(found.folder / "training" / "model").items()} == before
    (report,) = (product for product in found.products if product.path.endswith("report.md"))
    compared = answer(run(*shlex.split(report.command)[1:], "--json"))
    assert compared["differences"] == json.loads(json.dumps(found.comparison.to_json()))["differences"]


def test_scores_agree_with_the_run_files(made):
    found, _, _, data = made
    qrels = load(data).pair("de", "ru").qrels
    for name, evaluation in (("before", found.before), ("after", found.after)):
        scores = score_run(qrels, read_run(found.folder / name / "runs" / "de-ru.trec.gz"), ["nDCG@10"]).values[
            "nDCG@10"
        ]
        assert mean(scores.values()) == pytest.approx(evaluation.cells["de-ru"].scores["nDCG@10"].value)
    assert set(found.before.cells) == {
        f"{query}-{passage}" for query in ("de", "en", "ru") for passage in ("de", "en", "ru")
    }


def test_it_answers_in_several_scripts_and_tells_all_of_it(made):
    found, said, _, _ = made
    assert [query.language for query, _ in found.answers] == ["ru", "en"]
    text = "\n".join(part for part in said if isinstance(part, str))
    for letter in "abcdf":
        assert f"({letter}) " in text
    for query, hits in found.answers:
        assert query.text in text
        assert [hit.rank for hit in hits] == [1, 2, 3]
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content["index_unchanged"] is True
    assert len(content["products"]) == NUMBER_OF_PRODUCTS
    rows = demo_rows()
    lines = (found.folder / "tuning-rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["query"] for line in lines] == [row.query for row in rows]


def test_the_verb_answers_programs_with_one_object(tmp_path, tiny_static, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_beir(tmp_path / "set")
    settings = [part for step in STEPS for part in ("--set", step)]
    result = run("demo", "--data", "set", "--model", tiny_static, "--out", "out", *settings, "--json")
    assert result.exit_code == 0
    assert answer(result)["index_unchanged"] is True
    again = run("demo", "--data", "set", "--model", tiny_static, "--out", "out", *settings)
    assert again.exit_code == 1
    assert "there already" in again.stderr


def test_bad_input_is_refused_before_anything_is_written(tmp_path, tiny_static):
    data, model = str(write_beir(tmp_path / "set")), str(tiny_static)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    cases = [
        (DataError, "full", {}),
        (DataError, "full/mine.txt", {}),
        (FileError, "new", {"data": str(tmp_path / "nothere")}),
        (ModelError, "new", {"model": str(tmp_path / "nothere")}),
        (UsageError, "new", {"overrides": ("train.max_step=1", "objective.0.term=infonse")}),
    ]
    before = snapshot(tmp_path)
    for check in (check_demonstration, demonstrate):
        for kind, out, changed in cases:
            with pytest.raises(kind):
                check(tmp_path / out, **{"data": data, "model": model, **changed})
    assert snapshot(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_a_set_without_languages_is_refused(tmp_path, tiny_static):
    corpus = write_beir(tmp_path / "set") / "corpus.jsonl"
    lines = [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]
    corpus.write_text("".join(json.dumps({"_id": line["_id"], "text": line["text"]}) + "\n" for line in lines))
    with pytest.raises(DataError, match="no languages"):
        check_demonstration(tmp_path / "out", data=str(tmp_path / "set"), model=str(tiny_static))
