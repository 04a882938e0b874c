"""The engine of static models: token vectors looked up, added, scaled to unit length, without torch."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from isogloss.engines.batching import bounded
from isogloss.engines.byte_table import ByteTable, from_files, rounded_to_bytes
from isogloss.engines.hashing import tensor_digest
from isogloss.engines.protocol import Encoded, Progress, SavedModule
from isogloss.engines.row_sums import RowSums
from isogloss.engines.tokenising import Ids, TextTokenizer, TokenizerFile
from isogloss.errors import Fault, ModelError

TEXTS_PER_CHUNK = 1024
CHARACTERS_PER_CHUNK = 1 << 20
SUPPORTED_DTYPES = ("F16", "F32", "F64", "I8", "I32", "I64")  # wide integers are model2vec's token mapping


class StaticEngine:
    """Encodes with one vector per token: their sum, scaled to unit length.

    Args:
        table: float32, float16 or bytes, of shape (vocabulary, dimension); sums are float32 in any case.
        tokenizer: Gives ids below the number of rows; special tokens are not added.
        prompt: What is put before every text.

    Raises:
        ModelError: If the tokenizer knows more tokens than there are rows.
    """

    def __init__(
        self,
        table: NDArray[np.floating] | ByteTable,
        tokenizer: Tokenizer | TokenizerFile,
        *,
        prompt: str = "",
    ) -> None:
        self._file = TokenizerFile.of(tokenizer) if isinstance(tokenizer, Tokenizer) else tokenizer
        size = self._file.size
        if table.ndim != 2 or size > len(table):
            raise ModelError(
                f"The tokenizer has {size} tokens and the embedding table has shape {table.shape}",
                next_step="The two files are not of one model: save the model again.",
            )
        self.table = table
        self.prompt = prompt
        if isinstance(tokenizer, Tokenizer):
            tokenizer.no_padding()
        self._tokens = TextTokenizer(self._file)
        self._sums = RowSums(table)

    @classmethod
    def load(cls, folder: Path, *, prompt: str = "", noted: Mapping[str, str] = MappingProxyType({})) -> StaticEngine:
        """Reads a `StaticEmbedding` folder; tables as model2vec writes them are unfolded.

        Args:
            folder: The folder.
            prompt: What is put before every text.
            noted: Digests of tokenizers that were taken before, by the SHA-256 of their files.

        Raises:
            ModelError: If a file is missing or broken.
        """
        tokenizer_path = folder / "tokenizer.json"
        table = _read_table(folder / "model.safetensors")
        if not tokenizer_path.is_file():
            raise ModelError(f"{folder} has no tokenizer.json", next_step="Copy the whole model folder again.")
        try:
            tokenizer = TokenizerFile(tokenizer_path.read_text(encoding="utf-8"), noted)
        except Exception as broken:  # tokenizers raises plain Exception
            raise ModelError(
                f"{tokenizer_path} cannot be read: {broken}", next_step="Copy the whole model folder again."
            ) from broken
        return cls(table, tokenizer, prompt=prompt)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self.table.shape[1])

    @property
    def tokenizer(self) -> Tokenizer:
        """Cuts the texts."""
        return self._file.whole

    @property
    def weights(self) -> NDArray[np.floating]:
        """The table as floating-point numbers: as it is, or float32 made of bytes."""
        return self.table[:] if isinstance(self.table, ByteTable) else self.table

    @property
    def max_length(self) -> int | None:
        """Most tokens that count, where the tokenizer file sets a limit."""
        truncation = self._file.truncation
        return int(truncation["max_length"]) if truncation else None

    def with_prompt(self, prompt: str) -> StaticEngine:
        """The same table, and what is remembered of texts, with another prompt."""
        other = copy.copy(self)
        other.prompt = prompt
        return other

    def copy(self) -> StaticEngine:
        """A copy that shares no memory with this engine."""
        return StaticEngine(self.table.copy(), Tokenizer.from_str(self._file.content), prompt=self.prompt)

    def rounded(self, precision: Literal["float16", "int8"]) -> StaticEngine:
        """The table rounded, for a folder of half or a quarter of the size of float32."""
        table = self.weights.astype(np.float16) if precision == "float16" else rounded_to_bytes(self.table)
        return StaticEngine(table, self._file, prompt=self.prompt)

    def read_tokenizer(self) -> None:
        """Reads the whole tokenizer now, so that no later text waits for it."""
        _ = self._file.whole

    def prove(self, texts: Sequence[str], languages: Iterable[str | None]) -> None:
        """Compares the quick tokeniser with the tokenizer itself on the first texts of each new language.

        Where they differ the quick one is given up, with a warning; see `isogloss.engines.tokenising`.
        """
        self._tokens.prove(texts, languages)

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> Encoded:
        """Vectors of `texts`, each with the prompt before it."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        counts = np.zeros(len(texts), dtype=np.int64)
        truncated = np.zeros(len(texts), dtype=np.bool_)
        start = 0
        for chunk in _chunks(texts, self.prompt):
            stop = start + len(chunk)
            ids = self._tokens.ids(chunk)
            kept = self._within_length(ids)
            truncated[start:stop] = kept.counts < ids.counts
            counts[start:stop] = kept.counts
            vectors[start:stop] = self._sums.add_up(kept)
            if progress is not None:
                progress(len(chunk), int(kept.counts.sum()))
            start = stop
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, norms, out=vectors, where=norms > 0)
        return Encoded(vectors, counts, truncated)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, prompt included, before any is cut."""
        return [count for chunk in _chunks(texts, self.prompt) for count in self._tokens.ids(chunk).counts.tolist()]

    def _within_length(self, ids: Ids) -> Ids:
        """The ids that count: all, or as many as the tokenizer file allows, from the end where it says so."""
        limit, truncation = self.max_length, self._file.truncation
        if limit is None or truncation is None or ids.counts.max(initial=0) <= limit:
            return ids
        counts = np.minimum(ids.counts, limit)
        ends = np.cumsum(ids.counts)
        place = np.arange(len(ids.flat)) - np.repeat(ends - ids.counts, ids.counts)
        if truncation["direction"] == "left":
            place = np.repeat(ids.counts, ids.counts) - 1 - place
        return Ids(ids.flat[place < limit], counts)

    def fingerprint_parts(self) -> Mapping[str, str]:
        """What decides the vectors, by name; the same as for the torch tower of the same folder."""
        return {
            "weights": tensor_digest({"0.embedding.weight": self.table}),
            "tokenizer": self._file.digest,
            "prompt": self.prompt,
            "pooling": json.dumps([{"kind": "StaticEmbedding"}]),
            "normalisation": "l2",
            "max_length": str(self.max_length),
            "precision": "float32",
        }

    def saved_modules(self) -> list[SavedModule]:
        """`StaticEmbedding` and `Normalize`."""
        return [
            SavedModule("StaticEmbedding", self._write, id(self.table)),
            SavedModule("Normalize", lambda folder: None, 0),
        ]

    def _write(self, folder: Path) -> None:
        table = self.table
        if isinstance(table, ByteTable):
            tensors: dict[str, NDArray[np.generic]] = {"embeddings": table.codes, "weights": table.scales}
        else:
            tensors = {"embedding.weight": np.ascontiguousarray(table)}
        save_file(tensors, str(folder / "model.safetensors"))
        # Not by its own save(), whose faults of the system are plain exceptions.
        (folder / "tokenizer.json").write_text(self.tokenizer.to_str(), encoding="utf-8")


def _chunks(texts: Sequence[str], prompt: str) -> Iterator[list[str]]:
    """The texts in order, prompt included, a bounded number of texts and of characters at a time."""
    return bounded((prompt + text for text in texts), TEXTS_PER_CHUNK, CHARACTERS_PER_CHUNK)


def is_static_table(folder: Path) -> bool:
    """Whether the NumPy engine can read the weights of a `StaticEmbedding` folder."""
    path = folder / "model.safetensors"
    if not path.is_file():
        return False
    try:
        with safe_open(str(path), framework="np") as tensors:
            names = list(tensors.keys())
            return all(tensors.get_slice(name).get_dtype() in SUPPORTED_DTYPES for name in names)
    except (SafetensorError, OSError):
        return True  # so that loading says what is wrong with the file


def _read_table(path: Path) -> NDArray[np.floating] | ByteTable:
    if not path.is_file():
        raise ModelError(
            f"{path.parent} has no model.safetensors",
            faults=[
                Fault("", f"{other.name} is a pickle, which isogloss does not read") for other in _pickles(path.parent)
            ],
            next_step="Save the model as safetensors.",
        )
    try:
        with safe_open(str(path), framework="np") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # it is no mapping
    except (SafetensorError, OSError) as broken:
        raise ModelError(f"{path} cannot be read: {broken}", next_step="Copy the whole model folder again.") from broken
    if "embedding.weight" in tensors:
        return _floating(tensors["embedding.weight"])
    if "embeddings" not in tensors:
        raise ModelError(
            f"{path} has no tensor 'embedding.weight' or 'embeddings' (it has: {', '.join(sorted(tensors)) or 'none'})",
            next_step="Save the static model with isogloss, sentence-transformers or model2vec, and load that folder.",
        )
    if "mapping" in tensors:
        tensors["embeddings"] = tensors["embeddings"][tensors["mapping"]]
    in_bytes = from_files(tensors["embeddings"], tensors.get("weights"))
    if in_bytes is not None:
        return in_bytes
    table = _floating(tensors["embeddings"])
    return table.astype(np.float32) * tensors["weights"].astype(np.float32)[:, None] if "weights" in tensors else table


def _floating(table: NDArray[np.generic]) -> NDArray[np.floating]:
    dtype = np.float16 if table.dtype == np.float16 else np.float32
    return table.astype(dtype, copy=False)


def _pickles(folder: Path) -> list[Path]:
    return sorted(path for suffix in ("*.bin", "*.pt", "*.pkl") for path in folder.glob(suffix))
