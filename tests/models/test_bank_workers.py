"""It does not matter which process makes a shard, or how often one dies over it.

1. A bank made by several processes has the bytes of one made by a single process, texts in many files included.
2. Workers killed with SIGKILL are replaced, and a driver killed with SIGKILL is gone on with: the bytes are the same.
3. What a worker finds wrong is raised here as it was raised there; a worker that always dies is told of.
4. A model that exists in this process only cannot be loaded by others, and that is said before anything is written.
5. Tasks of Ray keep 1 to 4 as processes do.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from isogloss.datasets import open_corpus
from isogloss.engines.bank import Bank, encode_bank
from isogloss.errors import DataError, FileError, IsoglossError, MissingExtraError, UsageError
from isogloss.models import bank_ray, bank_workers
from isogloss.models.bank_workers import ModelSource, WorkerProcesses
from isogloss.models.retriever import Retriever
from isogloss.records import Text
from tests.conftest import TINY_TEXTS

SHARD_SIZE = 7
TEXTS = [
    Text(
        f"p{number}",
        f"{TINY_TEXTS[number % len(TINY_TEXTS)]} {number}",
        language=("en", "th", None)[number % 3],
        title="Title" * (number % 2),
        parallel_id=f"line {number // 3}",
        metadata={"parallel_id": f"line {number // 3}", "new": number % 2 == 0, "tags": ["a", number]},
    )
    for number in range(250)
]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs the processes of Linux")


@pytest.fixture(scope="module")
def unbroken(tiny_static, tmp_path_factory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("banks") / "bank"
    Retriever.load(tiny_static).encode_bank(TEXTS, path, shard_size=SHARD_SIZE, progress=False)
    return content(path)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """The texts in three files."""
    folder = tmp_path_factory.mktemp("corpus")
    for number, start in enumerate((0, 100, 180)):
        part = TEXTS[start : (100, 180, 250)[number]]
        rows = [
            {"_id": text.id, "title": text.title, "text": text.text, "lang": text.language, "metadata": text.metadata}
            for text in part
        ]
        (folder / f"part-{number}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def children(parent: int) -> list[int]:
    lists = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(pid) for listed in lists for pid in listed.read_text().split()]


def test_several_processes_write_the_same_bytes(tiny_static, corpus, tmp_path, unbroken):
    report = Retriever.load(tiny_static).encode_bank(
        open_corpus(corpus), tmp_path / "bank", shard_size=SHARD_SIZE, progress=False, workers=3
    )
    assert content(tmp_path / "bank") == unbroken
    assert report.encoded == len(TEXTS) and report.languages == Bank.open(tmp_path / "bank").language_counts


def test_killed_workers_are_replaced(tiny_static, tmp_path, unbroken):
    generator = random.Random(5)
    killed = []

    def texts_and_kills():
        for text in TEXTS:
            if generator.random() < 0.04 and (workers := children(os.getpid())):
                killed.append(generator.choice(workers))
                try:
                    os.kill(killed[-1], signal.SIGKILL)
                except ProcessLookupError:
                    killed.pop()
            yield text

    retriever = Retriever.load(tiny_static)
    retriever.encode_bank(texts_and_kills(), tmp_path / "bank", shard_size=SHARD_SIZE, progress=False, workers=2)
    assert killed
    assert content(tmp_path / "bank") == unbroken


@pytest.mark.parametrize("shards_before_death", [0, 2, 11])
def test_killed_driver_is_gone_on_with(tiny_static, corpus, tmp_path, unbroken, shards_before_death):
    bank = tmp_path / "bank"
    command = [sys.executable, "-m", "isogloss", "encode", str(corpus), "--out", str(bank), "--model", str(tiny_static)]
    command += ["--workers", "2", "--set", f"shard_size={SHARD_SIZE}", "--json"]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(list(bank.glob("shards/*.vectors.npy"))) <= shards_before_death and driver.poll() is None:
        time.sleep(0.002)
    driver.send_signal(signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL
    (bank / "shards").joinpath(".partial-00000000-00003.vectors.npy").write_bytes(b"half of a sh")
    bank.joinpath(".partial-00000000-bank.json").write_bytes(b"half of a mani")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert content(bank) == unbroken


@pytest.fixture(scope="module")
def ray():
    """A Ray instance of two cores on this machine."""
    found = pytest.importorskip("ray", reason="Ray is an extra")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    places = os.pathsep.join(sys.path)  # what the tests import is what the tasks import
    found.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": places}},
    )
    yield found
    found.shutdown()


@pytest.mark.slow
def test_tasks_of_ray_write_the_same_bytes_whoever_is_killed(ray, tiny_static, tmp_path, unbroken):
    killed = []

    def texts_and_a_kill():
        for number, text in enumerate(TEXTS):
            if number in (60, 150):
                found = [int(place.name) for place in Path("/proc").glob("[0-9]*") if task_of(place, os.getpid())]
                for pid in found:
                    os.kill(pid, signal.SIGKILL)
                killed.extend(found)
            yield text

    retriever = Retriever.load(tiny_static)
    retriever.encode_bank(texts_and_a_kill(), tmp_path / "bank", shard_size=SHARD_SIZE, progress=False, ray="local")
    assert killed
    assert content(tmp_path / "bank") == unbroken
    with pytest.raises(IsoglossError, match="changed while"):
        maker = bank_ray.RayTasks(ModelSource(str(tiny_static)), "local", "another digest", "warn")
        encode_bank(TEXTS, maker, tmp_path / "other", fingerprint={"weights": "x"}, progress=False)


def test_ray_that_is_not_there_is_told_of(tiny_static, tmp_path, monkeypatch):
    retriever = Retriever.load(tiny_static)
    with pytest.raises(UsageError, match="exclude each other"):
        retriever.encode_bank(TEXTS, tmp_path / "bank", workers=2, ray="local")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"isogloss\[ray\]"):
        retriever.encode_bank(TEXTS, tmp_path / "bank", ray="local")
    assert not (tmp_path / "bank").exists()


def task_of(process: Path, ancestor: int) -> bool:
    """Whether a process makes tasks of the Ray instance that `ancestor` started."""
    try:
        if not process.joinpath("cmdline").read_bytes().startswith((b"ray::answered", b"ray::IDLE")):
            return False
        while process.name not in ("0", "1", str(ancestor)):
            process = process.parent / process.joinpath("stat").read_text().rpartition(")")[2].split()[1]
    except OSError:  # it has ended
        return False
    return process.name == str(ancestor)


def test_faults_of_a_worker_are_raised_here(tiny_static, tmp_path):
    folder = shutil.copytree(tiny_static, tmp_path / "model")
    place = next(folder.rglob("tokenizer.json"))
    tokenizer = Tokenizer.from_file(str(place))
    tokenizer.enable_truncation(32)
    tokenizer.save(str(place))
    retriever = Retriever.load(folder, on_overflow="error")
    texts = [Text("long", "night " * 100), Text("short", "night")]
    with pytest.raises(DataError, match="longer than the 32 tokens") as caught:
        retriever.encode_bank(texts, tmp_path / "bank", progress=False, workers=2)
    assert [fault.where for fault in caught.value.faults] == ["id long"]
    assert not list(tmp_path.rglob("*.npy"))


def test_a_worker_that_always_dies_is_told_of(tiny_static, tmp_path, monkeypatch):
    monkeypatch.setattr(bank_workers.sys, "executable", "/bin/false")
    with pytest.raises(IsoglossError, match=r"died 4 times over shard 00000 \(exit code 1\)"):
        Retriever.load(tiny_static).encode_bank(TEXTS, tmp_path / "bank", progress=False, workers=2)


def test_a_model_that_changed_is_refused(tiny_static, tmp_path):
    maker = WorkerProcesses(ModelSource(str(tiny_static)), 2, "another digest", "warn")
    with pytest.raises(IsoglossError, match="changed while"):
        encode_bank(TEXTS, maker, tmp_path / "bank", fingerprint={"weights": "x"}, progress=False)


def test_a_model_in_memory_and_no_workers_are_refused(tiny_static, tmp_path):
    retriever = Retriever.load(tiny_static)
    for model, workers, said in ((retriever.untie(), 2, "Save it"), (retriever, 0, "1 and more")):
        with pytest.raises(UsageError, match=said):
            model.encode_bank(TEXTS, tmp_path / "bank", progress=False, workers=workers)
    assert not (tmp_path / "bank").exists()


def test_which_corpora_are_streams(corpus, tmp_path):
    expected = [text.id for text in TEXTS]
    assert [text.id for text in open_corpus(f"{corpus}/part-*.jsonl")] == expected
    assert isinstance(open_corpus(corpus / "part-0.jsonl"), list)
    for nothing in (tmp_path, f"{tmp_path}/*.jsonl"):
        with pytest.raises(FileError, match="has no corpus"):
            open_corpus(nothing)
    (tmp_path / "a.jsonl").write_text('{"_id": "1", "text": "one"}\n{"_id": "2"}\n{"_id": "3", "text": "three"}\n')
    stream = iter(open_corpus(tmp_path))
    assert [next(stream).id, next(stream).id] == ["1", "3"]
    with pytest.raises(DataError, match="'text' is missing"):
        next(stream)
