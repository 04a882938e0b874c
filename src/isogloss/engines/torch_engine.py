"""The torch engine: texts sorted by length and batched by tokens, so that little is computed on padding."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from isogloss.engines.batching import (
    TOKENS_PER_BATCH,
    TOKENS_PER_GPU_BATCH,
    chunks_to_sort,
    one_ahead,
    pieces_to_tokenize,
    token_budget_batches,
)
from isogloss.engines.pooling import LEGACY_POOLING_KEYS
from isogloss.engines.protocol import Compute, Encoded, Progress, SavedModule
from isogloss.engines.sentence_transformers_modules import Pooling, Transformer
from isogloss.engines.token_rows import TokenRows
from isogloss.engines.torch_tower import Tokens, TorchTower, pooling_modes
from isogloss.errors import ModelError


class TorchEngine:
    """Encodes with a torch tower, without gradients and without dropout.

    Args:
        tower: What computes the vectors.
        tokens_per_batch: Most tokens of a batch, padding included; a longer text is a batch of its own. None is 2,048
            on a processor and 16,384 elsewhere.
        precision: What matrix products and attention are computed in; weights and sums of layers stay in float32.
            `bfloat16` is faster only where the processor has it.
        packed: Whether the texts of a batch lie one behind another, without padding; None is on a GPU of NVIDIA's, for
            the architectures that can.
    """

    def __init__(
        self,
        tower: TorchTower,
        *,
        tokens_per_batch: int | None = None,
        precision: Compute = "float32",
        packed: bool | None = None,
    ) -> None:
        kind = tower.device.type
        self.tower = tower
        self.tokens_per_batch = tokens_per_batch or (TOKENS_PER_BATCH if kind == "cpu" else TOKENS_PER_GPU_BATCH)
        self.precision = precision
        self.packed = packed if packed is not None else kind == "cuda" and tower.can_pack

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.tower.dimension

    @property
    def max_length(self) -> int | None:
        """Most tokens of a text, prompt and special tokens included."""
        return self.tower.max_length

    @property
    def prompt(self) -> str:
        """What is put before every text."""
        return self.tower.prompt

    def with_prompt(self, prompt: str) -> TorchEngine:
        """The same modules with another prompt."""
        return self._over(self.tower.with_prompt(prompt))

    def copy(self) -> TorchEngine:
        """A copy that shares no parameters with this engine."""
        return self._over(copy.deepcopy(self.tower))

    def _over(self, tower: TorchTower) -> TorchEngine:
        return TorchEngine(tower, tokens_per_batch=self.tokens_per_batch, precision=self.precision, packed=self.packed)

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> Encoded:
        """Vectors of `texts`, each with the prompt before it."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        counts = np.zeros(len(texts), dtype=np.int64)
        truncated = np.zeros(len(texts), dtype=np.bool_)
        was_training = self.tower.training
        self.tower.eval()
        try:
            start = 0
            for tokens in one_ahead(self._tokenize, chunks_to_sort(texts)):
                stop = start + len(tokens.counts)
                counts[start:stop] = tokens.counts
                truncated[start:stop] = tokens.truncated
                self._encode_chunk(tokens, vectors[start:stop], progress)
                start = stop
        finally:
            self.tower.train(was_training)
        return Encoded(vectors, counts, truncated)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, prompt and special tokens included, before any is cut."""
        return self.tower.whole_token_counts(texts)

    def _tokenize(self, texts: Sequence[str]) -> TokenRows:
        return TokenRows.joined(map(self._tokenize_piece, pieces_to_tokenize(texts)))

    def _tokenize_piece(self, texts: Sequence[str]) -> TokenRows:
        tokens = self.tower.tokenize(texts)
        return TokenRows.of_lists(tokens.columns, tokens.truncated)

    def _encode_chunk(self, tokens: TokenRows, vectors: np.ndarray, progress: Progress | None) -> None:
        with torch.inference_mode(), self._computing():
            for rows in token_budget_batches(tokens.counts.tolist(), self.tokens_per_batch):
                counts = tokens.counts[rows].tolist()
                batch = Tokens(tokens.lists(rows), counts, tokens.truncated[rows].tolist())
                vectors[rows] = self.tower(self._collate(batch)).cpu().numpy()
                if progress is not None:
                    progress(len(rows), sum(counts))

    def _collate(self, batch: Tokens) -> dict[str, Any]:
        # One text has no padding, and padded attention needs no mask for it.
        rows = range(len(batch.counts))
        packed = self.packed and len(rows) > 1
        return self.tower.collate_packed(batch, rows) if packed else self.tower.collate(batch, rows)

    def _computing(self) -> torch.autocast:
        """Rounds the weights once for all batches inside it."""
        return torch.autocast(self.tower.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    def fingerprint_parts(self) -> Mapping[str, str]:
        """What decides the vectors, by name."""
        return {**self.tower.fingerprint_parts(), "precision": self.precision}

    def saved_modules(self) -> list[SavedModule]:
        """The modules of the tower, and `Normalize`."""
        modules = [
            SavedModule(_kind(module), partial(_write_module, module), id(module)) for module in self.tower.encoder
        ]
        return [*modules, SavedModule("Normalize", lambda folder: None, 0)]


def _kind(module: nn.Module) -> str:
    if not type(module).__module__.startswith("sentence_transformers."):
        raise ModelError(
            f"The model has a module of its own code, {type(module).__module__}.{type(module).__name__}",
            next_step="isogloss saves models of sentence-transformers' own modules only.",
        )
    return type(module).__name__


def _write_module(module: nn.Module, folder: Path) -> None:
    """Writes a module as all supported releases of sentence-transformers read it."""
    if isinstance(module, Transformer):
        _write_transformer(module, folder)
        return
    cast("Any", module).save(str(folder), safe_serialization=True)
    legacy = _legacy_pooling(module) if isinstance(module, Pooling) else None
    if legacy is not None:
        _write_json(folder / "config.json", legacy)


def _write_transformer(module: Transformer, folder: Path) -> None:
    tokenizer = cast("Any", module.tokenizer)
    if tokenizer.is_fast:
        # Every call sets these anew, and the last call must not get into the file.
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    module.save(str(folder), safe_serialization=True)
    _name_tokenizer_for_all(folder / "tokenizer_config.json")
    config_path = folder / "sentence_bert_config.json"
    written = json.loads(config_path.read_text(encoding="utf-8"))
    if written.get("transformer_task", "feature-extraction") == "feature-extraction" and not written.get(
        "processing_kwargs"
    ):
        # Releases before 6 know these two keys only, and later ones read them too.
        legacy = {
            "max_seq_length": module.max_seq_length,
            "do_lower_case": bool(getattr(module, "do_lower_case", False)),
        }
        _write_json(config_path, legacy)


def _name_tokenizer_for_all(path: Path) -> None:
    """Calls a tokenizer without a class of its own by the name that transformers 4 knows, which 5 reads as well."""
    written = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if written.get("tokenizer_class") == "TokenizersBackend":
        _write_json(path, {**written, "tokenizer_class": "PreTrainedTokenizerFast"})


def _legacy_pooling(module: Pooling) -> dict[str, object] | None:
    """The configuration that all releases read; None where its flags cannot say the order of the modes."""
    modes = pooling_modes(module)
    flags = {key: mode in modes for mode, key in LEGACY_POOLING_KEYS.items()}
    if [mode for mode in LEGACY_POOLING_KEYS if mode in modes] != modes:
        return None
    config = module.get_config_dict()
    width = config.get("embedding_dimension", config.get("word_embedding_dimension"))
    return {"word_embedding_dimension": width, **flags, "include_prompt": module.include_prompt}


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
