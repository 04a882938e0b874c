"""A process that makes shards of a bank: it is told of them on its standard input, one JSON object per line.

It ends when its input ends, so it never outlives the process that started it by more than one shard.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from isogloss.engines.bank_shards import EncodeTexts, ShardJob, make_shard
from isogloss.errors import IsoglossError
from isogloss.models.retriever import Retriever
from isogloss.records import Text


def main() -> None:
    """Answers every line of standard input with one line on standard output."""
    # A stop by keyboard reaches the whole process group; the driver decides what becomes of its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = _private_output()
    try:
        for line in sys.stdin.buffer:
            answer = answered(json.loads(line))
            answers.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
            answers.flush()
    except BrokenPipeError:
        os._exit(1)  # the driver is gone, and the interpreter would try to flush once more


def answered(task: dict[str, Any]) -> dict[str, Any]:
    """Makes one shard and says what was made, or what was wrong, as plain JSON values."""
    try:
        return _make(task, _encoder(json.dumps(task["model"], sort_keys=True)))
    except IsoglossError as error:
        return _as_answer(error)


def _private_output() -> IO[bytes]:
    """Standard output for the answers alone: whatever else writes there goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


@functools.lru_cache(maxsize=1)
def _encoder(described: str) -> EncodeTexts:
    """What encodes the texts of all tasks of one model, loaded with the first of them."""
    model = json.loads(described)
    retriever = Retriever.load(
        model["name"],
        engine=model["engine"],
        trust_remote_code=model["trust_remote_code"],
        prompts=model["prompts"],
        on_overflow=model["on_overflow"],
        dimension=model["dimension"],
        precision=model["precision"],
        device=model["device"],
    )
    expected, found = model["fingerprint"], retriever.passage.fingerprint
    if found.digest != expected:
        raise IsoglossError(
            f"The model {model['name']} changed while the corpus was being encoded",
            next_step="Leave its folder alone and start the encode again; what fits is kept.",
        )
    return lambda texts: retriever.encode_with_counts(texts, role="passage")


def _make(task: dict[str, Any], encode: EncodeTexts) -> dict[str, Any]:
    texts = [Text(**fields) for fields in task["texts"]]
    made = make_shard(
        ShardJob(task["number"], texts), encode, Path(task["bank"]), task["dtype"], lambda texts, tokens=0: None
    )
    return {"shard": asdict(made.shard), "dimension": made.dimension}


def _as_answer(error: IsoglossError) -> dict[str, Any]:
    faults = [asdict(fault) for fault in error.faults]
    return {
        "error": type(error).__name__,
        "message": error.message,
        "faults": faults,
        "next_step": error.next_step,
    }


if __name__ == "__main__":
    main()
