"""The engine of static models: token vectors looked up, added, scaled to unit length. NumPy and `tokenizers` only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from isogloss.engines.hashing import tensor_digest, tokenizer_digest
from isogloss.engines.protocol import Encoded, Progress, SavedModule
from isogloss.errors import Fault, ModelError

TEXTS_PER_CHUNK = 1024
TOKENS_PER_SUM = 32_768
SUPPORTED_DTYPES = ("F16", "F32", "F64", "I32", "I64")  # integers are model2vec's token mapping


class StaticEngine:
    """Encodes with one vector per token: their sum, scaled to unit length.

    Args:
        weights: float16 or float32 of shape (vocabulary, dimension); sums are float32 in either case.
        tokenizer: Gives ids below the number of rows; special tokens are not added.
        prompt: What is put before every text.

    Raises:
        ModelError: If the tokenizer knows more tokens than there are rows.
    """

    def __init__(self, weights: NDArray[np.floating], tokenizer: Tokenizer, *, prompt: str = "") -> None:
        size = tokenizer.get_vocab_size(with_added_tokens=True)
        if weights.ndim != 2 or size > len(weights):
            raise ModelError(
                f"The tokenizer has {size} tokens and the embedding table has shape {weights.shape}",
                next_step="The two files are not of one model: save the model again.",
            )
        self.weights = weights
        self.tokenizer = tokenizer
        self.prompt = prompt
        tokenizer.no_padding()

    @classmethod
    def load(cls, folder: Path, *, prompt: str = "") -> StaticEngine:
        """Reads a `StaticEmbedding` folder; tables as model2vec writes them are unfolded.

        Raises:
            ModelError: If a file is missing or broken.
        """
        tokenizer_path = folder / "tokenizer.json"
        weights = _read_weights(folder / "model.safetensors")
        if not tokenizer_path.is_file():
            raise ModelError(f"{folder} has no tokenizer.json", next_step="Copy the whole model folder again.")
        try:
            tokenizer = Tokenizer.from_file(str(tokenizer_path))
        except Exception as broken:  # tokenizers raises plain Exception
            raise ModelError(f"{tokenizer_path} cannot be read: {broken}") from broken
        return cls(weights, tokenizer, prompt=prompt)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self.weights.shape[1])

    @property
    def max_length(self) -> int | None:
        """Most tokens that count, where the tokenizer file sets a limit."""
        truncation = self.tokenizer.truncation
        return int(truncation["max_length"]) if truncation else None

    def with_prompt(self, prompt: str) -> StaticEngine:
        """The same table with another prompt."""
        return self if prompt == self.prompt else StaticEngine(self.weights, self.tokenizer, prompt=prompt)

    def copy(self) -> StaticEngine:
        """A copy that shares no memory with this engine."""
        return StaticEngine(self.weights.copy(), Tokenizer.from_str(self.tokenizer.to_str()), prompt=self.prompt)

    def half(self) -> StaticEngine:
        """The table rounded to float16, for a folder of half the size."""
        return StaticEngine(self.weights.astype(np.float16), self.tokenizer, prompt=self.prompt)

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> Encoded:
        """Vectors of `texts`, each with the prompt before it."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        counts = np.zeros(len(texts), dtype=np.int64)
        truncated = np.zeros(len(texts), dtype=np.bool_)
        for start in range(0, len(texts), TEXTS_PER_CHUNK):
            chunk = [self.prompt + text for text in texts[start : start + TEXTS_PER_CHUNK]]
            stop = start + len(chunk)
            encodings = self.tokenizer.encode_batch_fast(chunk, add_special_tokens=False)
            ids = [encoding.ids for encoding in encodings]
            counts[start:stop] = [len(row) for row in ids]
            truncated[start:stop] = [bool(encoding.overflowing) for encoding in encodings]
            self._add_up(ids, counts[start:stop], vectors[start:stop])
            if progress is not None:
                progress(len(chunk))
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, norms, out=vectors, where=norms > 0)
        return Encoded(vectors, counts, truncated)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, prompt included, before any is cut."""
        encodings = self.tokenizer.encode_batch([self.prompt + text for text in texts], add_special_tokens=False)
        return [len(row.ids) + sum(len(rest.ids) for rest in row.overflowing) for row in encodings]

    def _add_up(self, ids: list[list[int]], counts: NDArray[np.int64], sums: NDArray[np.float32]) -> None:
        """Adds the token vectors of each text into `sums`, a bounded number of tokens at a time.

        Every text is added up by itself in the order of its tokens, so its vector does not depend on its neighbours.
        """
        ends = np.cumsum(counts)
        start = 0
        while start < len(ids):
            before = int(ends[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + TOKENS_PER_SUM, side="right")))
            tokens = np.fromiter(
                chain.from_iterable(ids[start:stop]), dtype=np.int64, count=int(ends[stop - 1]) - before
            )
            # Half precision is slow to widen, and most tokens of a batch occur more than once.
            distinct, places = np.unique(tokens, return_inverse=True)
            table = self.weights[distinct].astype(np.float32)
            for row in range(start, stop):
                last = int(ends[row]) - before
                np.add.reduce(table[places[last - int(counts[row]) : last]], axis=0, out=sums[row])
            start = stop

    def fingerprint_parts(self) -> Mapping[str, str]:
        """What decides the vectors, by name; the same as for the torch tower of the same folder."""
        return {
            "weights": tensor_digest({"0.embedding.weight": self.weights}),
            "tokenizer": tokenizer_digest(self.tokenizer.to_str()),
            "prompt": self.prompt,
            "pooling": json.dumps([{"kind": "StaticEmbedding"}]),
            "normalisation": "l2",
            "max_length": str(self.max_length),
            "precision": "float32",
        }

    def saved_modules(self) -> list[SavedModule]:
        """`StaticEmbedding` and `Normalize`."""
        return [
            SavedModule("StaticEmbedding", self._write, id(self.weights)),
            SavedModule("Normalize", lambda folder: None, 0),
        ]

    def _write(self, folder: Path) -> None:
        save_file({"embedding.weight": np.ascontiguousarray(self.weights)}, str(folder / "model.safetensors"))
        # Not by its own save(), whose faults of the system are plain exceptions.
        (folder / "tokenizer.json").write_text(self.tokenizer.to_str(pretty=True), encoding="utf-8")


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


def _read_weights(path: Path) -> NDArray[np.floating]:
    if not path.is_file():
        raise ModelError(
            f"{path.parent} has no model.safetensors",
            faults=[
                Fault("", f"{other.name} is a pickle, which isogloss does not read") for other in _pickles(path.parent)
            ],
            next_step="Save the model as safetensors.",
        )
    try:
        with safe_open(str(path), framework="np") as tensors:
            names = list(tensors.keys())
            table = {name: tensors.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as broken:
        raise ModelError(f"{path} cannot be read: {broken}", next_step="Copy the whole model folder again.") from broken
    weights: NDArray[np.floating]
    if "embedding.weight" in table:
        weights = table["embedding.weight"]
    elif "embeddings" in table:
        weights = table["embeddings"]
        if "mapping" in table:
            weights = weights[table["mapping"]]
        if "weights" in table:
            weights = weights.astype(np.float32) * table["weights"].astype(np.float32)[:, None]
    else:
        raise ModelError(f"{path} has no tensor 'embedding.weight' (it has: {', '.join(sorted(table))})")
    return weights.astype(np.float32) if weights.dtype == np.float64 else weights


def _pickles(folder: Path) -> list[Path]:
    return sorted(path for suffix in ("*.bin", "*.pt", "*.pkl") for path in folder.glob(suffix))
