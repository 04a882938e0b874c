"""Makes the shards of a bank as tasks of Ray, on the machines of a cluster, with the bytes of one process.

All machines see the folder of the bank and the model under the same paths. Ray runs a task again whose process or
machine died; a shard's name and bytes do not depend on who makes it, so it does not matter how often.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isogloss.engines.bank_shards import Advance, MadeShard, ShardJob
from isogloss.errors import IsoglossError, MissingExtraError
from isogloss.models.bank_worker import answered
from isogloss.models.bank_workers import ATTEMPTS, ModelSource, made_shard, model_of_workers, shard_task

LOCAL = "local"
SHARDS_AHEAD = 2  # per core, so that none waits for the reading of texts


class RayTasks:
    """Makes shards as Ray tasks; `WorkerProcesses` is the same for one machine, without Ray.

    Args:
        source: How a task loads the model.
        address: `local` for this machine, `auto` for the cluster that this machine belongs to, or `host:port`.
        fingerprint: Digest of the passage tower that a task has to find.
        on_overflow: What happens to passages that are too long.

    Raises:
        MissingExtraError: Ray is not installed.
    """

    def __init__(self, source: ModelSource, address: str, fingerprint: str, on_overflow: str) -> None:
        self._ray = _ray()
        self._address = address
        self._model = model_of_workers(source, fingerprint, on_overflow)

    def make(self, jobs: Iterator[ShardJob], bank: Path, dtype: str, advance: Advance) -> Iterator[MadeShard]:
        """Makes the shards of `jobs` side by side and gives them in order.

        Raises:
            IsoglossError: What a task raised, that its process died again and again, or that there is no cluster.
        """
        own = not self._ray.is_initialized()
        if own:
            self._connect()
        common = {"model": self._model, "bank": str(bank.absolute()), "dtype": dtype}
        task = self._ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1)(answered)
        ahead = SHARDS_AHEAD * max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        pending: deque[tuple[Any, ShardJob]] = deque()
        try:
            for job in jobs:
                pending.append((task.remote({**common, **shard_task(job)}), job))
                if len(pending) >= ahead:
                    yield self._taken(pending, advance)
            while pending:
                yield self._taken(pending, advance)
        finally:
            for reference, _ in pending:
                self._ray.cancel(reference, force=True)
            if own:
                self._ray.shutdown()

    def _connect(self) -> None:
        try:
            self._ray.init(address=self._address, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as failed:
            raise IsoglossError(
                f"Ray at '{self._address}' does not answer: {str(failed).strip().splitlines()[0]}",
                next_step=f"Start it (ray start --head), give its host:port, or '{LOCAL}' for this machine alone.",
            ) from failed

    def _taken(self, pending: deque[tuple[Any, ShardJob]], advance: Advance) -> MadeShard:
        reference, job = pending.popleft()
        try:
            made = made_shard(self._ray.get(reference))
        except self._ray.exceptions.RayError as failed:
            raise IsoglossError(
                f"Ray could not make shard {job.number:05d}: {type(failed).__name__}",
                next_step="If the system ended its processes for memory, use a smaller shard_size or fewer cores.",
            ) from failed
        advance(len(job.texts))
        return made


def _ray() -> Any:
    # Ray reports its use to its makers unless it is told not to.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as missing:
        raise MissingExtraError("Encoding with Ray", "ray") from missing
    return ray
