"""Exports a retriever to ONNX or OpenVINO: a folder that serves without torch, kept only if its vectors stay."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isogloss.engines.exported_tower import graph_digest
from isogloss.engines.hashing import text_digest
from isogloss.engines.openvino_engine import NO_INT8, has_bfloat16, precision_name
from isogloss.engines.processor import multiplies_int8
from isogloss.engines.protocol import Compute
from isogloss.engines.static import StaticEngine
from isogloss.engines.truncated import whole_engine
from isogloss.errors import Fault, ParityError, UsageError, raise_faults
from isogloss.files import atomic_folder, read_json, refuse_occupied, write_json
from isogloss.models.engine_loading import exported_engine, graph_path
from isogloss.models.folder import ExportFormat, ModelFolder, read_model_folder
from isogloss.models.persistence import MODEL
from isogloss.models.prompts import LOGGER
from isogloss.models.retriever import ROLES, Retriever
from isogloss.progress import progress_bar
from isogloss.records import Role, Text

PARITY_FILE = "parity.json"

Gate = Callable[[Retriever], Mapping[str, Any]]
"""Takes the exported retriever; gives a report to keep with it, or raises a `ParityError`."""


@dataclass(frozen=True)
class ExportPlan:
    """What is written.

    Attributes:
        format: `onnx` or `openvino`.
        int8: Whether matrix products of transformers are computed in int8.
        compute: What the rest is computed in, OpenVINO only; None tries bfloat16 first where the processor has it, and
            keeps it if the gate lets it pass.
        samples: Texts by role whose activations set the ranges of int8 in OpenVINO.

    Raises:
        UsageError: If the parts do not fit each other or this processor.
    """

    format: ExportFormat = "onnx"
    int8: bool = False
    compute: Compute | None = None
    samples: Mapping[Role, Sequence[Text]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = []
        if self.compute == "bfloat16" and self.format == "onnx":
            faults.append(Fault("precision", "bfloat16 for ONNX", "allowed: float32"))
        elif self.compute == "bfloat16" and not has_bfloat16():
            faults.append(Fault("precision", "bfloat16, which this processor does not have", "allowed here: float32"))
        if self.format == "openvino" and self.int8 and not all(self.samples.get(role) for role in ROLES):
            faults.append(Fault("samples", "no texts to set the ranges of int8 by", "some queries and some passages"))
        if self.format == "openvino" and self.int8 and not multiplies_int8():
            faults.append(Fault("int8", f"on this processor. {NO_INT8}", "allowed here: int8 for ONNX"))
        raise_faults(UsageError, "Export", faults)

    @property
    def choices(self) -> list[Compute]:
        """What the rest may be computed in: the gate is asked in this order, and the first that passes is kept."""
        if self.compute is not None:
            return [self.compute]
        return ["bfloat16", "float32"] if self.format == "openvino" and has_bfloat16() else ["float32"]

    @property
    def samples_digest(self) -> str:
        """SHA-256 over the samples, for other samples set other ranges."""
        return text_digest(repr([[(text.title, text.text) for text in self.samples[role]] for role in ROLES]))

    def precision(self, compute: Compute, *, is_static: bool = False) -> str:
        """How fingerprints name the precision of a tower; a static model has nothing to quantise."""
        int8 = self.int8 and not is_static
        if self.format == "onnx":
            return "int8" if int8 else "float32"
        return precision_name(int8=int8, compute=compute)


def export_retriever(
    retriever: Retriever,
    path: str | os.PathLike[str],
    gate: Gate,
    plan: ExportPlan | None = None,
    *,
    overwrite: bool = False,
    progress: bool = False,
) -> str:
    """Writes both towers as graphs, with all that sentence-transformers and other servers need beside them.

    The graph of a transformer ends at its token vectors, as other servers expect; pooling is in the configuration. The
    folder holds no other weights of it. A static model keeps its table, which is faster than its graph here.

    Args:
        retriever: A static model, or one of `Transformer` and `Pooling` modules in torch.
        path: The folder to make.
        gate: Compares the export, opened from its files, with the original.
        plan: What is written; by default ONNX in float32.
        overwrite: Whether a folder that is there may be replaced.
        progress: Whether a bar is shown.

    Returns:
        The precision that was kept.

    Raises:
        ParityError: If the gate refuses; nothing is left at `path` then, or what was there before.
        ModelError: If the model cannot be exported.
        UsageError: If int8 is asked of a static model.
        FileError: If the system refuses.
        MissingExtraError: If packages for exporting are not installed.
    """
    plan = plan or ExportPlan()
    static = [isinstance(whole_engine(tower.engine), StaticEngine) for tower in (retriever.query, retriever.passage)]
    if plan.int8 and all(static):
        raise UsageError(
            "int8: a static model has no matrix products to quantise",
            next_step="Leave the format out: its table is kept in bytes then. Or export it without int8.",
        )
    refuse_occupied(path, overwrite=overwrite, kind=MODEL)
    with atomic_folder(path, overwrite=overwrite, kind=MODEL) as folder:
        retriever.save(folder)
        described = read_model_folder(folder, folder.name)
        roles = ROLES if described.route_names else ROLES[:1]
        with progress_bar("Exporting towers", len(roles), show=progress) as advance:
            for role in roles:
                _export_tower(retriever, role, described, plan)
                advance(1)
        precision, report = _first_that_passes(folder, described, plan, gate)
        write_json(folder / PARITY_FILE, {"format": plan.format, "precision": precision, **report})
    return precision


def save_in_bytes(retriever: Retriever, path: str | os.PathLike[str], gate: Gate, *, overwrite: bool = False) -> None:
    """Writes a static model with its table in one byte a number: a quarter of float32's size, and still a model.

    Args:
        retriever: A static model.
        path: The folder to make.
        gate: Compares the folder, opened from its files, with the original.
        overwrite: Whether a folder that is there may be replaced.

    Raises:
        ParityError: If the gate refuses; nothing is left at `path` then, or what was there before.
        UsageError: If the model is not static.
        FileError: If the system refuses.
    """
    refuse_occupied(path, overwrite=overwrite, kind=MODEL)
    with atomic_folder(path, overwrite=overwrite, kind=MODEL) as folder:
        retriever.save(folder, precision="int8")
        report = gate(Retriever.load(folder, on_overflow="ignore", device="cpu"))
        write_json(folder / PARITY_FILE, {"format": "table", "precision": "int8", **report})


def _export_tower(retriever: Retriever, role: Role, folder: ModelFolder, plan: ExportPlan) -> None:
    from isogloss.models.export_graphs import quantize, write_graph

    engine = whole_engine(retriever.tower(role).engine)
    place = graph_path(folder, role, "onnx")
    write_graph(engine, place)
    is_static = isinstance(engine, StaticEngine)
    if plan.format == "openvino":
        _to_openvino(retriever, role, folder, plan if not is_static else ExportPlan("openvino"))
    elif plan.int8 and not is_static:
        quantize(place)
    if is_static:
        if not folder.route_names:
            tokenizer = folder.routes[role][0].folder / "tokenizer.json"
            (folder.path / "tokenizer.json").write_bytes(tokenizer.read_bytes())
        return
    for weights in place.parent.parent.glob("model*.safetensors*"):
        weights.unlink()


def _to_openvino(retriever: Retriever, role: Role, folder: ModelFolder, plan: ExportPlan) -> None:
    from isogloss.models.export_openvino import convert, quantize_static

    source, place = graph_path(folder, role, "onnx"), graph_path(folder, role, "openvino")
    convert(source, place)
    source.unlink()
    source.parent.rmdir()
    if not plan.int8:
        return
    engine = exported_engine(folder, role, retriever.tower(role).prompt, "openvino")
    served = [role] if folder.route_names else ROLES
    samples = []
    for one in served:
        tower = retriever.tower(one)
        samples += [engine.with_prompt(tower.prompt).feeds(tower.whole_text(text)) for text in plan.samples[one]]
    del engine
    quantize_static(place, samples)


def _first_that_passes(
    folder: Path, described: ModelFolder, plan: ExportPlan, gate: Gate
) -> tuple[str, Mapping[str, Any]]:
    """The first precision that the gate lets pass, and its report.

    Raises:
        ParityError: If none does; that of the last.
    """
    *others, last = plan.choices
    refused: dict[str, list[str]] = {}
    for compute in others:
        precision = plan.precision(compute)
        try:
            return precision, {**_gated(folder, described, plan, compute, gate), "refused": refused}
        except ParityError as error:
            LOGGER.warning("The parity gate refuses %s, so %s is tried. %s", precision, plan.precision(last), error)
            refused[precision] = [str(fault) for fault in error.faults]
    return plan.precision(last), {**_gated(folder, described, plan, last, gate), "refused": refused}


def _gated(folder: Path, described: ModelFolder, plan: ExportPlan, compute: Compute, gate: Gate) -> Mapping[str, Any]:
    """Notes what the graphs are, for their vectors carry the fingerprint of the original tower, and asks the gate."""
    notes = read_json(folder / "isogloss.json")
    notes[plan.format] = {}
    for role in ROLES:
        place = graph_path(described, role, plan.format)
        parts = dict(notes["fingerprints"][role]["parts"])
        parts.pop("title_template", None)
        is_static = described.routes[role][0].kind == "StaticEmbedding"
        parts["precision"] = plan.precision(compute, is_static=is_static)
        if plan.int8 and plan.format == "openvino" and not is_static:
            parts["calibration"] = plan.samples_digest
        notes[plan.format][role] = {
            "file": place.relative_to(folder).as_posix(),
            "sha256": graph_digest(place),
            "parts": parts,
        }
    write_json(folder / "isogloss.json", notes)
    return gate(Retriever.load(folder, engine=plan.format, on_overflow="ignore"))
