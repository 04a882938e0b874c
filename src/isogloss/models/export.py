"""Exports a retriever to ONNX: a folder that serves without torch, kept only if it gives the same vectors."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from isogloss.engines.bank_manifest import file_digest
from isogloss.engines.static import StaticEngine
from isogloss.engines.truncated import whole_engine
from isogloss.errors import UsageError
from isogloss.files import atomic_folder, read_json, refuse_occupied, write_json
from isogloss.models.engine_loading import onnx_path
from isogloss.models.folder import ModelFolder, read_model_folder
from isogloss.models.retriever import ROLES, Retriever
from isogloss.progress import progress_bar
from isogloss.records import Role

PARITY_FILE = "parity.json"

Gate = Callable[[Retriever], Mapping[str, Any]]
"""Takes the exported retriever; gives a report to keep with it, or raises a `ParityError`."""


def export_onnx(
    retriever: Retriever,
    path: str | os.PathLike[str],
    gate: Gate,
    *,
    int8: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> None:
    """Writes both towers as ONNX graphs, with all that sentence-transformers and other servers need beside them.

    The graph of a transformer ends at its token vectors, as other servers expect; pooling is in the configuration. The
    folder holds no other weights of it. A static model keeps its table, which is faster than its graph here.

    Args:
        retriever: A static model, or one of `Transformer` and `Pooling` modules in torch.
        path: The folder to make.
        gate: Compares the export, opened from its files, with the original.
        int8: Whether matrix products of transformers are computed in int8.
        overwrite: Whether a folder that is there may be replaced.
        progress: Whether a bar is shown.

    Raises:
        ParityError: If the gate refuses; nothing is left at `path` then, or what was there before.
        ModelError: If the model cannot be exported.
        UsageError: If int8 is asked of a static model.
        FileError: If the system refuses.
        MissingExtraError: If packages for exporting are not installed.
    """
    static = [isinstance(whole_engine(tower.engine), StaticEngine) for tower in (retriever.query, retriever.passage)]
    if int8 and all(static):
        raise UsageError(
            "int8: a static model has no matrix products to quantise",
            next_step="Export it without int8; its table is stored in float16 where that loses nothing.",
        )
    refuse_occupied(path, overwrite=overwrite)
    with atomic_folder(path, overwrite=overwrite) as folder:
        retriever.save(folder)
        described = read_model_folder(folder, folder.name)
        roles = ROLES if described.route_names else ROLES[:1]
        with progress_bar("Exporting towers", len(roles), show=progress) as advance:
            for role in roles:
                _export_tower(retriever, role, described, int8=int8)
                advance(1)
        _note(folder, described, int8=int8)
        report = gate(Retriever.load(folder, engine="onnx", on_overflow="ignore"))
        write_json(folder / PARITY_FILE, {"precision": "int8" if int8 else "float32", **report})


def _export_tower(retriever: Retriever, role: Role, folder: ModelFolder, *, int8: bool) -> None:
    from isogloss.models.export_graphs import quantize, write_graph

    engine = whole_engine(retriever.tower(role).engine)
    place = onnx_path(folder, role)
    write_graph(engine, place)
    if isinstance(engine, StaticEngine):
        if not folder.route_names:
            tokenizer = folder.routes[role][0].folder / "tokenizer.json"
            (folder.path / "tokenizer.json").write_bytes(tokenizer.read_bytes())
        return
    if int8:
        quantize(place)
    for weights in place.parent.parent.glob("model*.safetensors*"):
        weights.unlink()


def _note(folder: Path, described: ModelFolder, *, int8: bool) -> None:
    """Notes what the graphs are, so that their vectors carry the fingerprint of the tower that they were made from."""
    notes = read_json(folder / "isogloss.json")
    notes["onnx"] = {}
    for role in ROLES:
        parts = dict(notes["fingerprints"][role]["parts"])
        parts.pop("title_template", None)
        if int8:
            parts["precision"] = "int8"
        place = onnx_path(described, role)
        notes["onnx"][role] = {
            "file": place.relative_to(folder).as_posix(),
            "sha256": file_digest(place),
            "parts": parts,
        }
    write_json(folder / "isogloss.json", notes)
