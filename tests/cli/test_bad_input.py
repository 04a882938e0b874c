"""Bad input costs one reading of one message: what is wrong, where, and what to do; and nothing that was there.

1. Every fault of a file is told at once, with file and line; nothing is loaded and nothing written.
2. A bank of another model, a foreign folder and a damaged checkpoint are refused by name.
3. A full disk is told as such, wherever it happens; what was finished stays, and the same command goes on from there.
4. An output that is there already is never replaced unasked.
5. An output that cannot be made is told before the work, in a dry run too; advice names what there is.
"""

from __future__ import annotations

import errno
import os
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from isogloss import Retriever
from tests.cli.worlds import answer, run, snapshot, write_lines


def refused(world, *command: object, code: int = 1) -> str:
    """What standard error says of a command that fails, changes nothing, and answers programs alike."""
    before = snapshot(world.folder)
    result = run(*command)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) >= 2, "there is no next step"
    for_programs = run(*command, "--json")
    error = answer(for_programs)["error"]
    assert for_programs.exit_code == code
    assert error["next_step"]
    assert error["message"] in result.stderr
    assert snapshot(world.folder) == before
    return result.stderr


MISSING = [
    (("encode", "nothere", "--out", "new"), "nothere"),
    (("encode", "set/corpus.json", "--out", "new"), "did you mean 'corpus.jsonl'"),
    (("search", "nothere", "query"), "nothere"),
    (("search", "set", "query"), "set"),
    (("evaluate", "MODEL", "--data", "nothere", "--out", "new"), "nothere"),
    (("evaluate", "MODEL", "--data", "set", "--out", "new", "--bank", "nothere"), "nothere"),
    (("evaluate", "./nothere", "--data", "set", "--out", "new"), "nothere"),
    (("evaluate", "set", "--data", "set", "--out", "new"), "no model folder"),
    (("compare", "nothere", "scores", "--data", "set"), "nothere"),
    (("compare", "set", "scores", "--data", "set"), "is no evaluation"),
    (("train", "english-query-tunin", "--out", "new"), "did you mean 'english-query-tuning'"),
    (("train", "TUNING", "--out", "new", "--set", "sources.rows.path=nothere.jsonl"), "nothere.jsonl"),
    (("train", "TUNING", "--out", "new", "--set", "model.base=./nothere"), "nothere"),
    (("recipe", "show", "nothere.yaml"), "nothere.yaml"),
    (("demo", "--data", "nothere", "--out", "new"), "nothere"),
]


@pytest.mark.parametrize(("command", "said"), MISSING)
def test_missing_files_and_models(world, command, said):
    words = {"MODEL": (world.model,), "TUNING": world.tuning}
    arguments = [part for word in command for part in words.get(word, (word,))]
    if command[0] in ("encode", "search", "demo"):
        arguments += ["--model", world.model]
    assert said in refused(world, *arguments)
    assert not (world / "new").exists()


@pytest.mark.parametrize("verb", ["encode", "evaluate", "demo"])
def test_all_faults_of_a_corpus_are_told_at_once(world, verb):
    corpus = world / "set" / "corpus.jsonl"
    bad = (
        '{"_id": "p0.en", "text": "again", "lang": "en"}\n'
        '{"_id": "x1", "text": \n'
        '{"_id": "x2", "text": "  ", "lang": "en"}\n'
        '{"_id": "x3", "text": "text", "lang": "klingon"}\n'
        '{"text": "no id", "lang": "en"}\n'
        '["no", "object"]\n'
    )
    corpus.write_text(corpus.read_text(encoding="utf-8") + bad, encoding="utf-8")
    command = {
        "encode": ("encode", "set", "--out", "new", "--model", world.model),
        "evaluate": ("evaluate", world.model, "--data", "set", "--out", "new"),
        "demo": ("demo", "--data", "set", "--out", "new", "--model", world.model),
    }[verb]
    said = refused(world, *command)
    assert "6 problems" in said
    places = ["p0.en", "broken JSON", "x2", "klingon", "'_id'", "no JSON object"]
    for line, fault in zip(range(10, 16), places, strict=True):
        (place,) = (row for row in said.splitlines() if f"corpus.jsonl:{line}  " in row)
        assert fault in place
    assert not (world / "new").exists()


def test_ids_that_resolve_to_nothing(world):
    judged = world / "set" / "qrels" / "test.tsv"
    judged.write_text(judged.read_text() + "q0.de\tp9.de\t1\nq9.de\tp0.de\t1\nq0.en\tp0.en\tmuch\n")
    said = refused(world, "evaluate", world.model, "--data", "set", "--out", "new")
    for line, fault in ((11, "p9.de"), (12, "q9.de"), (13, "much")):
        (place,) = (row for row in said.splitlines() if f"test.tsv:{line}  " in row)
        assert fault in place


def test_all_faults_of_training_rows_are_told_at_once(world):
    rows = world / "rows.jsonl"
    bad = (
        '{"query": "who?"}\n{"query": \n{"query": "", "positive": "text"}\n{"query": "a", "positive": "b", "lang": "x"}'
    )
    rows.write_text(rows.read_text(encoding="utf-8") + bad, encoding="utf-8")
    said = refused(world, "train", *world.tuning, "--out", "new")
    assert all(f"rows.jsonl:{line}  " in said for line in (13, 14, 15, 16))
    assert not (world / "new").exists()


def test_empty_query(world):
    assert "empty" in refused(world, "search", "bank", "  ", "--model", world.model)


@pytest.mark.parametrize(
    "command",
    [
        ("search", "bank", "query", "--model", "OTHER"),
        ("encode", "set", "--out", "bank", "--model", "OTHER"),
        ("encode", "set", "--out", "bank", "--model", "OTHER", "--append"),
        ("evaluate", "OTHER", "--data", "set", "--out", "new", "--bank", "bank"),
    ],
)
def test_a_bank_of_another_model_is_refused(world, command):
    arguments = [world.other_model if part == "OTHER" else part for part in command]
    assert "weights" in refused(world, *arguments)
    assert answer(run(*arguments, "--json"))["error"]["type"] == "StaleBankError"


def test_training_refuses_a_bank_of_another_model(world):
    from_bank = ("--set", "model.passages_from=bank", "--set", "model.bank=bank")
    other = ("--set", f"model.base={world.other_model}")
    result = run("train", *world.tuning, *other, *from_bank, "--out", "new", "--json")
    assert answer(result)["error"]["type"] in ("StaleBankError", "DataError")
    assert not (world / "new" / "model").exists()


def test_a_damaged_bank(world):
    vectors = next((world / "bank" / "shards").glob("*.npy"))
    vectors.write_bytes(vectors.read_bytes()[:100])
    assert vectors.name in refused(world, "search", "bank", "query", "--model", world.model)
    shutil.rmtree(world / "bank" / "shards")
    assert "is missing" in refused(world, "search", "bank", "query", "--model", world.model)
    (world / "bank" / "bank.json").write_text("{")
    assert "bank.json" in refused(world, "search", "bank", "query", "--model", world.model)


def test_a_damaged_model(world):
    shutil.copytree(world.model, world / "model")
    weights = next((world / "model").rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:50])
    assert "model" in refused(world, "search", "bank", "query", "--model", "model")
    (world / "model" / "modules.json").write_text("[")
    assert "modules.json" in refused(world, "search", "bank", "query", "--model", "model")


def test_a_damaged_evaluation(world):
    scores = world / "scores" / "scores.json"
    scores.write_text(scores.read_text()[:-20])
    assert "scores.json" in refused(world, "compare", "scores", "scores", "--data", "set")
    scores.write_text("{}")
    assert "scores.json" in refused(world, "compare", "scores", "scores", "--data", "set")


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00", b"", b"- 1\n"])
def test_a_recipe_that_is_none(world, content):
    (world / "mine.yaml").write_bytes(content)
    assert "mine.yaml" in refused(world, "train", "mine.yaml", "--out", "new")


def test_a_corrupt_checkpoint(world):
    command = ("train", *world.tuning, "--out", "tuned")
    assert run(*command).exit_code == 0
    assert sorted(path.name for path in (world / "tuned").glob("checkpoint-*")) == ["checkpoint-1", "checkpoint-2"]
    weights = world / "tuned" / "checkpoint-2" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    said = refused(world, *command)
    assert "checkpoint-2" in said
    assert "model.safetensors" in said
    assert "previous" in said
    before = Retriever.load(world / "tuned" / "model").query.fingerprint
    found = answer(run(*command, "--resume", "previous", "--json"))
    assert found["resumed_from"] == 1
    assert Retriever.load(world / "tuned" / "model").query.fingerprint == before
    assert "not empty" in refused(world, *command, "--resume", "never", code=2)


def test_a_run_never_replaces_what_is_not_its_own(world):
    mine = world / "mine"
    (mine / "model").mkdir(parents=True)
    (mine / "model" / "thesis.txt").write_text("three years of work")
    assert "something else" in refused(world, "train", *world.tuning, "--out", "mine", code=2)
    assert run("train", *world.tuning, "--out", "tuned").exit_code == 0
    changed = ("--set", "train.learning_rate=0.5", "--set", "train.save_strategy=no")
    said = refused(world, "train", *world.tuning, *changed, "--out", "tuned")
    assert "another run" in said
    (world / "tuned" / "model" / "thesis.txt").write_text("three years of work")
    for dry in ((), ("--dry-run",)):
        assert "beside a model it holds thesis.txt" in refused(world, "train", *world.tuning, "--out", "tuned", *dry)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("encode", "set", "--out", "scores", "--model", "MODEL"), 1),
        (("encode", "set", "--out", "rows.jsonl", "--model", "MODEL"), 1),
        (("encode", "rows-as-corpus.jsonl", "--out", "bank", "--model", "MODEL"), 1),
        (("evaluate", "MODEL", "--data", "set", "--out", "scores"), 1),
        (("evaluate", "MODEL", "--data", "set", "--out", "rows.jsonl"), 1),
        (("evaluate", "MODEL", "--data", "set", "--out", "rows.jsonl", "--overwrite"), 1),
        (("train", "TUNING", "--out", "rows.jsonl"), 1),
        (("demo", "--data", "set", "--out", "bank", "--model", "MODEL"), 1),
        (("demo", "--data", "set", "--out", "rows.jsonl", "--model", "MODEL"), 1),
    ],
)
def test_an_output_that_exists(world, command, code):
    write_lines(world / "rows-as-corpus.jsonl", [{"_id": "x", "text": "other text"}])
    words = {"MODEL": (world.model,), "TUNING": world.tuning}
    refused(world, *(part for word in command for part in words.get(word, (word,))), code=code)


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
@pytest.mark.parametrize("verb", ["encode", "evaluate"])
@pytest.mark.parametrize("out", ["rows.jsonl/new", "rows.jsonl", "locked/new", "locked/deep/new"])
def test_an_output_that_cannot_be_made(world, monkeypatch, verb, out, dry):
    if out.startswith("locked"):
        (world / "locked").mkdir()
        mkdir = Path.mkdir

        def locked(self: Path, *arguments: object, **options: object) -> None:
            if "locked" in self.parts:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
            mkdir(self, *arguments, **options)

        monkeypatch.setattr(Path, "mkdir", locked)

    def encoding(*_: object, **__: object) -> None:
        raise AssertionError("the work has begun")

    monkeypatch.setattr("isogloss.engines.bank_writing._jobs", encoding)
    monkeypatch.setattr(import_module("isogloss.evaluation.evaluate"), "measure_system", encoding)
    command = {
        "encode": ("encode", "set", "--model", world.model),
        "evaluate": ("evaluate", world.model, "--data", "set"),
    }[verb]
    said = refused(world, *command, "--out", out, *dry)
    assert "a file" in said if out.startswith("rows") else "ls -ld" in said and "locked'" in said
    assert ".partial-" not in said


def test_advice_names_what_the_command_line_has(world):
    write_lines(world / "more.jsonl", [{"_id": "x", "text": "other text"}])
    said = refused(world, "encode", "more.jsonl", "--out", "bank", "--model", world.model)
    assert "--append" in said
    assert "--overwrite" in refused(world, "init", "--out", "rows.jsonl")
    (world / "mine").mkdir()
    assert "path of a file" in refused(world, "init", "--out", "mine", "--overwrite")
    for verb in (("export", world.model, "--out", "scores", "--onnx"), ("index", "bank", "--out", "scores")):
        assert "overwrite" not in refused(world, *verb)


def test_the_folder_of_a_run_names_its_model(world):
    shutil.copytree(world.model, world / "tuned" / "model")
    assert "give tuned/model" in refused(world, "evaluate", "tuned", "--data", "set", "--out", "new")


def test_a_set_or_corpus_that_passes_once(world):
    os.mkfifo(world / "pipe")
    assert "it is a pipe" in refused(world, "encode", "pipe", "--out", "new", "--model", world.model)
    assert "it is a pipe" in refused(world, "evaluate", world.model, "--data", "pipe", "--out", "new")


def full_disk(*arguments: object, **options: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_while_encoding(world, monkeypatch):
    written = []

    def second_fails(path: Path, *arguments: object, **options: object) -> None:
        if len(written) == 2:
            path.write_bytes(b"half")
            full_disk()
        written.append(path)
        save(path, *arguments, **options)

    command = ("encode", "set", "--out", "new", "--model", world.model, "--set", "shard_size=3")
    save = np.save
    with monkeypatch.context() as patch:
        patch.setattr("numpy.save", second_fails)
        result = run(*command)
    assert result.exit_code == 1
    assert "no space left" in result.stderr
    assert "df -h" in result.stderr
    assert not [path for path in world.folder.rglob("*") if "partial" in path.name]
    assert "unfinished: 6 passages" in refused(world, "search", "new", "query", "--model", world.model)
    assert answer(run(*command, "--json"))["encoded"] == 3
    run(*command[:3], "whole", *command[4:])
    files = {name: content for name, (content, _) in snapshot(world / "whole").items()}
    assert {name: content for name, (content, _) in snapshot(world / "new").items()} == files


WRITES = [
    ("evaluate", "os.fsync"),
    ("evaluate", "gzip.GzipFile"),
    ("evaluate-again", "pathlib.Path.rename"),
    ("train", "isogloss.training.checkpoints.write_json"),
    ("train-model", "isogloss.models.persistence._write_json"),
    ("append", "os.fsync"),
]


@pytest.mark.parametrize(("verb", "place"), WRITES)
def test_a_full_disk_anywhere_loses_nothing(world, monkeypatch, verb, place):
    command = {
        "evaluate": ("evaluate", world.model, "--data", "set", "--out", "new"),
        "evaluate-again": ("evaluate", world.model, "--data", "set", "--out", "scores", "--overwrite"),
        "train": ("train", *world.tuning, "--out", "new"),
        "train-model": ("train", *world.tuning, "--set", "train.save_strategy=no", "--out", "new"),
        "append": ("encode", "more.jsonl", "--out", "bank", "--model", world.model, "--append"),
    }[verb]
    write_lines(world / "more.jsonl", [{"_id": "new", "text": "灯塔看守人数船。", "lang": "zh"}])
    before = snapshot(world.folder)
    with monkeypatch.context() as patch:
        patch.setattr(place, full_disk)
        result = run(*command, "--json")
    assert result.exit_code == 1
    assert answer(result)["error"]["type"] == "FileError"
    assert "no space left" in result.stderr
    assert "df -h" in result.stderr
    after = snapshot(world.folder)
    assert {name: after.get(name) for name in before} == before
    assert not [name for name in after if "partial" in name or name.startswith("new/model") or "former" in name]
    if verb != "evaluate-again":
        assert not [name for name in after.keys() - before.keys() if not name.startswith("new/train-log")]
    assert run(*command).exit_code == 0


def test_a_full_disk_that_safetensors_tells_in_words(world, monkeypatch):
    """Its own exception is no `OSError`."""
    import resource
    import signal

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        result = run("train", *world.tuning, "--out", "new", "--json")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, former)
    assert result.exit_code == 1
    error = answer(result)["error"]
    assert (error["type"], "file too large" in error["message"]) == ("FileError", True)
    assert not (world / "new" / "checkpoint-1").exists()


def test_stopping_by_hand_keeps_what_is_finished(world, monkeypatch):
    def stop(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    before = snapshot(world.folder)
    with monkeypatch.context() as patch:
        patch.setattr("gzip.GzipFile", stop)
        result = run("evaluate", world.model, "--data", "set", "--out", "new")
    assert result.exit_code == 130
    assert "Traceback" not in result.output
    assert snapshot(world.folder) == before
