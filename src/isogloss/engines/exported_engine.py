"""Encodes with an exported graph, whatever runs it: tokenised, batched, pooled and scaled here, without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from isogloss.engines.batching import (
    TOKENS_PER_BATCH,
    chunks_to_sort,
    one_ahead,
    pieces_to_tokenize,
    token_budget_batches,
)
from isogloss.engines.exported_tower import ExportedTower, graph_digest
from isogloss.engines.hashing import tokenizer_digest
from isogloss.engines.pooling import padded, unit_rows
from isogloss.engines.protocol import Encoded, Progress, SavedModule
from isogloss.engines.token_rows import TokenRows
from isogloss.errors import ModelError

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUTS = ("sentence_embedding", "last_hidden_state", "token_embeddings")


class Graph(Protocol):
    """A graph that a library opened, ready to run. Several threads may run it."""

    @property
    def kind(self) -> str:
        """Name of the library, for fingerprints."""

    @property
    def inputs(self) -> Sequence[str]:
        """Names of its inputs."""

    @property
    def outputs(self) -> Mapping[str, int | None]:
        """Width of each output by name, None where it is not said."""

    def run(self, output: str, feeds: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """The output of that name, an array of the caller's own."""

    def precision(self, noted: str) -> str:
        """What it is computed in on this processor, given what it was exported in."""

    def reopened(self) -> Graph:
        """The same files, opened once more."""


class ExportedEngine:
    """Encodes with the graph of an exported tower.

    Args:
        tower: The exported tower.
        graph: Its graph, opened.
        prompt: What is put before every text.

    Raises:
        ModelError: If the graph wants something else than tokens.
    """

    def __init__(self, tower: ExportedTower, graph: Graph, *, prompt: str = "") -> None:
        self.tower = tower
        self.graph = graph
        self.prompt = prompt
        wanted = OUTPUTS[1:] if tower.pooling is not None else OUTPUTS[:1]
        self._output = next((name for name in wanted if name in graph.outputs), next(iter(graph.outputs)))
        foreign = sorted(set(graph.inputs) - set(INPUTS))
        if foreign:
            raise ModelError(
                f"{tower.path} wants the inputs {', '.join(foreign)}; known are {', '.join(INPUTS)}",
                next_step="Export the model by isogloss export, or load the one it was made from with engine='torch'.",
            )

    @cached_property
    def dimension(self) -> int:
        """Length of a vector."""
        width = self.graph.outputs[self._output]
        if width is None:
            return int(self._encode_batch(self._columns(self._tokenize(["a"]))).shape[1])
        return width if self.tower.pooling is None else width * len(self.tower.pooling.modes)

    @property
    def max_length(self) -> int | None:
        """Most tokens of a text, prompt and special tokens included."""
        truncation = self.tower.tokenizer.truncation
        return int(truncation["max_length"]) if truncation else None

    def with_prompt(self, prompt: str) -> ExportedEngine:
        """The same graph with another prompt."""
        return self if prompt == self.prompt else ExportedEngine(self.tower, self.graph, prompt=prompt)

    def copy(self) -> ExportedEngine:
        """An engine with a graph of its own."""
        return ExportedEngine(self.tower, self.graph.reopened(), prompt=self.prompt)

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> Encoded:
        """Vectors of `texts`, each with the prompt before it."""
        if len(texts) == 1:
            return self._encode_one(texts[0], progress)
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        counts = np.zeros(len(texts), dtype=np.int64)
        truncated = np.zeros(len(texts), dtype=np.bool_)
        start = 0
        for tokens in one_ahead(self._tokenize_chunk, chunks_to_sort(texts)):
            stop = start + len(tokens.counts)
            counts[start:stop] = tokens.counts
            truncated[start:stop] = tokens.truncated
            self._encode_chunk(tokens, vectors[start:stop], progress)
            start = stop
        return Encoded(vectors, counts, truncated)

    def _encode_one(self, text: str, progress: Progress | None) -> Encoded:
        """The vector of one query: no sorting, no padding, no second thread."""
        (encoding,) = self._tokenize([text])
        columns = self._columns([encoding])
        vectors = self._encode_batch(columns) if encoding.ids else np.zeros((1, self.dimension), dtype=np.float32)
        if progress is not None:
            progress(1, len(encoding.ids))
        return Encoded(vectors, np.array([len(encoding.ids)]), np.array([bool(encoding.overflowing)]))

    def _encode_chunk(self, tokens: TokenRows, vectors: NDArray[np.float32], done: Progress | None) -> None:
        counts = tokens.counts
        for rows in token_budget_batches(counts.tolist(), TOKENS_PER_BATCH):
            filled = [row for row in rows if counts[row]]
            if filled:
                vectors[filled] = self._encode_batch(tokens.lists(filled))
            if done is not None:
                done(len(rows), int(counts[rows].sum()))

    def _encode_batch(self, columns: Mapping[str, Sequence[Sequence[int]]]) -> NDArray[np.float32]:
        feeds = self._feeds(columns)
        vectors = self.graph.run(self._output, {name: feeds[name] for name in self.graph.inputs})
        if self.tower.pooling is not None:
            mask = feeds["attention_mask"]
            if self._prompt_length:
                mask = mask.copy()
                mask[:, : self._prompt_length] = 0
            vectors = self.tower.pooling.pool(vectors, mask)
        return unit_rows(vectors)

    def _feeds(self, columns: Mapping[str, Sequence[Sequence[int]]]) -> dict[str, NDArray[np.int64]]:
        fillers = {"input_ids": self.tower.padding}
        return {name: padded(rows, fillers.get(name, 0)) for name, rows in columns.items()}

    def _columns(self, encodings: Sequence[Encoding]) -> dict[str, list[list[int]]]:
        """The inputs of the graph, and the mask in any case, by which token vectors are pooled."""
        columns = {
            "input_ids": [encoding.ids for encoding in encodings],
            "attention_mask": [encoding.attention_mask for encoding in encodings],
        }
        if "token_type_ids" in self.graph.inputs:
            columns["token_type_ids"] = [encoding.type_ids for encoding in encodings]
        return columns

    def feeds(self, text: str) -> dict[str, NDArray[np.int64]]:
        """The inputs of the graph for one text, by name; each of shape (1, tokens)."""
        feeds = self._feeds(self._columns(self._tokenize([text])))
        return {name: feeds[name] for name in self.graph.inputs}

    def _tokenize_chunk(self, texts: Sequence[str]) -> TokenRows:
        return TokenRows.joined(map(self._tokenize_piece, pieces_to_tokenize(texts)))

    def _tokenize_piece(self, texts: Sequence[str]) -> TokenRows:
        encodings = self._tokenize(texts)
        return TokenRows.of_lists(self._columns(encodings), [bool(encoding.overflowing) for encoding in encodings])

    def _tokenize(self, texts: Sequence[str]) -> list[Encoding]:
        return self._tokenize_prompted([self.prompt + text for text in texts])

    def _tokenize_prompted(self, prompted: list[str]) -> list[Encoding]:
        if self.tower.lower_case:
            prompted = [text.lower() for text in prompted]
        found: list[Encoding] = self.tower.tokenizer.encode_batch_fast(
            prompted, add_special_tokens=self.tower.special_tokens
        )
        return found

    @cached_property
    def _prompt_length(self) -> int:
        """Tokens at the beginning that pooling leaves out, which are those of the prompt or none."""
        if not self.prompt or self.tower.pooling is None or self.tower.pooling.include_prompt:
            return 0
        (encoding,) = self._tokenize_prompted([self.prompt])
        return len(encoding.ids) - encoding.special_tokens_mask[-1]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, prompt and special tokens included, before any is cut."""
        added = self.tower.tokenizer.num_special_tokens_to_add(False) if self.tower.special_tokens else 0
        return [len(row.ids) + sum(len(rest.ids) - added for rest in row.overflowing) for row in self._tokenize(texts)]

    def fingerprint_parts(self) -> Mapping[str, str]:
        """What decides the vectors, by name.

        A file that is as it was when it passed the parity gate has the parts of the tower that it was exported from,
        and the `precision` that this processor computes it in.
        """
        digest, noted = graph_digest(self.tower.path), self.tower.note.parts
        if noted and digest == self.tower.note.sha256:
            return {**noted, "prompt": self.prompt, "precision": self.graph.precision(noted["precision"])}
        modes = None if self.tower.pooling is None else list(self.tower.pooling.modes)
        return {
            "weights": f"{self.graph.kind}:{digest}",
            "tokenizer": tokenizer_digest(self.tower.tokenizer.to_str()),
            "prompt": self.prompt,
            "pooling": json.dumps(modes),
            "normalisation": "l2",
            "max_length": str(self.max_length),
            "precision": self.graph.precision(self.graph.kind),
        }

    def saved_modules(self) -> list[SavedModule]:
        """Raises: an exported model is copied as a folder.

        Raises:
            ModelError: Always.
        """
        raise ModelError(
            f"{self.tower.path} is an exported model, which is not saved anew",
            next_step="Copy its folder, or load the model that it was exported from.",
        )
