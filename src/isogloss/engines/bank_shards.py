"""One shard of a bank: what is to be made, what was made, and who makes it.

A shard's bytes depend on its texts and the model alone, so it does not matter which process makes it, or how often.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.bank_manifest import MAKE_ANEW, LanguageCount, Shard, file_digest
from isogloss.engines.protocol import Encoded, Progress
from isogloss.errors import DataError, Fault, raise_faults
from isogloss.files import atomic_path, file_errors
from isogloss.records import Text

UNKNOWN_LANGUAGE = "unknown"

EncodeTexts = Callable[[Sequence[Text]], Encoded]
Advance = Progress
EncodeReporting = Callable[[Sequence[Text], Advance], Encoded]
"""As `EncodeTexts`, and reports what is done while it goes on."""


@dataclass(frozen=True)
class ShardJob:
    """A shard to make.

    Attributes:
        number: Its place in the bank.
        texts: Its passages.
    """

    number: int
    texts: Sequence[Text]

    @cached_property
    def lines(self) -> bytes:
        """The content of its file of texts."""
        return "".join(_line(text) for text in self.texts).encode()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its file of texts."""
        return hashlib.sha256(self.lines).hexdigest()


@dataclass(frozen=True)
class MadeShard:
    """A shard whose two files are written, and the length of its vectors."""

    shard: Shard
    dimension: int


@runtime_checkable
class ShardMaker(Protocol):
    """Makes shards, here or in other processes."""

    def make(self, jobs: Iterator[ShardJob], bank: Path, dtype: str, advance: Advance) -> Iterator[MadeShard]:
        """Makes the shards of `jobs` and gives them in the same order; reads only as far ahead as it works.

        Args:
            jobs: The shards to make.
            bank: Folder of the bank.
            dtype: `float16` or `float32`.
            advance: Takes the numbers of passages and tokens encoded since its last call.
        """


class InProcess:
    """Makes shards one after the other in this process."""

    def __init__(self, encode: EncodeReporting) -> None:
        self.encode = encode

    @classmethod
    def silent(cls, encode: EncodeTexts) -> InProcess:
        """Over what does not report: a shard is done at once."""

        def reporting(texts: Sequence[Text], advance: Advance) -> Encoded:
            encoded = encode(texts)
            advance(len(texts), int(encoded.token_counts.sum()))
            return encoded

        return cls(reporting)

    def make(self, jobs: Iterator[ShardJob], bank: Path, dtype: str, advance: Advance) -> Iterator[MadeShard]:
        """Makes the shards of `jobs`, in order."""
        for job in jobs:
            yield make_shard(job, lambda texts: self.encode(texts, advance), bank, dtype)


def make_shard(job: ShardJob, encode: EncodeTexts, bank: Path, dtype: str, advance: Advance | None = None) -> MadeShard:
    """Encodes one shard and writes its files.

    Args:
        job: The shard.
        encode: Gets all its passages at once, so that it can sort them and tokenise some while it computes others.
        bank: Folder of the bank.
        dtype: `float16` or `float32`.
        advance: Takes the numbers of the whole shard, for an `encode` that does not report by itself.

    Raises:
        DataError: If a vector is not finite; nothing is written then.
        FileError: If the disk refuses.
    """
    encoded = encode(job.texts)
    if advance is not None:
        advance(len(job.texts), int(encoded.token_counts.sum()))
    _require_finite(encoded.vectors, job.texts)
    languages = _count(job.texts, encoded.token_counts, encoded.truncated)
    shard = Shard(f"{job.number:05d}", len(job.texts), "", job.digest, languages)
    vectors = encoded.vectors.astype(dtype)
    return MadeShard(_write_shard(shard, vectors, job.lines, bank), int(vectors.shape[1]))


def _write_shard(shard: Shard, vectors: NDArray[np.generic], lines: bytes, bank: Path) -> Shard:
    with atomic_path(shard.texts_path(bank)) as partial:
        partial.write_bytes(lines)
    with atomic_path(shard.vectors_path(bank)) as partial:
        np.save(partial, vectors, allow_pickle=False)
    with file_errors(bank, "read"):
        digest = file_digest(shard.vectors_path(bank))
    return Shard(shard.name, shard.rows, digest, shard.texts_sha256, shard.languages)


def read_records(shard: Shard, bank: Path) -> Iterator[dict[str, Any]]:
    """The passages of a shard as they are written.

    Raises:
        FileError: If the file cannot be read.
        DataError: If it is damaged.
    """
    path = shard.texts_path(bank)
    count = 0
    with file_errors(path, "read"), path.open("rb") as lines:
        for line in lines:
            count += 1
            yield record_of(line, path)
    require_rows(count, shard, path)


def record_of(line: bytes, path: Path) -> dict[str, Any]:
    """The passage of one line.

    Raises:
        DataError: If it is none.
    """
    try:
        record: dict[str, Any] = json.loads(line.decode())
        language = record["language"]
        # Written out: this is read for every passage of a bank before its first search.
        if (
            type(record["id"]) is type(record["text"]) is type(record["title"]) is str
            and (language is None or type(language) is str)
        ):  # fmt: skip
            return record
    except (KeyError, TypeError):
        pass
    except (ValueError, RecursionError) as broken:
        raise _damaged(path, str(broken)) from broken
    raise _damaged(path, f"a passage without id, language, title or text: {line[:80].decode(errors='replace')!r}")


def require_rows(count: int, shard: Shard, path: Path) -> None:
    """Checks how many passages a file of texts has.

    Raises:
        DataError: If passages are missing, or there are others behind them.
    """
    if count != shard.rows:
        raise _damaged(path, f"it has {count} passages, not {shard.rows}")


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(f"{path} is damaged: {reason}", next_step=MAKE_ANEW)


def _line(text: Text) -> str:
    record: dict[str, Any] = {"id": text.id, "language": text.language, "title": text.title, "text": text.text}
    if text.metadata:
        record["metadata"] = dict(text.metadata)
    if text.parallel_id is not None:
        record["parallel_id"] = text.parallel_id
    return json.dumps(record, ensure_ascii=False) + "\n"


def _count(texts: Sequence[Text], counts: NDArray[np.int64], truncated: NDArray[np.bool_]) -> dict[str, LanguageCount]:
    found: dict[str, LanguageCount] = {}
    for text, tokens, cut in zip(texts, counts.tolist(), truncated.tolist(), strict=True):
        count = found.setdefault(text.language or UNKNOWN_LANGUAGE, LanguageCount())
        count.add(LanguageCount(1, tokens, int(cut)))
    return dict(sorted(found.items()))


def _require_finite(vectors: NDArray[np.float32], texts: Sequence[Text]) -> None:
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    faults = [Fault(f"id {texts[row].id}", "got a vector that is not finite") for row in wrong.tolist()]
    raise_faults(DataError, "Encoding", faults, "The model is broken, or its precision is too low.")
