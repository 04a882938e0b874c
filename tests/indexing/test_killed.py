"""What was acknowledged outlives a killed process.

1. A writer killed with SIGKILL at any moment loses no write that had returned; the index opens and is whole.
2. A build killed at any moment goes on when it is run again: every passage is there once and has its code, and no
   unfinished part is left.
3. Nothing else that a killed writer was making stays, and nothing of another index is touched.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from isogloss import Bank, Text
from isogloss.engines.bank import encode_bank
from isogloss.engines.protocol import Encoded
from isogloss.indexing.embedded import EmbeddedIndex
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
