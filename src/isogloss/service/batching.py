"""Work of many requests done together, in one thread, behind a queue that has an end.

Whoever finds the queue full is told when to come back, so that memory and waiting times stay bounded however many call.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from isogloss.errors import IsoglossError
from isogloss.service.failures import RefusalError

Item = TypeVar("Item")
Result = TypeVar("Result")

_RATE_MEMORY = 0.8


@dataclass(eq=False)
class _Waiting(Generic[Item, Result]):
    item: Item
    weight: int
    answer: asyncio.Future[Result]


class Batcher(Generic[Item, Result]):
    """Gathers items for a moment and works on them at once.

    Args:
        name: What it does, for refusals and metrics.
        work: Gives one result per item; runs in a thread of its own, one batch after the other.
        max_batch: Most weight of one batch; a heavier item is a batch of its own.
        max_waiting: Most weight that may wait.
        wait_seconds: How long the first item of a batch waits for others.
        on_batch: Is told the weight and the seconds of each finished batch.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        max_batch: int,
        max_waiting: int,
        wait_seconds: float = 0.0,
        on_batch: Callable[[int, float], None] = lambda weight, seconds: None,
    ) -> None:
        self.name = name
        self._work = work
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._wait_seconds = wait_seconds
        self._on_batch = on_batch
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._weight = 0
        self._seconds_per_weight = 0.0
        self._arrived = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"isogloss-{name}")

    @property
    def waiting(self) -> int:
        """Weight that waits."""
        return self._weight

    def start(self) -> None:
        """Begins to work; needs a running event loop."""
        self._runner = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Ends after the batch that is being worked on; whoever still waits is refused."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
        for waiting in self._queue:
            if not waiting.answer.done():
                waiting.answer.set_exception(
                    RefusalError(503, "The service is stopping.", code="stopping", retry_after=5)
                )
        self._queue.clear()
        self._weight = 0
        self._thread.shutdown(wait=True)

    async def submit(self, item: Item, weight: int = 1) -> Result:
        """The result of one item.

        Raises:
            RefusalError: 429 where the queue is full.
        """
        if self._weight and self._weight + weight > self._max_waiting:
            seconds = self._weight * self._seconds_per_weight
            message = f"Too many requests wait for {self.name}; try again later."
            raise RefusalError(429, message, code="queue_full", retry_after=max(1.0, seconds))
        waiting: _Waiting[Item, Result] = _Waiting(item, weight, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._weight += weight
        self._arrived.set()
        try:
            return await waiting.answer
        except asyncio.CancelledError:  # its caller gave up
            if waiting in self._queue:
                self._queue.remove(waiting)
                self._weight -= weight
            raise

    async def _run(self) -> None:
        while True:
            self._arrived.clear()
            if not self._queue:
                await self._arrived.wait()
            if self._wait_seconds and self._weight < self._max_batch:
                await asyncio.sleep(self._wait_seconds)
            batch = self._take()
            if batch:
                await self._finish(batch)

    def _take(self) -> list[_Waiting[Item, Result]]:
        batch: list[_Waiting[Item, Result]] = []
        weight = 0
        while self._queue and (not batch or weight + self._queue[0].weight <= self._max_batch):
            batch.append(self._queue.popleft())
            weight += batch[-1].weight
        self._weight -= weight
        return batch

    async def _finish(self, batch: list[_Waiting[Item, Result]]) -> None:
        started = time.perf_counter()
        answers = await self._answers([waiting.item for waiting in batch])
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.answer.done():
                continue
            if isinstance(answer, BaseException):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)
        seconds = time.perf_counter() - started
        weight = sum(waiting.weight for waiting in batch)
        self._seconds_per_weight = _RATE_MEMORY * self._seconds_per_weight + (1 - _RATE_MEMORY) * seconds / weight
        self._on_batch(weight, seconds)

    async def _answers(self, items: Sequence[Item]) -> Sequence[Result | BaseException]:
        """A result or an error per item; one caller's fault does not become its neighbours'."""
        in_thread = asyncio.get_running_loop().run_in_executor(self._thread, self._work, items)
        [results] = await asyncio.gather(in_thread, return_exceptions=True)
        if not isinstance(results, BaseException):
            return results
        if len(items) > 1 and isinstance(results, (IsoglossError, RefusalError)):
            return [answer for item in items for answer in await self._answers([item])]
        return [results] * len(items)
