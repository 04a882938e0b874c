"""Makes the shards of a bank in several processes, with the bytes that one process would write."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isogloss import errors
from isogloss.engines.bank_manifest import LanguageCount, Shard
from isogloss.engines.bank_shards import Advance, InProcess, MadeShard, ShardJob, ShardMaker
from isogloss.engines.batching import usable_cores
from isogloss.engines.protocol import Compute
from isogloss.errors import Fault, IsoglossError, UsageError

if TYPE_CHECKING:
    from isogloss.models.retriever import Retriever

ATTEMPTS = 4
SHARDS_AHEAD = 1  # per worker, so that none waits for the reading of texts


@dataclass(frozen=True)
class ModelSource:
    """How a model is loaded once more, in another process.

    Attributes:
        name: Path of the folder, hub name, or `bundled`.
        engine: Name of the engine.
        trust_remote_code: Whether code that comes with the model may run.
        prompts: Prompts by role instead of those of the folder.
        dimension: Leading dimensions that are kept; None is what the folder says.
        precision: What torch computes in; None is what the engine does by itself.
        device: Where torch computes; None is a GPU where there is one.
    """

    name: str
    engine: str = "auto"
    trust_remote_code: bool = False
    prompts: Mapping[str, str] | None = None
    dimension: int | None = None
    precision: Compute | None = None
    device: str | None = None


class WorkerProcesses:
    """Makes shards in processes that each load the model; a process that dies is replaced and its shard made again.

    Args:
        source: How the processes load the model.
        workers: How many processes there are.
        fingerprint: Digest of the passage tower that they have to find.
        on_overflow: What happens to passages that are too long.
    """

    def __init__(self, source: ModelSource, workers: int, fingerprint: str, on_overflow: str) -> None:
        self.workers = workers
        self._model = model_of_workers(source, fingerprint, on_overflow)

    def make(self, jobs: Iterator[ShardJob], bank: Path, dtype: str, advance: Advance) -> Iterator[MadeShard]:
        """Makes the shards of `jobs` side by side and gives them in order.

        Raises:
            IsoglossError: What a worker raised, or that workers die again and again over one shard.
        """
        idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        crew = [_Worker(max(1, usable_cores() // self.workers)) for _ in range(self.workers)]
        for worker in crew:
            idle.put(worker)
        common = {"model": self._model, "bank": str(bank.absolute()), "dtype": dtype}
        pending: deque[tuple[Future[MadeShard], int]] = deque()
        with ThreadPoolExecutor(self.workers) as threads:
            try:
                for job in jobs:
                    pending.append((threads.submit(_make_by, idle, job, common), len(job.texts)))
                    if len(pending) >= self.workers * (1 + SHARDS_AHEAD):
                        yield _taken(pending, advance)
                while pending:
                    yield _taken(pending, advance)
            finally:
                for future, _ in pending:
                    future.cancel()
                for worker in crew:
                    worker.stop()


def shard_maker(retriever: Retriever, workers: int, ray: str = "") -> ShardMaker:
    """What makes the shards of a bank: this process, several others, or a cluster.

    Args:
        retriever: Encodes.
        workers: Processes on this machine.
        ray: Address of a Ray cluster whose tasks encode; empty without one.

    Raises:
        UsageError: If others are to encode and the model exists in this process only, or nobody or both are to.
        MissingExtraError: If Ray is not installed.
    """
    if workers < 1:
        raise UsageError(f"workers: {workers} (allowed: 1 and more)")
    if ray and workers > 1:
        raise UsageError("workers and ray exclude each other", next_step="Ray has as many tasks as its cluster cores.")
    if workers == 1 and not ray:
        return InProcess(lambda texts, advance: retriever.encode_with_counts(texts, role="passage", report=advance))
    if retriever.source is None:
        raise UsageError(
            "The model was made in this process, and other processes cannot load it",
            next_step="Save it, load the folder, and encode with that; or use one worker and no Ray.",
        )
    made_by = (retriever.passage.fingerprint.digest, retriever.on_overflow)
    if ray:
        from isogloss.models.bank_ray import RayTasks

        return RayTasks(retriever.source, ray, *made_by)
    return WorkerProcesses(retriever.source, workers, *made_by)


def model_of_workers(source: ModelSource, fingerprint: str, on_overflow: str) -> dict[str, Any]:
    """What a worker is told of the model, as plain JSON values."""
    # The counts of the bank say what was cut; a warning from every process for every call would bury them.
    overflow = "error" if on_overflow == "error" else "ignore"
    return {**asdict(source), "fingerprint": fingerprint, "on_overflow": overflow}


def _taken(pending: deque[tuple[Future[MadeShard], int]], advance: Advance) -> MadeShard:
    future, texts = pending.popleft()
    made = future.result()
    advance(texts, sum(count.tokens for count in made.shard.languages.values()))
    return made


def _make_by(idle: queue.SimpleQueue[_Worker], job: ShardJob, common: Mapping[str, Any]) -> MadeShard:
    """Has the next idle worker make a shard, again where it dies over it."""
    line = json.dumps({**common, **shard_task(job)}, ensure_ascii=False).encode() + b"\n"
    worker = idle.get()
    try:
        for _ in range(ATTEMPTS):
            answer = None if worker.stopped else worker.ask(line)
            if answer is not None:
                return made_shard(answer)
    finally:
        idle.put(worker)
    raise IsoglossError(
        f"Workers died {ATTEMPTS} times over shard {job.number:05d} ({worker.fate()})",
        next_step="If the system ended them for memory, use fewer workers or a smaller shard_size.",
    )


def shard_task(job: ShardJob) -> dict[str, Any]:
    """A shard to make, as plain JSON values."""
    return {"number": job.number, "texts": [asdict(text) for text in job.texts]}


def made_shard(answer: Mapping[str, Any]) -> MadeShard:
    """What a worker answered.

    Raises:
        IsoglossError: What it raised.
    """
    if "error" in answer:
        kind = getattr(errors, answer["error"], IsoglossError)
        faults = [Fault(**fault) for fault in answer["faults"]]
        raise kind(answer["message"], faults=faults, next_step=answer["next_step"])
    fields = answer["shard"]
    languages = {name: LanguageCount(**count) for name, count in fields["languages"].items()}
    return MadeShard(Shard(**{**fields, "languages": languages}), answer["dimension"])


class _Worker:
    """One process, started when it is first needed and again when it has died."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.stopped = False
        self.process: subprocess.Popen[bytes] | None = None

    def ask(self, line: bytes) -> Mapping[str, Any] | None:
        """The answer of the process, or None where it died."""
        process = self._running()
        if process.stdin is None or process.stdout is None:
            return None
        try:
            process.stdin.write(line)
            process.stdin.flush()
            answer = process.stdout.readline()
        except (BrokenPipeError, ValueError):
            answer = b""
        if answer.endswith(b"\n"):
            found: Mapping[str, Any] = json.loads(answer)
            return found
        process.kill()
        process.wait()
        return None

    def fate(self) -> str:
        """How the last process ended."""
        code = self.process.returncode if self.process is not None else None
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"

    def stop(self) -> None:
        """Ends the process, whatever it is doing: a shard that is not named in the manifest does not count."""
        self.stopped = True
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None or self.process.poll() is not None:
            limits = {"OMP_NUM_THREADS": str(self.threads), "TOKENIZERS_PARALLELISM": "false"}
            self.process = subprocess.Popen(
                [sys.executable, "-m", "isogloss.models.bank_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **limits},
            )
        return self.process
