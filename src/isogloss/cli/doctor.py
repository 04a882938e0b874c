"""`isogloss doctor`: what is installed, what this machine has, and whether the search path works."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import typer
from rich.table import Table

from isogloss import __version__
from isogloss.cli.output import Exit, JsonFlag, Reporter, reported_errors
from isogloss.errors import IsoglossError

CORE = ("numpy", "scipy", "tokenizers", "safetensors", "ir-measures", "bm25s", "pydantic", "typer", "rich", "pyyaml")
EXTRAS = {
    "train": ("torch", "transformers", "sentence-transformers", "accelerate"),
    "hub": ("huggingface-hub", "pyarrow"),
    "onnx": ("onnxruntime",),
    "openvino": ("openvino",),
    "export": ("onnx", "nncf"),
}
LEAST_FREE_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report.

    Attributes:
        name: What was looked at.
        state: `ok`, `absent` (an optional part), or `fault`.
        detail: What was found.
        next_step: How to mend it, empty where all is well.
    """

    name: str
    state: str
    detail: str
    next_step: str = ""


def doctor(as_json: JsonFlag = False) -> None:
    """Check the installation: packages, machine, bundled model. Exit code 1 if something needed is missing."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        checks = examine()
        table = Table("check", "state", "found", "what to do", title=f"isogloss {__version__}")
        for check in checks:
            table.add_row(check.name, check.state, check.detail, check.next_step)
        reporter.show(table)
        faults = [check for check in checks if check.state == "fault"]
        reporter.result({"version": __version__, "ok": not faults, "checks": [asdict(check) for check in checks]})
        raise typer.Exit(Exit.FAILURE if faults else Exit.OK)


def examine() -> list[Check]:
    """Looks at the machine and the installation; changes nothing."""
    checks = [_machine(), _disk()]
    checks += [_package(name, optional_extra=None) for name in CORE]
    checks += [_package(name, optional_extra=extra) for extra, names in EXTRAS.items() for name in names]
    checks.append(_bundled_model())
    return checks


def _machine() -> Check:
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    detail = f"Python {platform.python_version()}, {os.cpu_count()} cores, OMP_NUM_THREADS {threads}"
    return Check("machine", "ok", detail)


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free
    enough = free >= LEAST_FREE_BYTES
    return Check(
        "free disk space here",
        "ok" if enough else "fault",
        f"{free / 1024**3:.1f} GiB",
        "" if enough else "Free at least 2 GiB, or work in another folder",
    )


def _package(name: str, optional_extra: str | None) -> Check:
    try:
        return Check(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        if optional_extra is None:
            return Check(name, "fault", "not installed", "pip install --force-reinstall isogloss")
        return Check(name, "absent", "not installed", f"pip install 'isogloss[{optional_extra}]'")


def _bundled_model() -> Check:
    from isogloss.models.retriever import Retriever

    start = time.perf_counter()
    try:
        retriever = Retriever.load("bundled")
        vector = retriever.encode_query(["Is all well?"])
    except IsoglossError as error:
        return Check("bundled model", "fault", error.message, error.next_step)
    seconds = time.perf_counter() - start
    return Check("bundled model", "ok", f"{vector.shape[1]} dimensions, first vector after {seconds:.2f} s")
