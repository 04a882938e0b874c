"""What a bank says of itself: `bank.json`, the list of its shards and the fingerprint of what made its vectors.

Layout: `bank.json`, and per shard `shards/00000.vectors.npy` and `shards/00000.texts.jsonl` (id, language, title,
text). The manifest holds no times and no paths: an encode that was killed and resumed ends with the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from isogloss.engines.hashing import parts_digest
from isogloss.errors import DataError, Fault, StaleBankError, raise_faults
from isogloss.files import check_folder, file_errors, read_json, write_json

MANIFEST_NAME = "bank.json"
MANIFEST_FORMAT = 1
DTYPES = ("float16", "float32")
SHOWN_CHARACTERS = 60
ENCODE_AGAIN = "Encode the corpus again into another folder."
MAKE_ANEW = "Encode the corpus again: into the same folder, where what is damaged is made anew, or into another one."


@dataclass
class LanguageCount:
    """Passages of one language in a bank.

    Attributes:
        passages: How many there are.
        tokens: Tokens that entered their vectors.
        truncated: Passages that lost tokens.
    """

    passages: int = 0
    tokens: int = 0
    truncated: int = 0

    def add(self, other: LanguageCount) -> None:
        """Adds the counts of `other`."""
        self.passages += other.passages
        self.tokens += other.tokens
        self.truncated += other.truncated


@dataclass(frozen=True)
class Shard:
    """A part of a bank: its name, rows, digests of its two files, and counts by language."""

    name: str
    rows: int
    vectors_sha256: str
    texts_sha256: str
    languages: dict[str, LanguageCount]

    def vectors_path(self, bank: Path) -> Path:
        """Where the vectors are."""
        return bank / "shards" / f"{self.name}.vectors.npy"

    def texts_path(self, bank: Path) -> Path:
        """Where the texts are."""
        return bank / "shards" / f"{self.name}.texts.jsonl"

    def is_whole(self, bank: Path) -> bool:
        """Whether both files are there as they were written."""
        for path, digest in (
            (self.vectors_path(bank), self.vectors_sha256),
            (self.texts_path(bank), self.texts_sha256),
        ):
            with file_errors(path, "read"):
                if not path.is_file() or file_digest(path) != digest:
                    return False
        return True


@dataclass
class Manifest:
    """Content of `bank.json`.

    Attributes:
        parts: What made the vectors, by named part.
        dtype: `float16` or `float32`.
        dimension: Length of a vector; 0 as long as there is none.
        shards: The parts of the bank, in order.
        complete: Whether the last encode reached its end.
        appending_from: Number of the shard with which an unfinished append began.
    """

    parts: dict[str, str]
    dtype: str
    dimension: int = 0
    shards: list[Shard] = field(default_factory=list)
    complete: bool = False
    appending_from: int | None = None

    @property
    def rows(self) -> int:
        """Passages in all shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def digest(self) -> str:
        """One digest over all parts."""
        return parts_digest(self.parts)

    def require(self, parts: Mapping[str, str], place: Path) -> None:
        """Checks that `parts` made the vectors.

        Raises:
            StaleBankError: If another model, tokenizer, prompt, pooling, length or precision did, saying which part.
        """
        faults = [
            Fault(name, f"the bank has {_shown(self.parts.get(name))}, the model has {_shown(parts.get(name))}")
            for name in sorted({*self.parts, *parts})
            if self.parts.get(name) != parts.get(name)
        ]
        raise_faults(
            StaleBankError,
            f"{place} was made by another model",
            faults,
            "Encode the corpus again into another folder, or load the model that made the bank.",
        )

    def write(self, bank: Path) -> None:
        """Writes `bank.json`, whole or not at all."""
        value: dict[str, Any] = {
            "format": MANIFEST_FORMAT,
            "complete": self.complete,
            "fingerprint": self.digest,
            "parts": self.parts,
            "dtype": self.dtype,
            "dimension": self.dimension,
            "passages": self.rows,
            "shards": [asdict(shard) for shard in self.shards],
        }
        if self.appending_from is not None:
            value["appending_from"] = self.appending_from
        write_json(bank / MANIFEST_NAME, value)


def read_manifest(bank: Path) -> Manifest:
    """Reads the manifest of the bank at `bank`.

    Raises:
        FileError: If there is no such folder.
        DataError: If it is no bank, or its manifest is broken or of a later format.
    """
    check_folder(bank)
    path = bank / MANIFEST_NAME
    if not path.is_file():
        raise DataError(
            f"{bank} is no bank: it has no {MANIFEST_NAME}", next_step="Make one: isogloss encode CORPUS --out BANK"
        )
    value = read_json(path)
    try:
        if value["format"] > MANIFEST_FORMAT:
            raise DataError(
                f"{path} has format {value['format']}; this isogloss reads {MANIFEST_FORMAT}",
                next_step="Update isogloss.",
            )
        shards = [
            Shard(**{**item, "languages": {name: LanguageCount(**count) for name, count in item["languages"].items()}})
            for item in value["shards"]
        ]
        manifest = Manifest(
            parts=dict(value["parts"]),
            dtype=value["dtype"],
            dimension=int(value["dimension"]),
            shards=shards,
            complete=bool(value["complete"]),
            appending_from=value.get("appending_from"),
        )
    except (KeyError, TypeError, AttributeError) as broken:
        raise DataError(f"{path} is broken: {broken!r}", next_step=ENCODE_AGAIN) from broken
    if value.get("fingerprint") != manifest.digest or manifest.dtype not in DTYPES:
        raise DataError(f"{path} was changed by hand", next_step=ENCODE_AGAIN)
    return manifest


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(stream)


def _digest(stream: Any) -> str:
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _shown(value: str | None) -> str:
    if value is None:
        return "none"
    return repr(value if len(value) <= SHOWN_CHARACTERS else value[:12] + "…")
