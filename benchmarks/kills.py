"""Kills encode, index and changes with SIGKILL at random points, and looks for every document that was acknowledged.

    python -m benchmarks.real_corpus --data DATA --out FOLDER --texts 100000
    python -m benchmarks.kills --corpus FOLDER --work FOLDER [--kills 10] [--seed 1]

Each of the three is killed so many times after a random amount of its own CPU time, started again each time, and ended
at last; what ended before its kill is removed and begun anew. A bank acknowledges the shards that its manifest names; a
build acknowledges when it returns; a change acknowledges when `update` or `delete` returns. The process is killed, not
the machine. Needs Linux. What was found is written to `benchmarks/results/durability/kills.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS
from isogloss import Bank
from isogloss.files import read_json, write_json
from isogloss.indexing.embedded import EmbeddedIndex
from isogloss.indexing.opening import open_index

ISOGLOSS = [sys.executable, "-m", "isogloss"]
CHANGES = """
import sys
from isogloss import Text
from isogloss.indexing.opening import open_index

first = int(sys.argv[2])
with open_index(sys.argv[1]) as index:
    for number in range(first, first + 1_000_000):
        kept, gone = f"new-{number}", f"gone-{number}"
        index.update([Text(kept, f"Text number {number} that was added", language="en"), Text(gone, "soon gone")])
        index.delete([gone])
        print(number, flush=True)
"""


def main() -> None:
    """Runs the three and says what was found; exit code 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for the bank and the index; must not exist")
    parser.add_argument("--kills", type=int, default=10, help="kills of each of the three")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "durability" / "kills.json")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True)
    chance = random.Random(asked.seed)  # noqa: S311  # when to kill is no secret
    bank, index = asked.work / "bank", asked.work / "index"
    found: dict[str, dict[str, Any]] = {}
    for name, part in (
        ("encode", lambda: killed_encode(asked.corpus, bank, asked.kills, chance)),
        ("index", lambda: killed_build(bank, index, asked.kills, chance)),
        ("changes", lambda: killed_changes(index, asked.kills, chance)),
    ):
        began = time.perf_counter()
        found[name] = part() | {"seconds": round(time.perf_counter() - began)}
        print(json.dumps({name: found[name]}), flush=True)
    languages = sorted({language for language in Bank.open(bank).languages if language})
    command = f"python -m benchmarks.kills --corpus FOLDER --work FOLDER --kills {asked.kills} --seed {asked.seed}"
    write_json(asked.out, {"command": command, "languages": len(languages), **found})
    sys.exit(any(part["lost"] or part["left_behind"] for part in found.values()))


def killed_encode(corpus: str, bank: Path, kills: int, chance: random.Random) -> dict[str, Any]:
    """Encodes; the shards that a manifest named have to be in the last one."""
    command = [*ISOGLOSS, "encode", corpus, "--out", str(bank), "--json"]
    acknowledged: set[tuple[str, str, str]] = set()
    hit = 0
    while hit < kills:
        if run_and_kill(command, chance.uniform(1, 6)) is not None:
            hit += 1
            acknowledged |= _shards(bank)
        else:
            shutil.rmtree(bank)
            acknowledged = set()
    ended(command)
    opened = Bank.open(bank)
    opened.verify()
    rows = {shard["name"]: shard["rows"] for shard in read_json(bank / "bank.json")["shards"]}
    return {
        "kills": hit,
        "documents": len(opened),
        "acknowledged before the last start": sum(rows.get(name, 0) for name, *_ in acknowledged),
        "lost": len(acknowledged - _shards(bank)),
        "left_behind": leftovers(bank),
    }


def killed_build(bank: Path, index: Path, kills: int, chance: random.Random) -> dict[str, Any]:
    """Builds; each passage of the bank has to be there once, and the lexical index with them."""
    command = [*ISOGLOSS, "index", str(bank), "--out", str(index), "--json"]
    hit = 0
    while hit < kills:
        if run_and_kill(command, chance.uniform(1, 4)) is not None:
            hit += 1
        else:
            shutil.rmtree(index)
    if not index.is_dir() or EmbeddedIndex.open(index).about.building:
        ended(command)
    wanted = set(Bank.open(bank).ids)
    with open_index(index, model=None) as opened:
        there = [passage.id for passage in opened.index.all_passages()]
        words = len(opened.prepare_lexical())
    return {
        "kills": hit,
        "documents": len(there),
        "lost": len(wanted - set(there)) + abs(len(there) - len(wanted)) + abs(words - len(wanted)),
        "left_behind": leftovers(index.parent),
    }


def killed_changes(index: Path, kills: int, chance: random.Random) -> dict[str, Any]:
    """Adds and deletes; what was acknowledged has to hold after each kill."""
    hit = acknowledged = lost = 0
    for kill in range(kills):
        first = kill * 1_000_000
        lines = run_and_kill([sys.executable, "-c", CHANGES, str(index), str(first)], chance.uniform(1.5, 4)) or []
        hit += 1
        numbers = [int(line) for line in lines]
        acknowledged += len(numbers)
        opened = EmbeddedIndex.open(index)
        there = opened.known([f"new-{number}" for number in numbers])
        gone = opened.known([f"gone-{number}" for number in numbers])
        lost += len(numbers) - len(there) + len(gone)
        opened.close()
    return {
        "kills": hit,
        "acknowledged": acknowledged,
        "lost": lost,
        "left_behind": leftovers(index.parent),
    }


def run_and_kill(command: list[str], seconds: float) -> list[str] | None:
    """The whole lines that a process printed before it was killed, so many CPU seconds on; None where it had ended."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # noqa: S603
    while process.poll() is None and _cpu_seconds(process.pid) < seconds:
        time.sleep(0.005)
    ran = process.poll() is None
    process.send_signal(signal.SIGKILL)
    printed, _ = process.communicate()
    return printed.split("\n")[:-1] if ran else None


def ended(command: list[str]) -> None:
    """Runs a command to its end."""
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)  # noqa: S603


def leftovers(folder: Path) -> list[str]:
    """What killed writers left behind."""
    found = [path for name in (".partial-*", ".former-*") for path in folder.rglob(name)]
    return sorted(str(path) for path in found)


def _shards(bank: Path) -> set[tuple[str, str, str]]:
    if not (bank / "bank.json").is_file():
        return set()
    shards = read_json(bank / "bank.json")["shards"]
    return {(shard["name"], shard["vectors_sha256"], shard["texts_sha256"]) for shard in shards}


def _cpu_seconds(process: int) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has just ended
        return float("inf")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
