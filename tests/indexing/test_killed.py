"""What was acknowledged outlives a killed process.

1. A writer killed with SIGKILL at any moment loses no write that had returned; the index opens and is whole.
2. A build killed at any moment goes on when it is run again: every passage is there once and has its code, and no
   unfinished part is left.
3. A build with other settings does not go on with it. An addition or a deletion that was stopped in a folder goes on by
   the same command, is told by every opening until then, and stands in the way of other changes, unless it is taken as
   it is. A bank that cannot be indexed leaves nothing behind.
4. Nothing else that a killed writer was making stays, and nothing of another index is touched.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from isogloss import Bank, Text
from isogloss.engines.bank import encode_bank
from isogloss.engines.protocol import Encoded
from isogloss.errors import DataError, FileError, UsageError
from isogloss.indexing.building import build_index, change_index, delete_passages, take_as_is
from isogloss.indexing.embedded import EmbeddedIndex
from isogloss.indexing.manifest import IndexOptions
from isogloss.indexing.opening import open_index
from tests.indexing.conformance import ABOUT, DIMENSION, PARTS, vectors_of

WRITER = """
import sys
import numpy as np
from isogloss import Text
from isogloss.indexing.embedded import EmbeddedIndex
from isogloss.indexing.manifest import IndexOptions
from tests.indexing.conformance import vectors_of

index, start = EmbeddedIndex.open(sys.argv[1], IndexOptions(exact_below=100)), int(sys.argv[2])
for first in range(start, start + 4000, 5):
    names = [str(number) for number in range(first, first + 5)]
    index.update([Text(name, "text " + name, language="en") for name in names], vectors_of(5, seed=first))
    if first % 40 == 0:
        index.delete(names[:1])
    print(first, flush=True)
    if first % 100 == 0:
        index.optimize()
"""
BUILDER = """
import sys
from isogloss import Bank
from isogloss.indexing.building import build_index
from isogloss.indexing.manifest import IndexOptions

bank = Bank.open(sys.argv[1])
print("started", flush=True)
build_index(bank, sys.argv[2], options=IndexOptions(exact_below=200, part=2048), progress=False)
"""
KILLS = int(os.environ.get("ISOGLOSS_KILLS", "3"))
ROOT = Path(__file__).resolve().parents[2]


def run_and_kill(script: str, arguments: list[str], seconds: float) -> list[str]:
    """What a process printed in whole lines before it was killed, so many seconds after its first line."""
    command = [sys.executable, "-c", script, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read()
    process.wait()
    return [line for line in (first + rest).split("\n")[:-1] if line]


def test_no_acknowledged_write_is_lost(tmp_path: Path) -> None:
    chance = random.Random(13)
    EmbeddedIndex.create(tmp_path / "index", ABOUT).close()
    there: set[str] = set()
    for kill in range(KILLS):
        start = kill * 4000
        lines = run_and_kill(WRITER, [str(tmp_path / "index"), str(start)], chance.uniform(0, 0.6))
        assert lines
        for first in map(int, lines):
            there |= {str(number) for number in range(first, first + 5)} - ({str(first)} if first % 40 == 0 else set())
        index = EmbeddedIndex.open(tmp_path / "index")
        found = {passage.id for passage in index.all_passages()}
        assert there <= found
        # Of the write that was going on when the process was killed, anything may be there.
        assert {int(name) for name in found - there} <= {int(lines[-1]) + number for number in range(5, 10)}
        assert index.count() == len(found)
        name = max(there, key=int)
        vector = vectors_of(5, seed=int(name) // 5 * 5)[int(name) % 5]
        assert next(iter(index.search(vector[None], k=1)[0])) == name
        there = found
        index.close()


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    beside = [tmp_path / ".partial-01234567-index", tmp_path / ".partial-01234567-other-index"]
    for folder in beside:
        folder.joinpath("qdrant").mkdir(parents=True)
    EmbeddedIndex.create(tmp_path / "index", ABOUT).close()
    assert [folder.exists() for folder in beside] == [False, True]
    inside = tmp_path / "index" / ".partial-01234567-lexical"
    inside.mkdir()
    (tmp_path / "index" / ".partial-01234567-index.json").write_text("{")
    EmbeddedIndex.open(tmp_path / "index").close()
    assert sorted(entry.name for entry in (tmp_path / "index").iterdir()) == ["index.json", "qdrant"]


def test_killed_build_goes_on(tmp_path: Path) -> None:
    chance = random.Random(17)
    count = 7000
    texts = [Text(f"p{row}", f"text {row}", language="en") for row in range(count)]
    matrix = vectors_of(count)
    rows = {text.text: row for row, text in enumerate(texts)}

    def encode(batch: list[Text]) -> Encoded:
        vectors = matrix[[rows[text.text] for text in batch]]
        return Encoded(vectors, np.ones(len(batch), dtype=np.int64), np.zeros(len(batch), dtype=np.bool_))

    encode_bank(texts, encode, tmp_path / "bank", fingerprint=PARTS, progress=False)
    place = [str(tmp_path / "bank"), str(tmp_path / "index")]
    for _ in range(KILLS):
        run_and_kill(BUILDER, place, chance.uniform(0, 1.0))
    subprocess.run([sys.executable, "-c", BUILDER, *place], check=False, capture_output=True, cwd=ROOT)
    index = EmbeddedIndex.open(tmp_path / "index")
    assert not index.about.building
    information = index._shard.info()
    assert (information.points_count, information.indexed_vectors_count) == (count, count)
    assert information.segments_count >= count // 2048
    assert not list((tmp_path / "index" / "qdrant" / "temp_segments").glob("*"))
    assert sorted(passage.id for passage in index.all_passages()) == sorted(text.id for text in texts)
    stored = Bank.open(tmp_path / "bank").get(["p4321"])
    assert next(iter(index.search(stored, k=1)[0])) == "p4321"
    assert stored.shape == (1, DIMENSION)
    index.close()


@pytest.fixture
def banks(tmp_path: Path) -> Path:
    """A folder with two banks, `bank` of passages p0 … and `more` of passages q0 …, 5,000 each."""
    for name, letter in (("bank", "p"), ("more", "q")):
        make_bank(tmp_path / name, [f"{letter}{row}" for row in range(5000)])
    return tmp_path


def make_bank(path: Path, names: list[str], *, wrong: bool = False) -> None:
    def encode(batch: list[Text]) -> Encoded:
        vectors = vectors_of(len(batch))
        return Encoded(vectors, np.ones(len(batch), dtype=np.int64), np.zeros(len(batch), dtype=np.bool_))

    encode_bank(
        [Text(name, f"text {name}", language="en") for name in names], encode, path, fingerprint=PARTS, progress=False
    )
    if wrong:
        vectors = path / "shards" / "00000.vectors.npy"
        matrix = np.load(vectors)
        matrix[7] = np.nan
        np.save(vectors, matrix)


def stop_after(monkeypatch: pytest.MonkeyPatch, method: str, calls: int) -> None:
    """Has an engine's method be the last that a process does, as if it were stopped after so many calls."""
    done = 0
    real = getattr(EmbeddedIndex, method)

    def stopping(*arguments: Any) -> Any:
        nonlocal done
        if done == calls:
            raise KeyboardInterrupt
        done += 1
        return real(*arguments)

    monkeypatch.setattr(EmbeddedIndex, method, stopping)


def test_an_unfinished_build_of_other_settings_is_refused(banks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = banks / "index"
    bank = Bank.open(banks / "bank")
    stop_after(monkeypatch, "update", 1)
    with pytest.raises(KeyboardInterrupt):
        build_index(bank, index, precision="float32", progress=False)
    monkeypatch.undo()
    before = (index / "index.json").read_bytes()
    with pytest.raises(UsageError, match=r"precision  int8, and the unfinished index has float32"):
        build_index(bank, index, precision="int8", progress=False)
    with pytest.raises(UsageError, match=r"word_parts  false, and the unfinished index has true"):
        build_index(bank, index, precision="float32", word_parts=False, progress=False)
    with pytest.raises(UsageError, match=r"graph_degree  8, and the unfinished index has 0"):
        build_index(bank, index, precision="float32", options=IndexOptions(graph_degree=8), progress=False)
    assert (index / "index.json").read_bytes() == before
    with pytest.raises(DataError, match="is unfinished"):
        change_index(Bank.open(banks / "more"), index, "add", progress=False)
    assert build_index(bank, index, precision="float32", progress=False).passages == 5000


@pytest.mark.parametrize("how", ["add", "update"])
def test_a_stopped_addition_goes_on(
    how: Literal["add", "update"], banks: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    index = banks / "index"
    more = Bank.open(banks / "more")
    build_index(Bank.open(banks / "bank"), index, progress=False)
    stop_after(monkeypatch, "update", 1)
    with pytest.raises(KeyboardInterrupt):
        change_index(more, index, how, progress=False)
    monkeypatch.undo()
    open_index(index, model=None).close()
    assert f"--{how} of {more.path} was stopped before its end" in caplog.text
    caplog.clear()
    make_bank(banks / "third", ["r0"])
    third = Bank.open(banks / "third")
    with pytest.raises(DataError, match=rf"--{how} of .*more was stopped.*\n.*--as-is"):
        change_index(third, index, "add", progress=False)
    with pytest.raises(DataError, match=r"was stopped before its end"):
        delete_passages(index, ["p0"])
    report = change_index(more, index, how, progress=False)
    assert (report.written, report.passages) == (5000 - 2048 if how == "add" else 5000, 10_000)
    assert "changing" not in (index / "index.json").read_text()
    open_index(index, model=None).close()
    assert caplog.text == ""
    with pytest.raises(DataError, match="is in the index already"):
        change_index(more, index, "add", progress=False)


def test_a_stopped_deletion_goes_on_or_is_left_as_it_is(banks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = banks / "index"
    build_index(Bank.open(banks / "bank"), index, progress=False)
    ids = [f"p{row}" for row in range(1000)]
    for _ in range(2):
        stop_after(monkeypatch, "optimize", 0)
        with pytest.raises(KeyboardInterrupt):
            delete_passages(index, ids)
        monkeypatch.undo()
    assert delete_passages(index, ids).passages == 4000
    with pytest.raises(DataError, match="p0  is not in the index"):
        delete_passages(index, ids)
    stop_after(monkeypatch, "optimize", 0)
    with pytest.raises(KeyboardInterrupt):
        delete_passages(index, ["p4000"])
    monkeypatch.undo()
    assert take_as_is(index).passages == 3999
    assert delete_passages(index, ["p4001"]).passages == 3998


@pytest.mark.parametrize("reason", ["Permission denied (os error 13)", "Read-only file system (os error 30)"])
def test_a_folder_that_cannot_be_written_is_told(reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import qdrant_edge

    EmbeddedIndex.create(tmp_path / "index", ABOUT).close()

    class Refusing:
        @staticmethod
        def load(path: str) -> None:
            raise Exception(f"Failed to open mmap payload storage: {reason}")

    # Root may write everywhere, so that the engine's own refusal cannot be had in every test.
    monkeypatch.setattr(qdrant_edge, "EdgeShard", Refusing)
    with pytest.raises(FileError, match=r"cannot be opened for writing(.|\n)*also where it is only searched"):
        open_index(tmp_path / "index", model=None)


def test_vectors_that_are_not_finite_leave_nothing_behind(banks: Path) -> None:
    make_bank(banks / "wrong", [f"w{row}" for row in range(9)], wrong=True)
    wrong = Bank.open(banks / "wrong")
    with pytest.raises(DataError, match=r"id w7  its vector has a value.*\nNothing was written"):
        build_index(wrong, banks / "index", progress=False)
    assert not (banks / "index").exists()
    build_index(Bank.open(banks / "bank"), banks / "index", progress=False)
    with pytest.raises(DataError, match=r"id w7"):
        change_index(wrong, banks / "index", "add", progress=False)
    assert "changing" not in (banks / "index" / "index.json").read_text()
