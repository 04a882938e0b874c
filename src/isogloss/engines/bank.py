"""A bank: vectors of passages on disk, with their texts and the fingerprint of what made them. NumPy only."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.bank_manifest import MAKE_ANEW, LanguageCount, Manifest, Shard, file_digest, read_manifest
from isogloss.engines.bank_shards import read_records, record_of, require_rows
from isogloss.engines.bank_writing import BankReport, encode_bank
from isogloss.errors import DataError, Fault, did_you_mean, raise_faults
from isogloss.files import file_errors
from isogloss.records import Text

__all__ = ["Bank", "BankReport", "LanguageCount", "encode_bank"]


class Bank:
    """A finished bank, read without loading it: vectors are memory maps, texts are read one at a time.

    Args:
        path: Folder of the bank.
        manifest: What it says of itself.

    Examples:
        >>> bank = Bank.open("bank")  # doctest: +SKIP
        >>> for start, ids, block in bank.vectors():  # doctest: +SKIP
        ...     print(start, len(ids), block.shape)
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self._manifest = manifest
        self._line_starts: dict[str, list[int]] = {}
        self._mapped: dict[str, mmap.mmap] = {}

    @classmethod
    def open(cls, path: str | Path) -> Bank:
        """Opens the bank at `path` after checking that all its files are there and have the right shape.

        Raises:
            FileError: If there is no such folder.
            DataError: If it is no bank, is unfinished, or a shard is missing or damaged.
        """
        place = Path(path)
        manifest = read_manifest(place)
        if not manifest.complete:
            raise DataError(
                f"{place} is unfinished: {manifest.rows} passages so far",
                next_step="Run the encode that made it again; it goes on where it stopped.",
            )
        bank = cls(place, manifest)
        faults = [fault for shard in manifest.shards for fault in bank._shard_faults(shard)]
        raise_faults(DataError, str(place), faults, MAKE_ANEW)
        return bank

    def __len__(self) -> int:
        return self._manifest.rows

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._manifest.dimension

    @property
    def dtype(self) -> str:
        """How vectors are stored: `float16` or `float32`."""
        return self._manifest.dtype

    @property
    def fingerprint(self) -> dict[str, str]:
        """What made the vectors, by named part."""
        return dict(self._manifest.parts)

    @property
    def digest(self) -> str:
        """One digest over all parts of the fingerprint."""
        return self._manifest.digest

    @property
    def ids(self) -> list[str]:
        """Ids in the order of the vectors."""
        return self._columns[0]

    @property
    def languages(self) -> list[str | None]:
        """Language of each passage, in the order of the vectors."""
        return self._columns[1]

    @property
    def language_counts(self) -> dict[str, LanguageCount]:
        """Passages, tokens and truncated passages by language."""
        counts: dict[str, LanguageCount] = {}
        for shard in self._manifest.shards:
            for language, count in shard.languages.items():
                counts.setdefault(language, LanguageCount()).add(count)
        return counts

    def vectors(self) -> Iterator[tuple[int, list[str], NDArray[np.floating[Any]]]]:
        """Gives `(start, ids, block)` per shard; `block` is a read-only memory map of shape (rows, dimension)."""
        start = 0
        for shard in self._manifest.shards:
            yield start, self.ids[start : start + shard.rows], self._block(shard)
            start += shard.rows

    def get(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of `ids` in their order, float32 of shape (ids, dimension).

        Raises:
            DataError: If ids are not in the bank, with all of them.
        """
        rows = np.asarray([self._row(id_) for id_ in self._known(ids)], dtype=np.int64)
        found = np.empty((len(rows), self.dimension), dtype=np.float32)
        start = 0
        for shard in self._manifest.shards:
            here = np.flatnonzero((rows >= start) & (rows < start + shard.rows))
            if here.size:
                found[here] = self._block(shard)[rows[here] - start]
            start += shard.rows
        return found

    def text(self, id_: str) -> Text:
        """The passage with this id.

        Raises:
            DataError: If it is not in the bank.
        """
        row = self._row(self._known([id_])[0])
        for shard in self._manifest.shards:
            if row < shard.rows:
                begin, end = self._offsets(shard)[row : row + 2]
                return _text(record_of(self._lines(shard)[begin:end], shard.texts_path(self.path)))
            row -= shard.rows
        raise DataError(f"{self.path} has lost passage '{id_}'", next_step=MAKE_ANEW)

    def texts(self) -> Iterator[Text]:
        """All passages, in the order of the vectors."""
        return (_text(record) for record in self._records())

    def require(self, fingerprint: Mapping[str, str] | Any) -> None:
        """Checks that a tower made this bank.

        Args:
            fingerprint: Parts of the tower's fingerprint, or the fingerprint itself.

        Raises:
            StaleBankError: If another model, tokenizer, prompt, pooling, length or precision did, saying which part.
        """
        self._manifest.require(getattr(fingerprint, "parts", fingerprint), self.path)

    def verify(self) -> None:
        """Reads every file and compares its digest.

        Raises:
            DataError: If files changed since they were written, with all of them.
        """
        faults = []
        for shard in self._manifest.shards:
            for path, digest in (
                (shard.vectors_path(self.path), shard.vectors_sha256),
                (shard.texts_path(self.path), shard.texts_sha256),
            ):
                with file_errors(path, "read"):
                    if file_digest(path) != digest:
                        faults.append(Fault(str(path), "changed since it was written"))
        raise_faults(DataError, str(self.path), faults, MAKE_ANEW)

    @cached_property
    def _columns(self) -> tuple[list[str], list[str | None]]:
        """Ids and languages, both by one reading of the files."""
        ids, languages = [], []
        for record in self._records():
            ids.append(record["id"])
            languages.append(record["language"])
        return ids, languages

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {id_: row for row, id_ in enumerate(self.ids)}

    def _row(self, id_: str) -> int:
        return self._rows[id_]

    def _known(self, ids: Sequence[str]) -> Sequence[str]:
        faults = [
            Fault(f"id {id_}", f"is not in the bank{did_you_mean(id_, self.ids) if len(self) < 10_000 else ''}")
            for id_ in ids
            if id_ not in self._rows
        ]
        raise_faults(DataError, str(self.path), faults, "Use ids of the corpus that the bank was made from.")
        return ids

    def _offsets(self, shard: Shard) -> list[int]:
        """Where the line of each passage begins."""
        if shard.name not in self._line_starts:
            path = shard.texts_path(self.path)
            starts = [0]
            with file_errors(path, "read"), path.open("rb") as lines:
                for line in lines:
                    starts.append(starts[-1] + len(line))
            require_rows(len(starts) - 1, shard, path)
            self._line_starts[shard.name] = starts
        return self._line_starts[shard.name]

    def _lines(self, shard: Shard) -> mmap.mmap:
        """The file of a shard's passages, mapped once."""
        if shard.name not in self._mapped:
            path = shard.texts_path(self.path)
            with file_errors(path, "read"), path.open("rb") as lines:
                self._mapped[shard.name] = mmap.mmap(lines.fileno(), 0, access=mmap.ACCESS_READ)
        return self._mapped[shard.name]

    def _records(self) -> Iterator[dict[str, Any]]:
        for shard in self._manifest.shards:
            yield from read_records(shard, self.path)

    def _block(self, shard: Shard) -> NDArray[np.floating[Any]]:
        path = shard.vectors_path(self.path)
        with file_errors(path, "read"):
            try:
                block: NDArray[np.floating[Any]] = np.load(path, mmap_mode="r", allow_pickle=False)
            except (ValueError, EOFError) as broken:
                raise DataError(f"{path} is damaged: {broken}", next_step=MAKE_ANEW) from broken
            return block

    def _shard_faults(self, shard: Shard) -> list[Fault]:
        path = shard.vectors_path(self.path)
        missing = [place for place in (path, shard.texts_path(self.path)) if not place.is_file()]
        if missing:
            return [Fault(str(place), "is missing") for place in missing]
        try:
            block = self._block(shard)
        except DataError as damaged:
            return [Fault(str(path), damaged.message)]
        expected = (shard.rows, self.dimension)
        if block.shape != expected or block.dtype != np.dtype(self.dtype):
            return [Fault(str(path), f"has shape {block.shape} of {block.dtype}, not {expected} of {self.dtype}")]
        return []


def _text(record: Mapping[str, Any]) -> Text:
    return Text(
        record["id"],
        record["text"],
        language=record["language"],
        title=record["title"],
        parallel_id=record.get("parallel_id"),
        metadata=record.get("metadata"),
    )
