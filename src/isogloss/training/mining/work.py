"""The folder beside the output that an unfinished mining keeps: its plan, its bank, and the parts that are done."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from isogloss.errors import FileError
from isogloss.files import check_folder, read_json, write_json
from isogloss.training.mining.report import Tallies, Tally


class WorkFolder:
    """What is done of one mining.

    Args:
        out: The file that is being made.
        plan: Everything that decides its content.
    """

    def __init__(self, out: Path, plan: Mapping[str, Any]) -> None:
        self.path = self.beside(out)
        self._plan = json.loads(json.dumps(plan))

    @staticmethod
    def beside(out: Path) -> Path:
        """Where the folder of an output is."""
        return out.with_name(f"{out.name}.mining")

    def check(self) -> None:
        """Raises a FileError if what is there belongs to another mining; writes nothing."""
        plan = self.path / "plan.json"
        if plan.exists() and read_json(plan) != self._plan:
            theirs = read_json(plan)
            differing = [name for name in self._plan if theirs.get(name) != self._plan[name]]
            raise FileError(
                f"{self.path} holds an unfinished mining with another {', '.join(differing) or 'plan'}",
                next_step=f"Finish it with its own command, choose another --out, or remove it: rm -r '{self.path}'",
            )

    def begin(self) -> None:
        """Writes the plan; parts of the same plan stay."""
        self.check()
        write_json(self.path / "plan.json", self._plan)

    def has(self, number: int) -> bool:
        """Whether a part is done."""
        return self._part(number).is_file()

    def write(self, number: int, records: list[dict[str, Any]], tallies: Tallies) -> None:
        """Keeps a part."""
        counts = {
            kind: {name: tally.to_json() for name, tally in languages.items()} for kind, languages in tallies.items()
        }
        write_json(self._part(number), {"records": records, "tallies": counts})

    def tallies(self, number: int) -> Tallies:
        """The counts of a part."""
        return {
            kind: {name: Tally.from_json(tally) for name, tally in languages.items()}
            for kind, languages in read_json(self._part(number))["tallies"].items()
        }

    def records(self, parts: int) -> Iterator[dict[str, Any]]:
        """The records of all parts, one part in memory at a time."""
        for number in range(parts):
            yield from read_json(self._part(number))["records"]

    def remove(self) -> None:
        """Removes the folder."""
        shutil.rmtree(check_folder(self.path))

    def _part(self, number: int) -> Path:
        return self.path / "parts" / f"{number:05d}.json"


def digest_of(lines: Iterator[str]) -> str:
    """SHA-256 of some lines."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
        digest.update(b"\n")
    return digest.hexdigest()
