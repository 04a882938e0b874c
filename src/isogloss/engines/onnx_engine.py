"""The onnxruntime engine: an exported backbone, pooled and scaled here. No torch, no transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from isogloss.engines.bank_manifest import file_digest
from isogloss.engines.batching import TOKENS_PER_BATCH, one_ahead, token_budget_batches, usable_cores
from isogloss.engines.hashing import tokenizer_digest
from isogloss.engines.pooling import Pooling, padded, unit_rows
from isogloss.engines.protocol import Encoded, Progress, SavedModule
from isogloss.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ONNX_FILE = Path("onnx", "model.onnx")
TEXTS_PER_CHUNK = 4096
UNLIMITED_LENGTH = 1_000_000
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUTS = ("sentence_embedding", "last_hidden_state", "token_embeddings")


@dataclass(frozen=True)
class OnnxTower:
    """An exported tower: its file, its tokens, and what becomes of its output.

    Attributes:
        path: The `.onnx` file.
        tokenizer: Truncates at the tower's length.
        pooling: How token vectors become one; None where the graph does that.
        special_tokens: Whether the tokenizer adds them.
        lower_case: Whether texts are lower-cased before they are tokenised.
        padding: Id of the token that fills up short texts.
        recorded: Fingerprint parts of the tower that the file was exported from, empty where nothing was recorded.
        recorded_digest: SHA-256 that the file had then.
    """

    path: Path
    tokenizer: Tokenizer
    pooling: Pooling | None
    special_tokens: bool = True
    lower_case: bool = False
    padding: int = 0
    recorded: Mapping[str, str] | None = None
    recorded_digest: str = ""


class OnnxEngine:
    """Encodes with onnxruntime on the CPU.

    Args:
        tower: The exported tower.
        prompt: What is put before every text.
        session: A session over the same file, to share; by default a new one.

    Raises:
        MissingExtraError: If onnxruntime is not installed.
        ModelError: If it cannot read the file, or the graph wants something else than tokens.
    """

    def __init__(self, tower: OnnxTower, *, prompt: str = "", session: InferenceSession | None = None) -> None:
        self.tower = tower
        self.prompt = prompt
        self.session = session if session is not None else _open(tower.path)
        self._inputs = [entry.name for entry in self.session.get_inputs()]
        outputs = [entry.name for entry in self.session.get_outputs()]
        wanted = OUTPUTS[1:] if tower.pooling is not None else OUTPUTS[:1]
        self._output = next((name for name in wanted if name in outputs), outputs[0])
        foreign = sorted(set(self._inputs) - set(INPUTS))
        if foreign:
            raise ModelError(f"{tower.path} wants the inputs {', '.join(foreign)}; known are {', '.join(INPUTS)}")

    @cached_property
    def dimension(self) -> int:
        """Length of a vector."""
        width = next(entry.shape[-1] for entry in self.session.get_outputs() if entry.name == self._output)
        if not isinstance(width, int):
            return int(self._encode_batch(self._tokenize(["a"])).shape[1])
        return width if self.tower.pooling is None else width * len(self.tower.pooling.modes)

    @property
    def max_length(self) -> int | None:
        """Most tokens of a text, prompt and special tokens included."""
        truncation = self.tower.tokenizer.truncation
        return int(truncation["max_length"]) if truncation else None

    def with_prompt(self, prompt: str) -> OnnxEngine:
        """The same session with another prompt."""
        return self if prompt == self.prompt else OnnxEngine(self.tower, prompt=prompt, session=self.session)

    def copy(self) -> OnnxEngine:
        """An engine with a session of its own."""
        return OnnxEngine(self.tower, prompt=self.prompt)

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> Encoded:
        """Vectors of `texts`, each with the prompt before it."""
        if len(texts) == 1:
            return self._encode_one(texts[0], progress)
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        counts = np.zeros(len(texts), dtype=np.int64)
        truncated = np.zeros(len(texts), dtype=np.bool_)
        chunks = [texts[start : start + TEXTS_PER_CHUNK] for start in range(0, len(texts), TEXTS_PER_CHUNK)]
        start = 0
        for encodings in one_ahead(self._tokenize, chunks):
            stop = start + len(encodings)
            counts[start:stop] = [len(encoding.ids) for encoding in encodings]
            truncated[start:stop] = [bool(encoding.overflowing) for encoding in encodings]
            self._encode_chunk(encodings, counts[start:stop], vectors[start:stop], progress)
            start = stop
        return Encoded(vectors, counts, truncated)

    def _encode_one(self, text: str, progress: Progress | None) -> Encoded:
        """The vector of one query: no sorting, no padding, no second thread."""
        (encoding,) = self._tokenize([text])
        vectors = self._encode_batch([encoding]) if encoding.ids else np.zeros((1, self.dimension), dtype=np.float32)
        if progress is not None:
            progress(1)
        return Encoded(vectors, np.array([len(encoding.ids)]), np.array([bool(encoding.overflowing)]))

    def _encode_chunk(
        self, encodings: list[Encoding], counts: NDArray[np.int64], vectors: NDArray[np.float32], done: Progress | None
    ) -> None:
        for rows in token_budget_batches(counts.tolist(), TOKENS_PER_BATCH):
            filled = [row for row in rows if counts[row]]
            if filled:
                vectors[filled] = self._encode_batch([encodings[row] for row in filled])
            if done is not None:
                done(len(rows))

    def _encode_batch(self, encodings: list[Encoding]) -> NDArray[np.float32]:
        feeds = {"input_ids": padded([encoding.ids for encoding in encodings], self.tower.padding)}
        feeds["attention_mask"] = mask = padded([encoding.attention_mask for encoding in encodings], 0)
        if "token_type_ids" in self._inputs:
            feeds["token_type_ids"] = padded([encoding.type_ids for encoding in encodings], 0)
        (output,) = self.session.run([self._output], {name: feeds[name] for name in self._inputs})
        vectors: NDArray[np.float32] = np.asarray(output, dtype=np.float32)
        if self.tower.pooling is not None:
            if self._prompt_length:
                mask = mask.copy()
                mask[:, : self._prompt_length] = 0
            vectors = self.tower.pooling.pool(vectors, mask)
        return unit_rows(vectors)

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

        A file that is as it was when it passed the parity gate has the parts of the tower that it was exported from:
        its vectors are the same to the rounding of float32, and a quantised one says so in `precision`.
        """
        digest = file_digest(self.tower.path)
        if self.tower.recorded is not None and digest == self.tower.recorded_digest:
            return {**self.tower.recorded, "prompt": self.prompt}
        modes = None if self.tower.pooling is None else list(self.tower.pooling.modes)
        return {
            "weights": f"onnx:{digest}",
            "tokenizer": tokenizer_digest(self.tower.tokenizer.to_str()),
            "prompt": self.prompt,
            "pooling": json.dumps(modes),
            "normalisation": "l2",
            "max_length": str(self.max_length),
            "precision": "onnx",
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


def read_onnx_tower(
    path: Path, folder: Path, pooling: Pooling | None, recorded: Mapping[str, str] | None, digest: str
) -> OnnxTower:
    """Describes the exported tower at `path`.

    Args:
        path: The `.onnx` file.
        folder: Where its tokenizer and configuration are.
        pooling: How token vectors become one; None for static models, whose graph does it.
        recorded: Fingerprint parts noted at the export.
        digest: SHA-256 noted at the export.

    Raises:
        ModelError: If a file is missing or broken.
    """
    place = folder / "tokenizer.json"
    if not place.is_file():
        raise ModelError(f"{folder} has no tokenizer.json", next_step="Copy the whole model folder again.")
    try:
        tokenizer = Tokenizer.from_file(str(place))
    except Exception as broken:  # tokenizers raises plain Exception
        raise ModelError(f"{place} cannot be read: {broken}") from broken
    tokenizer.no_padding()
    tower = OnnxTower(path, tokenizer, pooling, recorded=recorded, recorded_digest=digest)
    if pooling is None:
        return replace(tower, special_tokens=False)
    settings, model = _read(folder / "sentence_bert_config.json"), _read(folder / "config.json")
    lengths = (
        settings.get("max_seq_length"),
        _read(folder / "tokenizer_config.json").get("model_max_length"),
        model.get("max_position_embeddings"),
    )
    limit = next((int(length) for length in lengths if length and length < UNLIMITED_LENGTH), None)
    tokenizer.no_truncation()
    if limit is not None:
        tokenizer.enable_truncation(limit)
    lower_case = bool(settings.get("do_lower_case"))
    return replace(tower, lower_case=lower_case, padding=int(model.get("pad_token_id") or 0))


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as broken:
        raise ModelError(f"{path} cannot be read: {broken}", next_step="Copy the whole model folder again.") from broken
    return found if isinstance(found, dict) else {}


def _open(path: Path) -> InferenceSession:
    try:
        import onnxruntime
    except ModuleNotFoundError as missing:
        raise MissingExtraError("The engine onnx", "onnx") from missing
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    options.log_severity_level = 3
    # Batches differ in shape, so plans of memory by shape would only be kept and never used again.
    options.enable_mem_pattern = False
    # Threads that wait in a loop take the core from the tokenizer, and from everyone else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as broken:  # onnxruntime's errors have no common base but Exception
        raise ModelError(f"{path} cannot be read: {broken}", next_step="Export the model again.") from broken
