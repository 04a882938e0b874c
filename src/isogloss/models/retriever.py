"""The retriever: a query tower and a passage tower that give vectors of one space."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.exported_engine import ExportedEngine
from isogloss.engines.protocol import Compute, Encoded, Engine, Proving
from isogloss.engines.static import StaticEngine
from isogloss.engines.truncated import whole_engine
from isogloss.errors import DataError, Fault, UsageError, raise_faults
from isogloss.models.bank_workers import ModelSource, shard_maker
from isogloss.models.encoding_checks import (
    check_choice,
    check_texts,
    languages_of,
    place_of,
    refuse_empty,
    refuse_surrogates,
    shown,
)
from isogloss.models.engine_loading import ENGINES, EngineName, load_engines
from isogloss.models.fingerprints import Fingerprint
from isogloss.models.folder import TITLE_TEMPLATE, read_model_folder
from isogloss.models.hub import resolve_model
from isogloss.models.persistence import write_model_folder
from isogloss.models.prompts import LOGGER, resolve_prompts
from isogloss.models.truncation import OnOverflow, TruncationReport
from isogloss.progress import EncodingProgress, encoding_bar
from isogloss.records import Role, Text

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from isogloss.engines.bank import BankReport
    from isogloss.engines.torch_tower import TorchTowers

Precision = Literal["as_is", "float16", "int8"]
TowerKind = Literal["shared", "separate", "frozen_passage"]
ROLES: tuple[Role, Role] = ("query", "passage")


@dataclass(frozen=True)
class Tower:
    """What encodes the texts of one role.

    Attributes:
        role: `query` or `passage`.
        engine: Computes the vectors, prompt included.
        title_template: How a title and a text become one text; only passages have titles.
    """

    role: Role
    engine: Engine
    title_template: str = TITLE_TEMPLATE

    @property
    def prompt(self) -> str:
        """What is put before every text."""
        return self.engine.prompt

    @property
    def max_length(self) -> int | None:
        """Most tokens of a text; None is no limit."""
        return self.engine.max_length

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """What decides the vectors of this tower; taken once, for the tower does not change."""
        parts = dict(self.engine.fingerprint_parts())
        if self.role == "passage":
            parts["title_template"] = self.title_template
        return Fingerprint(parts)

    def whole_text(self, text: str | Text) -> str:
        """The text that is encoded: with its title, without the prompt."""
        if isinstance(text, str):
            return text
        if self.role == "passage" and text.title:
            fields = {"{title}": text.title, "{text}": text.text}
            # In one pass, so that braces inside a title stay what they are.
            return re.sub(r"\{title\}|\{text\}", lambda field: fields[field[0]], self.title_template)
        return text.text


@dataclass(frozen=True)
class Retriever:
    """A query tower and a passage tower, with the prompts and the lengths of their roles.

    Attributes:
        query: Tower of the queries.
        passage: Tower of the passages.
        towers: `shared` (one set of weights), `separate`, or `frozen_passage`: separate, and training leaves
            the passage tower as it is.
        on_overflow: What happens when a text is longer than its tower reads: `warn`, `error` or `ignore`.
        truncation: How many texts lost tokens, by role and language.
        prompts: All prompts by the names that sentence-transformers uses.
        default_prompt_name: Name of the prompt of texts without a role, for sentence-transformers.
        source: How the same model is loaded in another process; None where it exists in memory only.

    Examples:
        >>> retriever = Retriever.load("bundled")
        >>> retriever.encode_query(["Wo mündet der Fluss?"]).shape
        (1, 400)
    """

    query: Tower
    passage: Tower
    towers: TowerKind = "shared"
    on_overflow: OnOverflow = "warn"
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    truncation: TruncationReport = field(default_factory=TruncationReport, compare=False)
    source: ModelSource | None = field(default=None, compare=False)

    @classmethod
    def load(
        cls,
        path_or_name: str | Path,
        *,
        engine: EngineName = "auto",
        trust_remote_code: bool = False,
        prompts: Mapping[str, str] | None = None,
        on_overflow: OnOverflow = "warn",
        dimension: int | None = None,
        precision: Compute | None = None,
        device: str | None = None,
    ) -> Retriever:
        """Loads a model folder, a Hugging Face name, or `bundled`.

        Args:
            path_or_name: A sentence-transformers folder, a checkpoint of transformers, a hub name, or `bundled`.
            engine: `static` for static models, `onnx` or `openvino` for exported ones, all without torch; `torch`; or
                `auto`: static where it can, else what the folder was exported to, else torch.
            trust_remote_code: Whether code that comes with the model may run.
            prompts: Prompts by role instead of those of the folder.
            on_overflow: What happens when a text is longer than its tower reads.
            dimension: Leading dimensions that are kept; None is what the folder says.
            precision: What torch computes matrix products in, `float32` or `bfloat16`; it is part of the fingerprint.
                None is float32, and for an exported model what it was exported in.
            device: Where torch computes, such as `cpu` or `cuda:1`; None is a GPU where there is one. The other engines
                compute on the processor.

        Raises:
            ModelError: If it cannot be loaded.
            UsageError: If an argument is none of the allowed values.
        """
        if not isinstance(path_or_name, (str, os.PathLike)):
            raise UsageError(
                f"path_or_name: {path_or_name!r:.60} is {type(path_or_name).__name__}",
                next_step="Give the path of a model folder, a name on the hub, or 'bundled'.",
            )
        check_choice("engine", engine, ENGINES)
        check_choice("on_overflow", on_overflow, ("warn", "error", "ignore"))
        check_choice("precision", precision or "float32", get_args(Compute))
        place = resolve_model(path_or_name)
        folder = read_model_folder(place, str(path_or_name))
        by_role = resolve_prompts(folder.prompts, folder.default_prompt_name, folder.names, prompts)
        engines = load_engines(folder, by_role, engine, trust_remote_code, dimension, precision, device)
        template = str(folder.notes.get("title_template", TITLE_TEMPLATE))
        shared: TowerKind = "separate" if folder.route_names else "shared"
        recorded = folder.notes.get("towers", shared)
        return cls(
            query=Tower("query", engines["query"], template),
            passage=Tower("passage", engines["passage"], template),
            towers=recorded if recorded in ("separate", "frozen_passage") and folder.route_names else shared,
            on_overflow=on_overflow,
            prompts=folder.prompts,
            default_prompt_name=folder.default_prompt_name,
            source=ModelSource(
                path_or_name if isinstance(path_or_name, str) else str(place),
                engine,
                trust_remote_code,
                prompts,
                dimension,
                precision,
                device,
            ),
        )

    @classmethod
    def from_sentence_transformer(cls, model: SentenceTransformer, *, on_overflow: OnOverflow = "warn") -> Retriever:
        """A retriever over the modules of a sentence-transformers model in memory; the model is left as it is."""
        import copy

        from isogloss.models.torch_loading import engine_for, modules_by_role

        routes = modules_by_role(copy.deepcopy(model))
        recorded = {key: prompt or "" for key, prompt in model.prompts.items()}
        prompts = resolve_prompts(recorded, model.default_prompt_name, ("The model in memory",))
        shared = routes["query"] is routes["passage"]
        query = engine_for(routes["query"], prompts["query"])
        passage = query.with_prompt(prompts["passage"]) if shared else engine_for(routes["passage"], prompts["passage"])
        return cls(
            query=Tower("query", query),
            passage=Tower("passage", passage),
            towers="shared" if shared else "separate",
            on_overflow=on_overflow,
            prompts=recorded,
            default_prompt_name=model.default_prompt_name,
        )

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.passage.engine.dimension

    @property
    def engine_name(self) -> str:
        """What computes the vectors of passages: `static`, `onnx`, `openvino` or `torch`."""
        engine = whole_engine(self.passage.engine)
        if isinstance(engine, ExportedEngine):
            return engine.graph.kind
        return "static" if isinstance(engine, StaticEngine) else "torch"

    def tower(self, role: Role) -> Tower:
        """The tower of a role.

        Raises:
            UsageError: If it is no role.
        """
        check_choice("role", role, ROLES)
        return self.query if role == "query" else self.passage

    def encode_query(
        self,
        texts: Sequence[str | Text],
        *,
        languages: Sequence[str | None] | str | None = None,
        progress: bool = False,
    ) -> NDArray[np.float32]:
        """Vectors of queries; see `encode`."""
        return self.encode(texts, role="query", languages=languages, progress=progress)

    def encode_passage(
        self,
        texts: Sequence[str | Text],
        *,
        languages: Sequence[str | None] | str | None = None,
        progress: bool = False,
    ) -> NDArray[np.float32]:
        """Vectors of passages, titles included where the texts are records; see `encode`."""
        return self.encode(texts, role="passage", languages=languages, progress=progress)

    encode_document = encode_passage

    def encode(
        self,
        texts: Sequence[str | Text],
        *,
        role: Role,
        languages: Sequence[str | None] | str | None = None,
        progress: bool = False,
        unreadable: Literal["refuse", "zeros"] = "refuse",
    ) -> NDArray[np.float32]:
        """Vectors of shape (texts, dimension), float32, unit length.

        Args:
            texts: Texts or records, without prompts.
            role: `query` or `passage`; picks tower, prompt and length.
            languages: Language of each text, or of all; records carry their own. For the truncation report only.
            progress: Whether a bar is shown.
            unreadable: What becomes of a text of which the tokenizer keeps nothing: it is refused, or has zeros.

        Raises:
            DataError: If a text is empty, or is too long and `on_overflow` is `error`.
            UsageError: If the role or a language is unknown, there are not as many languages as texts, or `texts` is no
                list of texts.
        """
        return self.encode_with_counts(
            texts, role=role, languages=languages, progress=progress, unreadable=unreadable
        ).vectors

    def encode_with_counts(
        self,
        texts: Sequence[str | Text],
        *,
        role: Role,
        languages: Sequence[str | None] | str | None = None,
        progress: bool = False,
        unreadable: Literal["refuse", "zeros"] = "refuse",
        report: EncodingProgress | None = None,
    ) -> Encoded:
        """As `encode`, with the number of tokens of each text and whether it was truncated.

        Args:
            texts: Texts or records, without prompts.
            role: `query` or `passage`.
            languages: Language of each text, or of all.
            progress: Whether a bar is shown.
            unreadable: Whether a text without a token that the model knows is refused or has the zero vector.
            report: Takes the numbers of texts and tokens as they are done, in the place of a bar.
        """
        tower = self.tower(role)
        check_choice("unreadable", unreadable, ("refuse", "zeros"))
        check_texts(texts)
        by_text = languages_of(texts, languages)
        whole = [tower.whole_text(text) for text in texts]
        refuse_surrogates(texts, whole)
        refuse_empty(texts, whole, role)
        engine = whole_engine(tower.engine)
        if isinstance(engine, Proving):
            engine.prove(whole, by_text)
        with encoding_bar(f"Encoding {role} texts", len(whole), show=progress) as advance:
            encoded = tower.engine.encode(whole, progress=report or advance)
        if unreadable == "refuse":
            refuse_empty(texts, whole, role, encoded)
        self._report_truncation(tower, texts, by_text, encoded)
        return encoded

    def encode_bank(
        self,
        texts: Iterable[Text],
        path: str | Path,
        *,
        dtype: Literal["float16", "float32"] = "float16",
        shard_size: int = 8192,
        resume: bool = True,
        append: bool = False,
        progress: bool = True,
        workers: int = 1,
        ray: str = "",
    ) -> BankReport:
        """Encodes passages into a bank at `path`; see `isogloss.engines.bank.encode_bank`.

        Args:
            texts: The passages; they may come from a generator.
            path: Folder of the bank.
            dtype: `float16` or `float32`.
            shard_size: Passages per shard.
            resume: Whether an unfinished bank of the same texts is gone on with.
            append: Whether the passages are added to a finished bank.
            progress: Whether a bar is shown.
            workers: Processes that encode; more than one load the model anew, from where it was loaded.
            ray: `local`, `auto` or `host:port` of a Ray cluster whose tasks encode in their place.

        Raises:
            UsageError: If workers or Ray are asked for and the model exists in this process only.
            MissingExtraError: If Ray is asked for and not installed.
        """
        from isogloss.engines.bank import encode_bank

        return encode_bank(
            texts,
            shard_maker(self, workers, ray),
            path,
            fingerprint=self.passage.fingerprint.parts,
            dtype=dtype,
            shard_size=shard_size,
            resume=resume,
            append=append,
            progress=progress,
        )

    def save(self, path: str | Path, *, overwrite: bool = False, precision: Precision = "as_is") -> None:
        """Writes the sentence-transformers layout, whole or not at all.

        Args:
            path: Where the folder shall be.
            overwrite: Whether a folder that is there may be replaced.
            precision: `float16` or `int8` rounds the table of a static model, for a folder of half or a quarter of the
                size.

        Raises:
            FileError: If it cannot be written; what was there stays as it was.
            UsageError: If a rounded table is asked of a model that is not static.
        """
        check_choice("precision", precision, get_args(Precision))
        towers = (self.query, self.passage)
        if precision != "as_is":
            towers = _rounded(self, precision)
        prompts = {**self.prompts, "query": towers[0].prompt, "document": towers[1].prompt}
        write_model_folder(
            Path(path),
            towers[0].engine,
            towers[1].engine,
            shared=self.towers == "shared",
            prompts=prompts,
            default_prompt_name=self.default_prompt_name,
            notes={
                "towers": self.towers,
                "title_template": self.passage.title_template,
                "fingerprints": {
                    tower.role: {"digest": tower.fingerprint.digest, "parts": dict(tower.fingerprint.parts)}
                    for tower in towers
                },
            },
            overwrite=overwrite,
        )

    def untie(self, *, frozen_passage: bool = True) -> Retriever:
        """A copy whose query tower has weights of its own, equal to those it had before until it is trained.

        Args:
            frozen_passage: Whether training has to leave the passage tower as it is; its banks stay valid then.
        """
        kind: TowerKind = "frozen_passage" if frozen_passage else "separate"
        query = Tower("query", self.query.engine.copy(), self.query.title_template)
        return self._with(query, self.passage, kind)

    def to_torch(self) -> TorchTowers:
        """The towers in torch, float32, to train; the retriever itself is left as it is."""
        from isogloss.models.torch_loading import torch_towers

        return torch_towers(self)

    def with_towers(self, towers: TorchTowers) -> Retriever:
        """A retriever like this one over trained towers; a frozen passage tower stays this retriever's own."""
        from isogloss.models.torch_loading import engine_of_tower

        query_engine = engine_of_tower(towers.query)
        query = Tower("query", query_engine, self.query.title_template)
        if towers.frozen_passage:
            return self._with(query, self.passage, "frozen_passage")
        engine = query_engine.with_prompt(towers.passage.prompt) if towers.shared else engine_of_tower(towers.passage)
        passage = Tower("passage", engine, self.passage.title_template)
        return self._with(query, passage, "shared" if towers.shared else "separate")

    def _with(self, query: Tower, passage: Tower, kind: TowerKind) -> Retriever:
        return Retriever(query, passage, kind, self.on_overflow, self.prompts, self.default_prompt_name)

    def _report_truncation(
        self, tower: Tower, texts: Sequence[str | Text], languages: Sequence[str | None], encoded: Encoded
    ) -> None:
        found = self.truncation.add(tower.role, languages, encoded.truncated)
        if not found or self.on_overflow == "ignore":
            return
        limit = f"longer than the {tower.max_length} tokens that the {tower.role} tower reads"
        if self.on_overflow == "error":
            faults = [
                Fault(place_of(text, index), f"is {limit}: {shown(text)}")
                for index, text in enumerate(texts)
                if encoded.truncated[index]
            ]
            raise_faults(DataError, f"{tower.role} texts", faults, "Split them, or load with on_overflow='warn'.")
        by_language = ", ".join(f"{language} {count}" for language, count in sorted(found.items()))
        LOGGER.warning("%d of %d texts are %s (%s)", sum(found.values()), len(texts), limit, by_language)


def _rounded(retriever: Retriever, precision: Literal["float16", "int8"]) -> tuple[Tower, Tower]:
    query, passage = retriever.query, retriever.passage
    if not isinstance(query.engine, StaticEngine) or not isinstance(passage.engine, StaticEngine):
        raise UsageError(f"precision: '{precision}' is for static models only (allowed here: as_is)")
    first = query.engine.rounded(precision)
    second = first.with_prompt(passage.prompt) if retriever.towers == "shared" else passage.engine.rounded(precision)
    return Tower("query", first, query.title_template), Tower("passage", second, passage.title_template)
