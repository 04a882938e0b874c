"""`python -m experiments.resumes --data FOLDER`: every shipped recipe, killed and gone on with, on real data.

Each recipe is trained once unbroken and once in a run that is killed several times at random points, by the command
of a user both times. What is compared are the bytes of the weights and the lines of the logs.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from experiments.aligned_start import make_aligned_start
from experiments.clear import TRANSLATIONS
from experiments.design import Workspace, as_overrides
from experiments.page import RESUMES
from experiments.rows import made
from isogloss import Retriever
from isogloss.datasets import read_rows
from isogloss.files import read_json, write_json
from isogloss.records import GeneratedQuery, Row
from isogloss.training.mining import MiningSettings, MiningTask, mine
from isogloss.training.trainer import LOG

STEPS = 32
EVERY = 4
ROWS = 200
ENGLISH = "{data}/train/en-nq-qed.jsonl.gz"
KILLS = 3
TIMEOUT = 600.0
TRAIN = {"train.max_steps": STEPS, "train.save_steps": EVERY, "train.logging_steps": 1}
GENERATOR = {"rows.path": "{work}/clear.jsonl", "train.batch": 8, "train.eval_steps": 3, "model.max_source_tokens": 48}
SMALL = {"parallel": ["{data}/parallel/bitcoin-org.jsonl.gz"], "lexicons": ["{data}/parallel/lexicon-iso.jsonl.gz"]}


@dataclass(frozen=True)
class Trial:
    """How a shipped recipe is tried: its own objective and optimiser stay, only sizes and data are these.

    Attributes:
        fields: What is set; `{data}`, `{work}` and `{start}` are filled in.
        verb: The words of `isogloss` that train it.
    """

    fields: Mapping[str, Any]
    verb: tuple[str, ...] = ("train",)


def _of_rows(file: str, batch: int, **fields: Any) -> Trial:
    """A recipe with one source, of rows."""
    return Trial(
        {"model.base": "{start}", "sources.rows.path": f"{{work}}/{file}.jsonl", "sources.rows.batch": batch, **fields}
    )


# In this order: the second generator begins from the first.
TRIALS: Mapping[str, Trial] = {
    "bundled": Trial(
        {
            "keep_apart": ["{data}/retrieval/xquad/queries.jsonl.gz"],
            "model.new.parallel": SMALL["parallel"],
            "model.new.lexicons": SMALL["lexicons"],
            "model.new.rows": ["{work}/english.jsonl"],
            "model.new.teacher": None,
            "model.new.dimension": 64,
            "model.new.whole_words": 4000,
            "model.new.pieces": 6000,
            "model.new.file_weights": {},
            "sources.translations.path": SMALL["parallel"],
            "sources.translations.file_weights": {},
            "sources.translations.batch": 64,
            "sources.lexicons.path": SMALL["lexicons"],
            "sources.lexicons.batch": 64,
            "sources.questions.path": ["{work}/english.jsonl"],
            "sources.questions.batch": 32,
            "sources.code_switched.path": ["{work}/english.jsonl"],
            "sources.code_switched.lexicons": SMALL["lexicons"],
            "sources.code_switched.batch": 32,
            "train.warmup_steps": EVERY,
            "evaluate": [],
            "expect": {},
        }
    ),
    "infonce": _of_rows("clear", 16),
    "retrofit": _of_rows("clear", 16),
    "clear": _of_rows("clear", 16),
    "english-query-tuning": _of_rows("english", 32),
    "language-agnostic": Trial(
        {
            "model.base": "{start}",
            "sources.labels.path": "{work}/english.jsonl",
            "sources.labels.batch": 16,
            "sources.pairs.path": SMALL["parallel"],
            "sources.pairs.batch": 16,
            "sources.pairs.limit": ROWS,
            "sources.plain.path": "{data}/parallel/wikipedia-android.jsonl.gz",
            "sources.plain.batch": 16,
            "sources.plain.limit": ROWS,
        }
    ),
    "query-generator": Trial(
        {**GENERATOR, "model.base": "new", "model.new": {"pieces": 1000, "dimension": 32, "feed_forward": 64}},
        ("generator", "train"),
    ),
    "query-generator-ranking": Trial(
        {**GENERATOR, "model.base": "{work}/query-generator-whole/model", "rows.negatives": 3},
        ("generator", "train"),
    ),
    "query-generator-student": _of_rows(
        "taught", 16, **{"sources.rows.generated_ramp_steps": STEPS // 2, "train.warmup_steps": EVERY}
    ),
}


def prepare(workspace: Workspace) -> Path:
    """Makes the start model and the rows; gives the model's folder."""
    start = make_aligned_start(workspace)
    rows = workspace.work / "mined.jsonl"
    if not rows.exists():
        task = MiningTask(
            rows=(workspace.fill("{data}/train/xx-afriqa.jsonl.gz"),),
            out=rows,
            model=str(start),
            purpose="clear",
            translations=(workspace.fill(TRANSLATIONS),),
            settings=MiningSettings.for_clear(),
        )
        mine(task, progress=False)
    mined = read_rows(rows)
    some = mined[:: len(mined) // ROWS][:ROWS]
    made(workspace.work / "clear.jsonl", lambda: some)
    made(workspace.work / "taught.jsonl", lambda: _taught(some, start))
    made(workspace.work / "english.jsonl", lambda: read_rows(workspace.fill(ENGLISH))[:ROWS])
    return start


def _taught(rows: list[Row], start: Path) -> Iterator[Row]:
    """The rows with scores of their candidates and a query in another language: here a translation, no generator's."""
    model = Retriever.load(str(start), on_overflow="ignore")
    for row in rows:
        scores = model.encode_passage([row.passage, *row.negative_passages]) @ model.encode_query([row.query])[0]
        other = GeneratedQuery(row.translated_query or row.query, row.translated_query_language or "sw")
        plain = replace(row, translated_query=None, translated_query_language=None, negative_queries=())
        yield replace(plain, teacher_scores=tuple(map(float, scores)), generated_queries=(other,))


def resumed(recipe: str, workspace: Workspace, start: Path, kills: int, drawn: random.Random) -> dict[str, Any]:
    """One recipe unbroken and killed: where it was killed, and whether the two end alike."""
    whole, broken = (workspace.work / f"{recipe}-{kind}" for kind in ("whole", "killed"))
    for folder in (whole, broken):
        shutil.rmtree(folder, ignore_errors=True)
    overrides = [workspace.fill(text).replace("{start}", str(start)) for text in as_overrides(TRIALS[recipe].fields)]
    command = Command(recipe, TRIALS[recipe].verb, (*overrides, *as_overrides(TRAIN)))
    began = time.perf_counter()
    command.finish(whole)
    a_step = (time.perf_counter() - began) / STEPS
    killed, went_on_from = [], []
    for wanted in moments(kills, drawn):
        killed.append(command.killed(broken, wanted, drawn.uniform(0, min(a_step, 0.5))))
        went_on_from.append(newest_checkpoint(broken))
    command.finish(broken)
    weights = [weights_of(folder / "model") for folder in (whole, broken)]
    logs = [(folder / LOG).read_bytes() for folder in (whole, broken)]
    return {
        "killed_after": killed,
        "resumed_from": went_on_from,
        "files": len(weights[0]),
        "sha256": hashlib.sha256("".join(weights[0].values()).encode()).hexdigest()[:16],
        "weights_equal": bool(weights[0]) and weights[0] == weights[1],
        "logs_equal": bool(logs[0]) and logs[0] == logs[1],
    }


@dataclass(frozen=True)
class Command:
    """The command of a user that trains a recipe.

    Attributes:
        recipe: Its name.
        verb: Words after `isogloss`.
        overrides: What is set.
    """

    recipe: str
    verb: tuple[str, ...]
    overrides: tuple[str, ...]

    def started(self, out: Path) -> subprocess.Popen[bytes]:
        """The command as a process."""
        changes = [part for text in self.overrides for part in ("--set", text)]
        command = [sys.executable, "-m", "isogloss", *self.verb, self.recipe, "--out", str(out), "--json", *changes]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603

    def finish(self, out: Path) -> None:
        """Waits for a run that nobody kills; what it says of a failure is on standard error already."""
        process = self.started(out)
        if process.wait(TIMEOUT):
            raise subprocess.CalledProcessError(process.returncode, process.args)

    def killed(self, out: Path, wanted: int, delay: float) -> int | None:
        """Starts or goes on with a run, waits for a step and some seconds, and kills it.

        Returns:
            The last step that it had logged; None where it had ended.
        """
        began = time.time()
        process = self.started(out)
        while process.poll() is None and logged(out, since=began) < wanted:
            time.sleep(0.002)
        time.sleep(delay)
        process.kill()
        return logged(out) if process.wait() == -signal.SIGKILL else None


def moments(kills: int, drawn: random.Random) -> list[int]:
    """A random step in each of as many parts of a run, after the first checkpoint and before the last one."""
    bounds = [EVERY + (STEPS - 2 * EVERY) * number // kills for number in range(kills + 1)]
    return [drawn.randint(first + 1, last) for first, last in pairwise(bounds)]


def newest_checkpoint(out: Path) -> int:
    """Step of the newest checkpoint of a run, from which the next start goes on; 0 where there is none."""
    return max((int(path.name.rsplit("-", 1)[1]) for path in out.glob("checkpoint-*")), default=0)


def went_on(found: Mapping[str, Any]) -> bool:
    """Whether a run was killed each time, and some start went on from the middle of it."""
    return None not in found["killed_after"] and any(0 < step < STEPS for step in found["resumed_from"])


def logged(out: Path, since: float = 0.0) -> int:
    """Steps in the log of a run, 0 where nobody has written to it since a moment."""
    log = out / LOG
    if not log.is_file() or log.stat().st_mtime < since:
        return 0
    return log.read_bytes().count(b"\n")


def weights_of(model: Path) -> dict[str, str]:
    """SHA-256 of every file of weights."""
    files = sorted(model.rglob("*.safetensors"))
    return {str(file.relative_to(model)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs all recipes, prints a table and writes the results; 1 where one did not go on or ended otherwise."""
    parser = argparse.ArgumentParser(prog="python -m experiments.resumes", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train and parallel")
    parser.add_argument("--work", type=Path, default=Path("runs/experiments"), help="folder for models and rows")
    parser.add_argument("--seed", type=int, help="of the moments of the kills; another one every time by default")
    parser.add_argument("--kills", type=int, default=KILLS, help="of each run")
    parser.add_argument("--recipe", action="append", choices=list(TRIALS), help="only this one; may be repeated")
    given = parser.parse_args(arguments)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    workspace = Workspace(given.data.resolve(), given.work.resolve() / "resumes")
    workspace.work.mkdir(parents=True, exist_ok=True)
    start = prepare(workspace)
    drawn = random.Random(seed)  # noqa: S311 - moments, not secrets
    known = dict(read_json(RESUMES)["recipes"]) if given.recipe and RESUMES.is_file() else {}
    tried = given.recipe or list(TRIALS)
    for recipe in tried:
        known[recipe] = {"seed": seed, **resumed(recipe, workspace, start, given.kills, drawn)}
        print(f"{recipe}: {known[recipe]}", flush=True)
        found = {name: known[name] for name in TRIALS if name in known}
        write_json(RESUMES, {"steps": STEPS, "save_steps": EVERY, "recipes": found})
    alike = (known[name]["weights_equal"] and known[name]["logs_equal"] for name in tried)
    return 0 if all(alike) and all(went_on(known[name]) for name in tried) else 1


if __name__ == "__main__":
    sys.exit(main())
