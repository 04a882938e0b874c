"""Encodes passages into a bank, shard by shard, so that a killed encode resumes and ends with the same bytes."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.bank_manifest import (
    DTYPES,
    MANIFEST_NAME,
    LanguageCount,
    Manifest,
    Shard,
    file_digest,
    read_manifest,
)
from isogloss.engines.protocol import Encoded
from isogloss.errors import DataError, Fault, FileError, UsageError, raise_faults
from isogloss.files import atomic_path, file_errors
from isogloss.progress import progress_bar
from isogloss.records import Text

SHARD_SIZE = 8192
TEXTS_PER_CALL = 2048
UNKNOWN_LANGUAGE = "unknown"

EncodeTexts = Callable[[Sequence[Text]], Encoded]


@dataclass
class BankReport:
    """What an encode did.

    Attributes:
        path: The bank.
        languages: Counts of the whole bank by language; passages without one are under `unknown`.
        encoded: Passages encoded by this call; the others were there already.
        seconds: Time of the encoding alone.
    """

    path: Path
    languages: dict[str, LanguageCount] = field(default_factory=dict)
    encoded: int = 0
    encoded_tokens: int = 0
    seconds: float = 0.0

    @property
    def passages(self) -> int:
        """Passages in the bank."""
        return sum(count.passages for count in self.languages.values())

    @property
    def truncated(self) -> int:
        """Passages in the bank that lost tokens."""
        return sum(count.truncated for count in self.languages.values())

    @property
    def passages_per_second(self) -> float:
        """Speed of this call; 0 where nothing was left to encode."""
        return self.encoded / self.seconds if self.seconds else 0.0

    def passages_per_second_in(self, language: str) -> float:
        """Speed for one language, from its tokens per passage and the tokens per second of this call."""
        count = self.languages[language]
        if not self.seconds or not count.tokens:
            return 0.0
        return self.encoded_tokens / self.seconds * count.passages / count.tokens


def encode_bank(
    texts: Iterable[Text],
    encode: EncodeTexts,
    path: str | Path,
    *,
    fingerprint: Mapping[str, str],
    dtype: str = "float16",
    shard_size: int = SHARD_SIZE,
    resume: bool = True,
    append: bool = False,
    progress: bool = True,
) -> BankReport:
    """Encodes `texts` into the bank at `path`.

    A list is checked whole before the first vector is computed; of an iterator nothing more is encoded after a fault.

    Args:
        texts: The passages, ids unique.
        encode: Gives their vectors.
        path: Folder of the bank.
        fingerprint: Parts of what makes the vectors.
        dtype: `float16` or `float32`.
        shard_size: Passages per shard; a killed encode loses at most one shard of work.
        resume: Whether an unfinished bank of the same texts is gone on with; else anything at `path` is refused.
        append: Whether the passages are added to a finished bank.
        progress: Whether a bar is shown.

    Raises:
        StaleBankError: If a bank of another model is there.
        DataError: If ids occur twice, texts are empty, or the bank there holds other texts.
        FileError: If the disk refuses; the shards written until then are kept and resumed from.
    """
    if dtype not in DTYPES:
        raise UsageError(f"dtype: '{dtype}' (allowed: {', '.join(DTYPES)})")
    if shard_size < 1:
        raise UsageError(f"shard_size: {shard_size} (allowed: 1 and more)")
    place = Path(path)
    manifest = _prepare(place, fingerprint, dtype, resume=resume, append=append)
    kept = manifest.appending_from or 0
    checker = _Checker(_ids(place, manifest.shards[:kept]), place)
    if isinstance(texts, Sequence):
        checker.check_all(texts)
    report = BankReport(place)
    total = len(texts) if isinstance(texts, Sized) else None
    with progress_bar("Encoding passages", total, show=progress) as advance:
        for number, block in enumerate(_blocks(texts, shard_size), start=kept):
            checker.check_block(block)
            if not checker.faults:
                _encode_block(block, number, encode, place, manifest, report, advance)
    checker.raise_all()
    if not checker.seen:
        raise DataError(f"There are no passages for {place}", next_step="Give a corpus that is not empty.")
    _finish(place, manifest, number_of_shards=kept + -(-checker.seen // shard_size))
    for shard in manifest.shards:
        for language, count in shard.languages.items():
            report.languages.setdefault(language, LanguageCount()).add(count)
    return report


def check_target(path: str | Path, *, fingerprint: Mapping[str, str], dtype: str, append: bool = False) -> None:
    """Raises what `encode_bank` would raise because of what is at `path`; writes nothing."""
    _prepare(Path(path), fingerprint, dtype, resume=True, append=append)


def _prepare(place: Path, parts: Mapping[str, str], dtype: str, *, resume: bool, append: bool) -> Manifest:
    """The manifest to go on with: that of the bank which is there, if it fits, or a new one."""
    if not (place / MANIFEST_NAME).is_file():
        if place.exists() and (not place.is_dir() or any(entry.name != "shards" for entry in place.iterdir())):
            raise FileError(f"{place} exists and is no bank", next_step="Give another folder for the bank.")
        if append:
            raise FileError(f"{place} has no bank to append to", next_step="Leave append out to make one.")
        return Manifest(dict(parts), dtype)
    manifest = read_manifest(place)
    if not resume and not append:
        raise FileError(f"{place} has a bank already", next_step="Give another folder, or resume=True or append=True.")
    manifest.require(parts, place)
    if manifest.dtype != dtype:
        raise UsageError(
            f"dtype: '{dtype}', but the bank {place} has {manifest.dtype}", next_step=f"Use {manifest.dtype}."
        )
    if append and manifest.appending_from is None:
        if not manifest.complete:
            raise DataError(
                f"{place} is unfinished", next_step="Finish it first: encode its own texts with resume=True."
            )
        manifest.appending_from = len(manifest.shards)
    elif not append and manifest.appending_from is not None:
        raise DataError(f"{place} has an unfinished append", next_step="Finish it: the same texts with append=True.")
    return manifest


def _encode_block(
    block: list[Text],
    number: int,
    encode: EncodeTexts,
    place: Path,
    manifest: Manifest,
    report: BankReport,
    advance: Callable[[int], None],
) -> None:
    """Encodes one shard, or finds it done."""
    lines = "".join(_line(text) for text in block).encode()
    digest = hashlib.sha256(lines).hexdigest()
    if number < len(manifest.shards):
        _require_same_shard(manifest.shards[number], digest, len(block), place)
        advance(len(block))
        return
    if manifest.complete and manifest.appending_from is None:
        raise DataError(
            f"{place} is finished and holds fewer texts than were given: {manifest.rows}",
            next_step="Add only the new passages, with append=True, or give another folder.",
        )
    began = time.perf_counter()
    parts = []
    for start in range(0, len(block), TEXTS_PER_CALL):
        parts.append(encode(block[start : start + TEXTS_PER_CALL]))
        advance(len(parts[-1].vectors))
    report.seconds += time.perf_counter() - began
    vectors = np.concatenate([part.vectors for part in parts])
    counts = np.concatenate([part.token_counts for part in parts])
    truncated = np.concatenate([part.truncated for part in parts])
    _require_finite(vectors, block)
    report.encoded += len(block)
    report.encoded_tokens += int(counts.sum())
    shard = Shard(f"{number:05d}", len(block), "", digest, _count(block, counts, truncated))
    manifest.dimension = int(vectors.shape[1])
    manifest.complete = False
    manifest.shards.append(_write_shard(shard, vectors.astype(manifest.dtype), lines, place))
    manifest.write(place)


def _write_shard(shard: Shard, vectors: NDArray[np.generic], lines: bytes, place: Path) -> Shard:
    with atomic_path(shard.texts_path(place)) as partial:
        partial.write_bytes(lines)
    with atomic_path(shard.vectors_path(place)) as partial:
        np.save(partial, vectors, allow_pickle=False)
    with file_errors(place, "read"):
        digest = file_digest(shard.vectors_path(place))
    return Shard(shard.name, shard.rows, digest, shard.texts_sha256, shard.languages)


def _require_same_shard(shard: Shard, digest: str, rows: int, place: Path) -> None:
    if shard.rows != rows or shard.texts_sha256 != digest:
        raise DataError(
            f"{place} holds other texts than these",
            faults=[Fault(f"shard {shard.name}", f"has {shard.rows} passages, other than the {rows} given for it")],
            next_step="Give another folder, the same texts in the same order, or append=True for new passages.",
        )


def _finish(place: Path, manifest: Manifest, *, number_of_shards: int) -> None:
    if number_of_shards < len(manifest.shards):
        raise DataError(
            f"{place} holds more texts than were given: {manifest.rows}",
            next_step="Give another folder, or the same texts in the same order.",
        )
    if not manifest.complete or manifest.appending_from is not None:
        manifest.complete = True
        manifest.appending_from = None
        manifest.write(place)


class _Checker:
    """Collects duplicate ids and empty texts over all passages."""

    def __init__(self, known: set[str], place: Path) -> None:
        self.known = known
        self.place = place
        self.faults: list[Fault] = []
        self.seen = 0
        self.checked_whole = False

    def check_all(self, texts: Sequence[Text]) -> None:
        """Checks all passages before anything is encoded."""
        self._check(texts)
        self.raise_all()
        self.checked_whole = True

    def check_block(self, texts: Sequence[Text]) -> None:
        """Checks the next passages of a stream."""
        self.seen += len(texts)
        if not self.checked_whole:
            self._check(texts)

    def _check(self, texts: Sequence[Text]) -> None:
        for text in texts:
            if text.id in self.known:
                self.faults.append(Fault(f"id {text.id}", "occurs twice"))
            self.known.add(text.id)
            if not text.text.strip() and not text.title.strip():
                self.faults.append(Fault(f"id {text.id}", "has no text"))

    def raise_all(self) -> None:
        """Raises one error with everything found."""
        raise_faults(DataError, f"Passages for {self.place}", self.faults, "Mend the corpus; ids must be unique.")


def _blocks(texts: Iterable[Text], size: int) -> Iterator[list[Text]]:
    stream = iter(texts)
    while block := list(islice(stream, size)):
        yield block


def _line(text: Text) -> str:
    record = {"id": text.id, "language": text.language, "title": text.title, "text": text.text}
    return json.dumps(record, ensure_ascii=False) + "\n"


def _ids(place: Path, shards: Sequence[Shard]) -> set[str]:
    known: set[str] = set()
    for shard in shards:
        with file_errors(shard.texts_path(place), "read"), shard.texts_path(place).open(encoding="utf-8") as lines:
            known.update(json.loads(line)["id"] for line in lines)
    return known


def _count(block: Sequence[Text], counts: NDArray[np.int64], truncated: NDArray[np.bool_]) -> dict[str, LanguageCount]:
    found: dict[str, LanguageCount] = {}
    for text, tokens, cut in zip(block, counts.tolist(), truncated.tolist(), strict=True):
        count = found.setdefault(text.language or UNKNOWN_LANGUAGE, LanguageCount())
        count.add(LanguageCount(1, tokens, int(cut)))
    return dict(sorted(found.items()))


def _require_finite(vectors: NDArray[np.float32], block: Sequence[Text]) -> None:
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    faults = [Fault(f"id {block[row].id}", "got a vector that is not finite") for row in wrong.tolist()]
    raise_faults(DataError, "Encoding", faults, "The model is broken, or its precision is too low.")
