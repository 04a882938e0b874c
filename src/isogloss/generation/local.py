"""Writing with a query generator on this machine: sampled queries, the same for the same seed and the same batch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from isogloss.generation.generator import QueryGenerator
from isogloss.generation.settings import GenerateSettings
from isogloss.generation.tasks import Task, Written


class LocalWriter:
    """Samples queries from a generator.

    The prompt names the language that is asked for. A batch draws from a seed of its own, made of the run's seed and
    the batch's tasks, so that a resumed run writes what the unbroken one writes.

    Args:
        generator: The generator.
        settings: Decoding, seed and the size of a batch.
    """

    many_at_once = True

    def __init__(self, generator: QueryGenerator, settings: GenerateSettings) -> None:
        self.generator = generator
        self._settings = settings

    def describe(self) -> dict[str, Any]:
        """Checkpoint, prompt and decoding."""
        settings = self._settings
        decoding = {
            "top_k": settings.top_k,
            "temperature": settings.temperature,
            "max_new_tokens": settings.max_new_tokens,
        }
        note = self.generator.note()
        prompt_hash = hashlib.sha256(note["prompt"].encode()).hexdigest()[:16]
        return {
            "generator": self.generator.checkpoint,
            "prompt_hash": prompt_hash,
            "max_source_tokens": note["max_source_tokens"],
            "seed": settings.seed,
            "decoding": decoding,
        }

    def write(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Written]]:
        """Queries of each task, batch by batch."""
        for first in range(0, len(tasks), self._settings.batch):
            batch = tasks[first : first + self._settings.batch]
            yield from zip(batch, self._batch(batch), strict=True)

    @torch.no_grad()
    def _batch(self, tasks: Sequence[Task]) -> list[Written]:
        settings = self._settings
        count = max(task.count for task in tasks)
        render = self.generator.prompt.render
        sources = [render(task.passage.text, task.language, title=task.passage.title) for task in tasks]
        ids, mask = self.generator.padded(self.generator.source_ids(sources))
        sampling = (
            {"do_sample": True, "top_k": settings.top_k, "temperature": settings.temperature}
            if settings.temperature > 0
            else {"do_sample": False, "num_beams": count}
        )
        devices = [ids.device] if ids.device.type == "cuda" else []
        self.generator.model.eval()
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(_seed(settings.seed, tasks))
            written = self.generator.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=settings.max_new_tokens,
                num_return_sequences=count,
                **sampling,
            )
        texts = self.generator.tokenizer.batch_decode(written, skip_special_tokens=True)
        return [Written(tuple(texts[place * count : place * count + task.count])) for place, task in enumerate(tasks)]


def _seed(seed: int, tasks: Sequence[Task]) -> int:
    content = json.dumps([seed, *(task.key for task in tasks)])
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big") >> 1
