"""One tower in torch: the sentence-transformers modules of a role, with its prompt, as a plain module.

Training replays its forward pass and the torch engine encodes with it, so both see the same tokens and vectors.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from isogloss.engines.hashing import tensor_digest, text_digest, tokenizer_digest
from isogloss.engines.mean_rows import mean_rows
from isogloss.engines.packed import Packing, can_pack, packed_attention, packed_positions
from isogloss.engines.pooling import LEGACY_POOLING_KEYS
from isogloss.engines.sentence_transformers_modules import Normalize, Pooling, StaticEmbedding, Transformer
from isogloss.errors import ModelError
from isogloss.records import Role

UNLIMITED_LENGTH = 1_000_000  # transformers says "no limit" with 1e30


@dataclass(frozen=True)
class Tokens:
    """Token ids of some texts, prompts included and truncated.

    Attributes:
        columns: Model inputs by name, one list per text, unpadded.
        counts: Tokens per text.
        truncated: Whether tokens of the text were cut off.
    """

    columns: dict[str, list[list[int]]]
    counts: list[int]
    truncated: list[bool]


class TorchTower(nn.Module):
    """Encodes the texts of one role, with gradients where its parameters want them.

    Args:
        modules: Modules of one route, the first a `Transformer` or a `StaticEmbedding`; computed in float32. A final
            `Normalize` is dropped, for the vectors have unit length in any case.
        prompt: What is put before every text.

    Raises:
        ModelError: If the first module takes no plain text.
    """

    def __init__(self, modules: Sequence[nn.Module], *, prompt: str = "") -> None:
        super().__init__()
        kept = list(modules)
        while len(kept) > 1 and isinstance(kept[-1], Normalize):
            kept.pop()
        if not kept or not isinstance(kept[0], StaticEmbedding | Transformer):
            kinds = ", ".join(type(module).__name__ for module in kept) or "nothing"
            raise ModelError(
                f"A tower begins with Transformer or StaticEmbedding, not with: {kinds}",
                next_step="Use a sentence-transformers model for text.",
            )
        if isinstance(kept[0], Transformer) and "message" in getattr(kept[0], "modality_config", {}):
            raise ModelError(
                "The model wants chat messages, which isogloss does not write",
                next_step="Save it with sentence-transformers and a `text` modality, then load the folder.",
            )
        self.encoder = nn.Sequential(*kept).float()
        self.prompt = prompt

    @property
    def first(self) -> StaticEmbedding | Transformer:
        """The module that takes tokens."""
        return cast("StaticEmbedding | Transformer", self.encoder[0])

    @property
    def tokenizer(self) -> Any:
        """A `tokenizers` tokenizer for static models, one of transformers for the others."""
        return self.first.tokenizer

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        for module in reversed(self.encoder):
            for name in ("get_embedding_dimension", "get_sentence_embedding_dimension"):
                dimension = getattr(module, name, lambda: None)()
                if dimension is not None:
                    return int(dimension)
            if isinstance(module, Pooling):
                return int(module.pooling_output_dimension)
        kinds = ", ".join(type(module).__name__ for module in self.encoder)
        raise ModelError(
            f"The model does not say how long its vectors are (its modules: {kinds})",
            next_step="End it with sentence-transformers' Pooling or Dense, save it, and load the folder.",
        )

    @property
    def max_length(self) -> int | None:
        """Most tokens of a text, prompt and special tokens included; None is no limit."""
        if isinstance(self.first, StaticEmbedding):
            truncation = self.tokenizer.truncation
            return int(truncation["max_length"]) if truncation else None
        length = self.first.max_seq_length
        return int(length) if length is not None and length < UNLIMITED_LENGTH else None

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Token ids of `texts` with the prompt before each, truncated to `max_length`, unpadded."""
        prompted = [self.prompt + text for text in texts]
        if isinstance(self.first, StaticEmbedding):
            encodings = self.tokenizer.encode_batch(prompted, add_special_tokens=False)
            ids = [encoding.ids for encoding in encodings]
            return Tokens({"input_ids": ids}, [len(row) for row in ids], [bool(row.overflowing) for row in encodings])
        return self._tokenize_for_transformer(prompted)

    def _tokenize_for_transformer(self, prompted: list[str]) -> Tokens:
        if getattr(self.first, "do_lower_case", False):
            prompted = [text.lower() for text in prompted]
        tokenizer = self.tokenizer
        if not prompted:
            return Tokens({"input_ids": []}, [], [])
        limit = self.max_length
        batch = tokenizer(prompted, truncation=limit is not None, max_length=limit, padding=False)
        columns = {name: list(batch[name]) for name in batch if name in tokenizer.model_input_names}
        counts = [len(row) for row in columns["input_ids"]]
        if tokenizer.is_fast:
            truncated = [bool(encoding.overflowing) for encoding in batch.encodings]
        else:
            whole = tokenizer(prompted, truncation=False, padding=False)["input_ids"]
            truncated = [len(row) > count for row, count in zip(whole, counts, strict=True)]
        return Tokens(columns, counts, truncated)

    def collate(self, tokens: Tokens, rows: Sequence[int]) -> dict[str, Any]:
        """Model inputs for the texts at `rows` of `tokens`, padded together, on the device of the tower."""
        if isinstance(self.first, StaticEmbedding):
            ids = [tokens.columns["input_ids"][row] for row in rows]
            starts = np.cumsum([0, *(len(row) for row in ids[:-1])]) if ids else np.zeros(0, dtype=np.int64)
            features = {
                "input_ids": torch.tensor([token for row in ids for token in row], dtype=torch.long),
                "offsets": torch.from_numpy(starts.astype(np.int64)),
            }
        else:
            chosen = {name: [column[row] for row in rows] for name, column in tokens.columns.items()}
            if len(rows) == 1:  # a query, which needs no padding
                features = {name: torch.tensor(values) for name, values in chosen.items()}
            else:
                features = dict(self.tokenizer.pad(chosen, padding=True, return_tensors="pt"))
        features = {name: values.to(self.device) for name, values in features.items()}
        return features | self._prompt_features()

    @property
    def can_pack(self) -> bool:
        """Whether `collate_packed` is for this tower."""
        return isinstance(self.first, Transformer) and can_pack(cast("Any", self.first).auto_model)

    def collate_packed(self, tokens: Tokens, rows: Sequence[int]) -> dict[str, Any]:
        """Model inputs for the texts at `rows` of `tokens`, one behind another in one row, for `forward`."""
        counts = [tokens.counts[row] for row in rows]
        inputs = {
            name: torch.tensor([[value for row in rows for value in column[row]]])
            for name, column in tokens.columns.items()
            if name != "attention_mask"
        }
        inputs["position_ids"] = packed_positions(cast("Any", self.first).auto_model, counts)
        features: dict[str, Any] = {name: values.to(self.device) for name, values in inputs.items()}
        return features | {"packing": Packing.of(counts, self.device)} | self._prompt_features()

    def _prompt_features(self) -> dict[str, int]:
        """`prompt_length` for the models whose pooling leaves the prompt out."""
        leaves_out = any(isinstance(module, Pooling) and not module.include_prompt for module in self.encoder)
        if not self.prompt or not leaves_out:
            return {}
        ids = self.tokenizer(self.prompt)["input_ids"]
        closed = bool(ids) and ids[-1] in self.tokenizer.all_special_ids
        return {"prompt_length": len(ids) - closed}

    def features(self, texts: Sequence[str]) -> dict[str, Any]:
        """Model inputs of `texts`: prompt added, truncated, padded together, on the device of the tower."""
        return self.collate(self.tokenize(texts), range(len(texts)))

    def whole_token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens per text, prompt and special tokens included, before truncation."""
        prompted = [self.prompt + text for text in texts]
        if isinstance(self.first, StaticEmbedding):
            encodings = self.tokenizer.encode_batch(prompted, add_special_tokens=False)
            return [len(row.ids) + sum(len(rest.ids) for rest in row.overflowing) for row in encodings]
        if getattr(self.first, "do_lower_case", False):
            prompted = [text.lower() for text in prompted]
        return [len(row) for row in self.tokenizer(prompted, truncation=False, padding=False)["input_ids"]]

    def forward(self, features: dict[str, Any]) -> Tensor:
        """Vectors of shape (texts, dimension), float32, unit length; `features` is left as it is."""
        return F.normalize(self._embedding(dict(features)).float(), p=2, dim=-1)

    def _embedding(self, features: dict[str, Any]) -> Tensor:
        if "packing" in features:
            return self._packed_embedding(features)
        table = self.first.embedding.weight if isinstance(self.first, StaticEmbedding) else None
        wanted = table is not None and table.requires_grad and torch.is_grad_enabled()
        if table is None or not wanted or table.device.type != "cpu" or table.dtype != torch.float32:
            embedding: Tensor = self.encoder(features)["sentence_embedding"]
            return embedding
        sparse = self.first.embedding.sparse
        features["sentence_embedding"] = mean_rows(table, features["input_ids"], features["offsets"], sparse=sparse)
        rest: Tensor = self.encoder[1:](features)["sentence_embedding"]
        return rest

    def _packed_embedding(self, features: dict[str, Any]) -> Tensor:
        packing: Packing = features["packing"]
        model = cast("Any", self.first).auto_model
        inputs = {name: value for name, value in features.items() if name != "prompt_length"}
        with packed_attention(model):
            states: Tensor = model(**inputs).last_hidden_state[0]
        apart = {"token_embeddings": packing.apart(states), "attention_mask": packing.mask.long()}
        embedding: Tensor = self.encoder[1:](features | apart)["sentence_embedding"]
        return embedding

    def with_prompt(self, prompt: str) -> TorchTower:
        """A tower with another prompt over the very same modules; this one where the prompt is its own."""
        return self if prompt == self.prompt else TorchTower(list(self.encoder), prompt=prompt)

    def fingerprint_parts(self) -> dict[str, str]:
        """What decides the vectors, by name."""
        return {
            "weights": tensor_digest(self.tensors()),
            "tokenizer": self._tokenizer_digest(),
            "prompt": self.prompt,
            "pooling": json.dumps([_description(module) for module in self.encoder], sort_keys=True),
            "normalisation": "l2",
            "max_length": str(self.max_length),
            "precision": "float32",
        }

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Parameters and persistent buffers as arrays, by name."""
        state = self.encoder.state_dict()
        return {name: value.detach().cpu().numpy() for name, value in state.items()}

    def _tokenizer_digest(self) -> str:
        if isinstance(self.first, StaticEmbedding):
            return tokenizer_digest(self.tokenizer.to_str())
        if self.tokenizer.is_fast:
            return tokenizer_digest(self.tokenizer.backend_tokenizer.to_str())
        return text_digest(json.dumps(self.tokenizer.get_vocab(), sort_keys=True, ensure_ascii=False))


class TorchTowers(nn.Module):
    """The towers of a retriever, to train.

    Args:
        query: Tower of the queries.
        passage: Tower of the passages, over the modules of `query` where the towers are shared.
        frozen_passage: Whether the passage tower has to stay as it is.
    """

    def __init__(self, query: TorchTower, passage: TorchTower, *, frozen_passage: bool = False) -> None:
        super().__init__()
        self.frozen_passage = frozen_passage
        self.shared = query.encoder[0] is passage.encoder[0] and not frozen_passage
        self.query = query
        if self.shared:
            # Not registered, so that a checkpoint holds the shared weights once.
            self.__dict__["passage"] = passage
        else:
            self.passage = passage
        if frozen_passage:
            passage.requires_grad_(False)

    @property
    def towers(self) -> dict[Role, TorchTower]:
        """Tower by role; one object twice where the towers share both weights and prompt."""
        return {"query": self.query, "passage": self.passage}


def _description(module: nn.Module) -> dict[str, Any]:
    """What a module does, in words that hold for all releases of sentence-transformers."""
    if isinstance(module, Pooling):
        return {"kind": "Pooling", "modes": pooling_modes(module), "include_prompt": module.include_prompt}
    return {"kind": type(module).__name__}


def pooling_modes(module: Pooling) -> list[str]:
    """Modes of a pooling module, in the order in which their vectors are joined."""
    modes: Any = getattr(module, "pooling_mode", None)
    if modes is None:  # releases before 6
        return [mode for mode, key in LEGACY_POOLING_KEYS.items() if getattr(module, key)]
    return [modes] if isinstance(modes, str) else list(modes)
