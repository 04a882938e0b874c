"""A query generator: an encoder-decoder of transformers, its tokenizer, its prompt and its lengths.

generator/
  config.json, model.safetensors, tokenizer …   as transformers writes them
  query_generator.json                          prompt, lengths, whether the end counts
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from isogloss.engines.hashing import parts_digest, tensor_digest
from isogloss.errors import ModelError, UsageError
from isogloss.files import FolderKind, atomic_folder, read_json, write_json
from isogloss.generation.prompts import Prompt
from isogloss.models.folder import CHECKPOINT_FILES
from isogloss.models.hub import resolve_model

NOTE = "query_generator.json"
FORMAT = 1
GENERATOR = FolderKind("a query generator", NOTE, CHECKPOINT_FILES)
IGNORED_LABEL = -100


@dataclass
class QueryGenerator:
    """An encoder-decoder that reads a prompt with a passage and writes a query.

    Attributes:
        model: The encoder-decoder.
        tokenizer: Its tokenizer.
        prompt: What it reads.
        max_source_tokens: Longest prompt with passage; what is longer is cut at its end.
        max_query_tokens: Longest query that is scored or learnt, end included.
        count_eos: Whether the end counts as a token of the query.
    """

    model: Any
    tokenizer: Any
    prompt: Prompt
    max_source_tokens: int = 128
    max_query_tokens: int = 32
    count_eos: bool = True

    @classmethod
    def load(cls, path_or_name: str | Path) -> QueryGenerator:
        """Opens a generator that was trained here, or any encoder-decoder by folder or name.

        Only safetensors are read, and no code of the model runs.

        Raises:
            ModelError: If there is none, it is no encoder-decoder, or it has pickled weights alone.
        """
        folder = resolve_model(path_or_name)
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
            model = AutoModelForSeq2SeqLM.from_pretrained(
                str(folder), use_safetensors=True, trust_remote_code=False, dtype=torch.float32
            )
        except (OSError, ValueError, ImportError, KeyError, RuntimeError) as broken:
            reason = str(broken).strip().splitlines()[0] if str(broken).strip() else type(broken).__name__
            raise ModelError(
                f"{path_or_name} cannot be opened as an encoder-decoder: {reason}",
                next_step="Give the folder of an mT5, ByT5 or other encoder-decoder with its weights as safetensors; "
                "pickled weights are not read: save them once with safe_serialization=True.",
            ) from broken
        model.eval()
        generator = cls(model, tokenizer, Prompt())
        return generator._with_note(folder) if (folder / NOTE).is_file() else generator

    def _with_note(self, folder: Path) -> QueryGenerator:
        note = read_json(folder / NOTE)
        if not isinstance(note, dict) or note.get("format") != FORMAT:
            raise ModelError(f"{folder / NOTE} is of another release", next_step=f"This release reads format {FORMAT}.")
        return replace(
            self,
            prompt=Prompt(str(note["prompt"])),
            max_source_tokens=int(note["max_source_tokens"]),
            max_query_tokens=int(note["max_query_tokens"]),
            count_eos=bool(note["count_eos"]),
        )

    def note(self) -> dict[str, Any]:
        """What of it transformers does not keep."""
        return {
            "format": FORMAT,
            "prompt": self.prompt.template,
            "max_source_tokens": self.max_source_tokens,
            "max_query_tokens": self.max_query_tokens,
            "count_eos": self.count_eos,
        }

    def save(self, path: Path, *, overwrite: bool = False) -> None:
        """Writes the folder, whole or not at all.

        Raises:
            FileError: If it cannot be written.
        """
        with atomic_folder(path, overwrite=overwrite, kind=GENERATOR) as folder:
            self.model.save_pretrained(folder, safe_serialization=True)
            self.tokenizer.save_pretrained(folder)
            write_json(folder / NOTE, self.note())

    @cached_property
    def checkpoint(self) -> str:
        """Digest of weights and vocabulary: generators with one checkpoint give one likelihood to the same tokens.

        It is taken once; load the generator again after training it.
        """
        tensors = {name: value.detach().cpu().float().numpy() for name, value in self.model.named_parameters()}
        vocabulary = "\n".join(f"{token}\t{number}" for token, number in sorted(self.tokenizer.get_vocab().items()))
        pieces = hashlib.sha256(vocabulary.encode("utf-8", "surrogatepass")).hexdigest()
        return parts_digest(
            {"weights": tensor_digest(tensors), "vocabulary": pieces, "kind": type(self.model).__name__}
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = next(iter(self.model.parameters())).device
        return device

    def on_best_device(self) -> QueryGenerator:
        """Moves the model to a GPU where there is one."""
        if torch.cuda.is_available():
            self.model.to("cuda")
        return self

    def source_ids(self, sources: Sequence[str]) -> list[list[int]]:
        """Tokens of rendered prompts, cut to `max_source_tokens`."""
        return self._ids(sources, self.max_source_tokens)

    def query_ids(self, queries: Sequence[str]) -> list[list[int]]:
        """Tokens of queries with their end, cut to `max_query_tokens`.

        Raises:
            UsageError: If a query has no token of its own.
        """
        found = self._ids(queries, self.max_query_tokens)
        empty = [query for query, tokens in zip(queries, found, strict=True) if len(tokens) < 2]
        if empty:
            raise UsageError(f"the query {empty[0]!r} has no token", next_step="Leave empty queries out.")
        return found

    def _ids(self, texts: Sequence[str], longest: int) -> list[list[int]]:
        if not texts:
            return []
        end = int(self.tokenizer.eos_token_id)
        found: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return [[*tokens[: longest - 1], end] for tokens in found]

    def padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Token ids and mask, each of shape (rows, longest), on the model's device."""
        width = max(len(row) for row in rows)
        ids = torch.full((len(rows), width), int(self.tokenizer.pad_token_id), dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = torch.tensor(row, dtype=torch.long)
            mask[place, : len(row)] = 1
        return ids.to(self.device), mask.to(self.device)
