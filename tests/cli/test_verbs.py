"""Every verb does what its public function does, and nothing else.

1. With `--json` standard output is exactly one JSON object; without it is text, and progress is on standard error.
2. What a verb wrote, the next one reads: encode, search, train, evaluate, compare.
3. `--dry-run` checks everything and writes nothing.
4. Paths and texts with brackets are shown as they are.
"""

from __future__ import annotations

import re

import pytest

from isogloss import Bank, Retriever
from tests.cli.worlds import LANGUAGES, PASSAGES, answer, run, snapshot, write_lines


def test_encode_makes_a_bank_of_the_corpus(world):
    result = run("encode", "set", "--out", "new", "--model", world.model, "--json")
    found = answer(result)
    assert result.exit_code == 0
    assert (found["passages"], found["encoded"], found["dimension"]) == (9, 9, 24)
    assert {language: row["passages"] for language, row in found["languages"].items()} == dict.fromkeys(LANGUAGES, 3)
    bank = Bank.open(world / "new")
    bank.require(Retriever.load(world.model).passage.fingerprint)
    assert bank.text("p1.ru").text == PASSAGES["ru"][1]


def test_encode_tells_people_what_it_did(world):
    result = run("encode", "set/corpus.jsonl", "--out", "[new]", "--model", world.model)
    assert result.exit_code == 0
    assert re.search(
        r"9 passages encoded, \d+ a second \(\d+ tokens\), 24 dimensions,\s+by static in float32\.", result.stdout
    )
    assert "Bank [new]" in result.stdout
    again = run("encode", "set/corpus.jsonl", "--out", "[new]", "--model", world.model)
    assert "0 passages encoded (9 were there already)" in again.stdout


def test_encode_settings_reach_the_bank(world):
    settings = ("--set", "dtype=float32", "--set", "shard_size=2")
    run("encode", "set", "--out", "new", "--model", world.model, *settings)
    assert Bank.open(world / "new").dtype == "float32"
    assert len(list((world / "new" / "shards").glob("*.npy"))) == 5


def test_append_adds_passages(world):
    (world / "more.jsonl").write_text('{"_id": "new", "text": "灯塔看守人数船。", "lang": "zh"}\n', encoding="utf-8")
    found = answer(run("encode", "more.jsonl", "--out", "bank", "--model", world.model, "--append", "--json"))
    assert (found["passages"], found["encoded"]) == (10, 1)


@pytest.mark.parametrize("language", ["ru", "rus_Cyrl"])
def test_search_answers_in_the_wanted_language(world, language):
    query = PASSAGES["ru"][2]
    arguments = ("search", "bank", query, "-k", "2", "--language", language, "--model", world.model)
    found = answer(run(*arguments, "--json"))
    assert found["query"] == query
    assert [hit["rank"] for hit in found["hits"]] == [1, 2]
    assert {hit["language"] for hit in found["hits"]} == {"ru"}
    assert (found["hits"][0]["id"], found["hits"][0]["text"]) == ("p2.ru", query)
    assert found["hits"][0]["score"] == pytest.approx(1, abs=1e-3)
    shown = run(*arguments)
    assert shown.stdout.splitlines()[0].split() == ["1", "1.000", "ru", "p2.ru"]
    assert query in shown.stdout


def test_evaluate_writes_runs_scores_and_tables(world):
    arguments = ("evaluate", world.model, "--data", "set", "--pairs", "same,de-ru", "--bank", "bank", "--bm25")
    result = run(*arguments, "--out", "new", "--set", "measures=RR@10", "--json")
    found = answer(result)
    assert result.exit_code == 0
    assert found["measures"] == ["RR@10"]
    assert sorted(path.name for path in (world / "new" / "runs").iterdir()) == sorted(
        f"{pair}.trec.gz" for pair in ("de-de", "de-ru", "en-en", "ru-ru")
    )
    assert {path.name for path in (world / "new").iterdir()} == {
        "runs",
        "per-query",
        "scores.json",
        "matrix.md",
        "bm25",
    }
    assert (world / "new" / "bm25" / "runs" / "de-de.trec.gz").is_file()
    shown = run(*arguments, "--out", "new", "--overwrite")
    assert shown.exit_code == 0
    assert "nDCG@10" in shown.stdout
    assert "BM25" in shown.stdout


def test_compare_says_what_changed(world):
    run("evaluate", world.other_model, "--data", "set", "--out", "other")
    result = run("compare", "scores", "other", "--data", "set", "--measures", "nDCG@10", "--json")
    assert result.exit_code == 0
    assert {row["measure"] for row in answer(result)["differences"]} == {"nDCG@10"}
    same = run("compare", "scores", "scores", "--data", "set", "--fail-if-worse")
    assert same.exit_code == 0
    assert "nDCG@10" in same.stdout


def test_a_comparison_on_another_set_or_of_nothing_is_no_pass(world):
    records = {
        "corpus": [{"_id": "x", "text": "Other text.", "lang": "de"}],
        "queries": [{"_id": "y", "text": "Other?", "lang": "de"}],
    }
    for name, lines in records.items():
        write_lines(world / "another" / f"{name}.jsonl", lines)
    (world / "another" / "qrels").mkdir()
    (world / "another" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\ny\tx\t1\n")
    for gate in ((), ("--fail-if-worse",)):
        wrong = run("compare", "scores", "scores", "--data", "another", *gate)
        assert wrong.exit_code == 2
        assert "none of the queries of another" in wrong.stderr
    nothing = run("compare", "scores", "scores", "--data", "set", "--pairs", "ru-de", "--fail-if-worse")
    assert nothing.exit_code == 3
    assert "nothing was compared" in nothing.stderr


def test_gate_missed_is_exit_code_three(world):
    queries = [f"q{number}.de" for number in range(3)]
    run_file = world / "scores" / "runs" / "de-de.trec"
    run_file.with_name("de-de.trec.gz").unlink()
    lines = [f"{query} Q0 p{(row + 1) % 3}.de 1 1.0 worse\n" for row, query in enumerate(queries)]
    before = world / "before"
    (world / "scores").rename(world / "after")
    run("evaluate", world.model, "--data", "set", "--out", before)
    (world / "after" / "runs" / "de-de.trec").write_text("".join(lines))
    gate = ("compare", before, "after", "--data", "set", "--margin", "0", "--fail-if-worse")
    result = run(*gate, "--json")
    assert result.exit_code == 3
    assert answer(result)["differences"]
    assert "Worse: " in result.stderr
    assert run(*gate[:-1]).exit_code == 0


def test_train_leaves_a_model_and_goes_on(world):
    result = run("train", *world.tuning, "--out", "tuned", "--json")
    found = answer(result)
    assert result.exit_code == 0
    assert (found["steps"], found["resumed_from"], found["dry_run"]) == (2, 0, False)
    assert "weights are trained" in result.stderr
    tuned = Retriever.load(world / "tuned" / "model")
    Bank.open(world / "bank").require(tuned.passage.fingerprint)
    again = run("train", *world.tuning, "--out", "tuned")
    assert again.exit_code == 0
    assert "resumed at step 2" in again.stdout


def test_recipes_are_listed_shown_and_checked(world):
    found = answer(run("recipe", "list", "--json"))
    names = [recipe["name"] for recipe in found["recipes"]]
    assert "english-query-tuning" in names
    listed = run("recipe", "list")
    assert all(name in listed.stdout for name in names)
    for name in names:
        shown = run("recipe", "show", name)
        assert shown.stdout.startswith("# ")
        assert "objective" in answer(run("recipe", "show", name, "--json"))
        assert run("recipe", "check", name).exit_code == 0
        assert answer(run("recipe", "check", name, "--json"))["sound"] is True


def test_doctor_examines_the_installation(world, monkeypatch):
    monkeypatch.setattr("isogloss.models.hub.bundled_model", lambda: world.model)
    result = run("doctor", "--json")
    found = answer(result)
    assert result.exit_code == (0 if found["ok"] else 1)
    states = {check["name"]: check["state"] for check in found["checks"]}
    assert (states["bundled model"], states["numpy"], states["torch"]) == ("ok", "ok", "ok")
    assert "bundled model" in run("doctor").stdout


def test_doctor_without_a_model_says_what_to_do(world, monkeypatch):
    monkeypatch.setattr("isogloss.models.bundled.BUNDLED", "nowhere")
    result = run("doctor", "--json")
    assert result.exit_code == 1
    (fault,) = (check for check in answer(result)["checks"] if check["name"] == "bundled model")
    assert (fault["state"], bool(fault["next_step"])) == ("fault", True)


@pytest.mark.parametrize("as_json", [True, False])
def test_dry_runs_write_nothing(world, as_json):
    commands = [
        ("encode", "set", "--out", "new", "--model", world.model),
        ("evaluate", world.model, "--data", "set", "--out", "new", "--bank", "bank"),
        ("train", *world.tuning, "--out", "new"),
        ("demo", "--data", "set", "--out", "new", "--model", world.model),
    ]
    before = snapshot(world.folder)
    for command in commands:
        result = run(*command, "--dry-run", *(["--json"] if as_json else []))
        assert result.exit_code == 0, result.output
        assert not as_json or answer(result)["dry_run"] is True
        assert result.stdout
        assert not (world / "new").exists()
    assert snapshot(world.folder) == before


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("encode", "set", "--out", "set"), 1),
        (("encode", "set", "--out", "bank", "--append", "--set", "dtype=float32"), 2),
        (("evaluate", "MODEL", "--data", "set", "--out", "scores"), 1),
        (("evaluate", "MODEL", "--data", "set", "--out", "new", "--pairs", "same,sideways"), 2),
        (("evaluate", "MODEL", "--data", "set", "--out", "new", "--set", "measures=nDCG@ten"), 2),
        (("evaluate", "OTHER", "--data", "set", "--out", "new", "--bank", "bank"), 1),
        (("train", "TUNING", "--out", "set"), 2),
        (("demo", "--data", "set", "--out", "set"), 1),
        (("demo", "--data", "set", "--out", "new", "--set", "train.max_step=2"), 2),
    ],
)
def test_dry_runs_find_what_the_run_would_find(world, command, code):
    words = {"MODEL": (world.model,), "OTHER": (world.other_model,), "TUNING": world.tuning}
    arguments = [part for word in command for part in words.get(word, (word,))]
    if command[0] in ("encode", "demo"):
        arguments += ["--model", world.model]
    before = snapshot(world.folder)
    tried = run(*arguments, "--dry-run")
    assert tried.exit_code == code, tried.output
    assert snapshot(world.folder) == before
    done = run(*arguments)
    assert (done.exit_code, done.stderr) == (code, tried.stderr)
    assert snapshot(world.folder) == before
