"""What a model folder says of itself, read without torch: modules by role, prompts, and isogloss's own notes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from isogloss.engines.static import is_static_table
from isogloss.errors import Fault, ModelError, raise_faults
from isogloss.models.prompts import PASSAGE_KEYS
from isogloss.records import Role

ExportFormat = Literal["onnx", "openvino"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = ("onnx", "openvino")
TITLE_TEMPLATE = "{title} {text}"
MODEL_OF_RUN = "model"  # where the folder of a run has its model
TOKENIZER_DIGESTS = "tokenizer_digests"
# What transformers saves of a model and a tokenizer, as patterns; and what people keep beside it.
CHECKPOINT_FILES = (
    *("config.json", "generation_config.json", "model*.safetensors", "model*.safetensors.index.json", "README.md"),
    *("tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt"),
    *("*.model", "chat_template.jinja", ".gitattributes"),
)
LAYOUTS = "a sentence-transformers folder (modules.json) or a transformers checkpoint (config.json)"


@dataclass(frozen=True)
class ModuleEntry:
    """A module of a folder: the last part of its class name, and where its files are."""

    kind: str
    folder: Path


@dataclass(frozen=True)
class ModelFolder:
    """A model folder, described.

    Attributes:
        path: The folder.
        routes: Modules by role, one and the same list for both where the towers are shared; none for a checkpoint of
            transformers alone.
        route_names: What the folder calls each role in its router; empty for shared towers.
        prompts: Prompts by the folder's own names.
        default_prompt_name: Name of the prompt of texts without a role.
        notes: Content of `isogloss.json`.
        names: What the model is called, the best name first.
        truncate_dim: Leading dimensions of its vectors that are used; None for all.
    """

    path: Path
    routes: Mapping[Role, list[ModuleEntry]]
    route_names: Mapping[Role, str]
    prompts: Mapping[str, str]
    default_prompt_name: str | None
    notes: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    truncate_dim: int | None = None

    @property
    def is_static(self) -> bool:
        """Whether the NumPy engine can compute the vectors."""
        return bool(self.routes) and all(
            [entry.kind for entry in route if entry.kind != "Normalize"] == ["StaticEmbedding"]
            and route[0].kind == "StaticEmbedding"
            and is_static_table(route[0].folder)
            for route in self.routes.values()
        )

    @property
    def exported_as(self) -> ExportFormat | None:
        """The format in which it passed a parity gate; other graphs are used only where they are asked for."""
        return next((format_ for format_ in EXPORT_FORMATS if self.notes.get(format_)), None)

    @property
    def tokenizer_digests(self) -> Mapping[str, str]:
        """Digests of its tokenizers, by the SHA-256 of the files that they were taken of."""
        noted = self.notes.get(TOKENIZER_DIGESTS)
        return noted if isinstance(noted, dict) else {}

    @property
    def is_checkpoint(self) -> bool:
        """Whether it is a transformers checkpoint without sentence-transformers' files."""
        return not self.routes


def read_model_folder(path: Path, name: str) -> ModelFolder:
    """Describes the model folder at `path`.

    Args:
        path: The folder.
        name: What the user called it.

    Raises:
        ModelError: If it has neither layout, or its files are broken.
    """
    config = _read_object(path / "config_sentence_transformers.json")
    names = (name, path.name, str(_read_object(path / "config.json").get("_name_or_path", "")))
    routes: dict[Role, list[ModuleEntry]] = {}
    route_names: dict[Role, str] = {}
    if (path / "modules.json").is_file():
        routes, route_names = _routes(path)
    elif not (path / "config.json").is_file():
        there = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
        inside = path / MODEL_OF_RUN
        step = f"Give the path of {LAYOUTS}."
        if any((inside / name).is_file() for name in ("modules.json", "config.json")):
            step = f"It is the folder of a run; its model is in it: give {inside}"
        raise ModelError(f"{path} is no model folder (it has: {there})", next_step=step)
    _refuse_pickles(path, routes)
    return ModelFolder(
        path=path,
        routes=routes,
        route_names=route_names,
        prompts={key: prompt or "" for key, prompt in (config.get("prompts") or {}).items()},
        default_prompt_name=config.get("default_prompt_name"),
        notes=_read_object(path / "isogloss.json"),
        names=tuple(name for name in names if name),
        truncate_dim=_truncate_dim(path, config.get("truncate_dim")),
    )


def _truncate_dim(path: Path, recorded: object) -> int | None:
    if recorded is None or (isinstance(recorded, int) and recorded > 0):
        return recorded or None
    raise ModelError(
        f"{path} cuts its vectors to {recorded!r} dimensions",
        next_step="Set truncate_dim in config_sentence_transformers.json to a number above 0, or to null.",
    )


def _routes(path: Path) -> tuple[dict[Role, list[ModuleEntry]], dict[Role, str]]:
    listed = _read_json(path / "modules.json")
    if not isinstance(listed, list) or not listed:
        raise ModelError(f"{path / 'modules.json'} lists no modules", next_step="Copy the whole model folder again.")
    entries = [ModuleEntry(str(item["type"]).rsplit(".", 1)[-1], path / item["path"]) for item in listed]
    if entries[0].kind not in ("Router", "Asym"):
        return {"query": entries, "passage": entries}, {}
    router = _read_object(entries[0].folder / "router_config.json") or _read_object(entries[0].folder / "config.json")
    names = _route_names(path, router)
    routes: dict[Role, list[ModuleEntry]] = {
        role: [
            ModuleEntry(router["types"][module].rsplit(".", 1)[-1], entries[0].folder / module)
            for module in router["structure"][route]
        ]
        + entries[1:]
        for role, route in names.items()
    }
    return routes, names


def _route_names(path: Path, router: Mapping[str, Any]) -> dict[Role, str]:
    structure = list(router.get("structure", {}))
    query = next((name for name in structure if name == "query"), None)
    passage = next((name for name in PASSAGE_KEYS if name in structure), None)
    if query is None or passage is None:
        raise ModelError(
            f"{path} has no routes for queries and passages (it has: {', '.join(structure) or 'none'})",
            next_step="Its routes must be called 'query' and 'document'.",
        )
    return {"query": query, "passage": passage}


def _refuse_pickles(path: Path, routes: Mapping[Role, list[ModuleEntry]]) -> None:
    """Weights in pickle files are refused before anything could open them."""
    folders = {path, *(entry.folder for route in routes.values() for entry in route)}
    faults = [
        Fault(str(pickle), "is a pickle, which can run any code when it is read")
        for folder in sorted(folders)
        for pickle in sorted(folder.glob("pytorch_model*.bin"))
        if not any(folder.glob("*.safetensors"))
    ]
    raise_faults(
        ModelError, str(path), faults, "Save the model with safe_serialization=True (safetensors) and load that folder."
    )


def _read_object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    found = _read_json(path)
    if not isinstance(found, dict):
        raise ModelError(f"{path} is not a JSON object", next_step="Copy the whole model folder again.")
    return found


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as broken:
        raise ModelError(f"{path} cannot be read: {broken}", next_step="Copy the whole model folder again.") from broken
