"""Encodes passages into a bank, shard by shard, so that a killed encode resumes and ends with the same bytes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from isogloss.engines.bank_manifest import (
    DTYPES,
    MANIFEST_NAME,
    LanguageCount,
    Manifest,
    Shard,
    read_manifest,
)
from isogloss.engines.bank_shards import (
    Advance,
    EncodeTexts,
    InProcess,
    MadeShard,
    ShardJob,
    ShardMaker,
    read_records,
)
from isogloss.errors import DataError, Fault, FileError, UsageError, raise_faults
from isogloss.files import is_leftover, refuse_unmakeable, remove_leftovers
from isogloss.progress import encoding_bar
from isogloss.records import Text

SHARD_SIZE = 8192
APPENDING = "with --append (in Python append=True)"


@dataclass
class BankReport:
    """What an encode did.

    Attributes:
        path: The bank.
        languages: Counts of the whole bank by language; passages without one are under `unknown`.
        encoded: Passages encoded by this call; the others were there already.
        seconds: Time from the first shard of this call to its last, reading and writing included.
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

    @property
    def tokens_per_second(self) -> float:
        """Speed of this call; 0 where nothing was left to encode."""
        return self.encoded_tokens / self.seconds if self.seconds else 0.0

    def passages_per_second_in(self, language: str) -> float:
        """Speed for one language, from its tokens per passage and the tokens per second of this call."""
        count = self.languages[language]
        if not self.seconds or not count.tokens:
            return 0.0
        return self.encoded_tokens / self.seconds * count.passages / count.tokens


def encode_bank(
    texts: Iterable[Text],
    encode: EncodeTexts | ShardMaker,
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
        encode: Gives their vectors, or makes whole shards.
        path: Folder of the bank.
        fingerprint: Parts of what makes the vectors.
        dtype: `float16` or `float32`.
        shard_size: Passages per shard; a killed encode loses the shards that are being made.
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
    _refuse_unmakeable(place, manifest)
    checker = _Checker(_ids(place, manifest.shards[:kept]), place)
    if isinstance(texts, Sequence):
        checker.check_all(texts)
    maker = encode if isinstance(encode, ShardMaker) else InProcess.silent(encode)
    report = BankReport(place)
    total = len(texts) if isinstance(texts, Sized) else None
    with encoding_bar("Encoding passages", total, show=progress) as advance:
        jobs = _jobs(_blocks(texts, shard_size), place, manifest, checker, advance, first=kept)
        began = time.perf_counter()
        for made in maker.make(jobs, place, dtype, advance):
            _keep(made, place, manifest, report)
        report.seconds = time.perf_counter() - began if report.encoded else 0.0
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
    _refuse_unmakeable(Path(path), _prepare(Path(path), fingerprint, dtype, resume=True, append=append))


def _refuse_unmakeable(place: Path, manifest: Manifest) -> None:
    """Raises what the first shard would, long before it; a finished bank may lie where nobody writes."""
    if not manifest.complete or manifest.appending_from is not None:
        refuse_unmakeable(place)


def _prepare(place: Path, parts: Mapping[str, str], dtype: str, *, resume: bool, append: bool) -> Manifest:
    """The manifest to go on with: that of the bank which is there, if it fits, or a new one."""
    if not (place / MANIFEST_NAME).is_file():
        if place.is_dir() and not _only_begun(place):
            raise FileError(f"{place} exists and is no bank", next_step="Give another folder for the bank.")
        if append:
            raise FileError(f"{place} has no bank to append to", next_step="Leave append out to make one.")
        return Manifest(dict(parts), dtype)
    manifest = read_manifest(place)
    if not resume and not append:
        raise FileError(f"{place} has a bank already", next_step=f"Give another folder, or add passages {APPENDING}.")
    manifest.require(parts, place)
    if manifest.dtype != dtype:
        raise UsageError(
            f"dtype: '{dtype}', but the bank {place} has {manifest.dtype}", next_step=f"Use {manifest.dtype}."
        )
    if append and manifest.appending_from is None:
        if not manifest.complete:
            raise DataError(
                f"{place} is unfinished", next_step="Finish it first: encode its own texts into it, without appending."
            )
        manifest.appending_from = len(manifest.shards)
    elif not append and manifest.appending_from is not None:
        raise DataError(f"{place} has an unfinished append", next_step=f"Finish it: the same texts {APPENDING}.")
    return manifest


def _only_begun(place: Path) -> bool:
    """Whether all that is in the folder is what an encode that was killed before its first manifest leaves."""
    return all(entry.name == "shards" or is_leftover(entry) for entry in place.iterdir())


def _jobs(
    blocks: Iterable[list[Text]],
    place: Path,
    manifest: Manifest,
    checker: _Checker,
    advance: Advance,
    *,
    first: int,
) -> Iterator[ShardJob]:
    """The shards that are still to make; those that are there are checked to hold the same texts."""
    there = len(manifest.shards)
    finished = manifest.complete and manifest.appending_from is None
    for number, block in enumerate(blocks, start=first):
        checker.check_block(block)
        if checker.faults:
            continue
        job = ShardJob(number, block)
        if number < there:
            _require_same_shard(manifest.shards[number], job.digest, len(block), place)
            if manifest.shards[number].is_whole(place):
                advance(len(block))
                continue
            yield job
            continue
        if finished:
            raise DataError(
                f"{place} is finished and holds fewer texts than were given: {manifest.rows}",
                next_step=f"Add only the new passages, {APPENDING}, or give another folder.",
            )
        yield job


def _keep(made: MadeShard, place: Path, manifest: Manifest, report: BankReport) -> None:
    """Enters a finished shard into the manifest; before this it does not count."""
    manifest.dimension = made.dimension
    manifest.complete = False
    number = int(made.shard.name)
    # One that was there is made anew where a file of it is missing or damaged.
    manifest.shards[number : number + 1] = [made.shard]
    manifest.write(place)
    report.encoded += made.shard.rows
    report.encoded_tokens += sum(count.tokens for count in made.shard.languages.values())


def _require_same_shard(shard: Shard, digest: str, rows: int, place: Path) -> None:
    if shard.rows != rows or shard.texts_sha256 != digest:
        raise DataError(
            f"{place} holds other texts than these",
            faults=[Fault(f"shard {shard.name}", f"has {shard.rows} passages, other than the {rows} given for it")],
            next_step=f"Give another folder, the same texts in the same order, or only new passages {APPENDING}.",
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
        for folder in (place, place / "shards"):
            remove_leftovers(folder)


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


def _ids(place: Path, shards: Sequence[Shard]) -> set[str]:
    known: set[str] = set()
    for shard in shards:
        known.update(record["id"] for record in read_records(shard, place))
    return known
