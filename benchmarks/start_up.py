"""Cold start: CPU seconds from a new process to the first answer, beside sentence-transformers and model2vec.

    python -m benchmarks.start_up [--sentence-transformers FOLDER] [--rounds 5]

Each unit of work is one new process that loads the bundled model, encodes one query and compares it with the passages
of the shipped demo set, whose vectors are on disk: ours as `isogloss search` and as `isogloss serve` with one request;
the peers in the few lines that a user would write, with the same table. `FOLDER` is a model of another kind, for
example an ONNX int8 export for sentence-transformers, which needs `optimum`. Children's CPU time counts; page caches
are warm, and modules are compiled to bytecode, ours as the peers'.
"""

from __future__ import annotations

import argparse
import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.harness import Benchmark, Plan, Target, Variant, Work, main
from isogloss import Retriever
from isogloss.datasets import load

QUERY = "Wo mündet der Fluss ins Meer?"
HIT, ANSWER = "first hit", "first answer of a service"
SEARCH, SERVE = "isogloss search", "isogloss serve"
PEER_STATIC, MODEL2VEC, PEER_ONNX = "sentence-transformers, static", "model2vec", "sentence-transformers, ONNX int8"
PROGRAM = "from isogloss.cli.main import main; main()"
SCRIPTS: Mapping[str, str] = {
    PEER_STATIC: """
import numpy as np
from sentence_transformers import SentenceTransformer
model = SentenceTransformer({model!r}, device="cpu")
print((np.load({vectors!r}) @ model.encode({query!r})).argmax())
""",
    MODEL2VEC: """
import numpy as np
from model2vec import StaticModel
model = StaticModel.from_pretrained({model!r})
print((np.load({vectors!r}) @ model.encode({query!r})).argmax())
""",
    PEER_ONNX: """
from sentence_transformers import SentenceTransformer
model = SentenceTransformer({other!r}, backend="onnx", device="cpu",
                            model_kwargs={{"file_name": {file!r}}})
print(model.encode({query!r}).argmax())
""",
}
LONGEST_START = 120.0


def plan(given: argparse.Namespace) -> Plan:
    """Every program on a bank and vectors that are made here."""
    folder = Path(tempfile.mkdtemp(prefix="isogloss-start-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    passages = list(load("isogloss-demo").passages)
    retriever = Retriever.load("bundled")
    retriever.encode_bank(passages, folder / "bank", progress=False)
    np.save(folder / "vectors.npy", retriever.encode_passage(passages))
    retriever.save(folder / "model", precision="float16")  # which every version of the peers reads
    values = {
        "model": str(folder / "model"),
        "vectors": str(folder / "vectors.npy"),
        "query": QUERY,
        "other": str(given.sentence_transformers),
        "file": int8_file(given.sentence_transformers),
    }
    packages = {PEER_STATIC: "sentence_transformers", MODEL2VEC: "model2vec", PEER_ONNX: "optimum"}
    missing = {name: f"{package} is not installed" for name, package in packages.items() if not find_spec(package)}
    if given.sentence_transformers is None:
        missing[PEER_ONNX] = "no --sentence-transformers FOLDER"
    elif not values["file"]:
        missing[PEER_ONNX] = f"{given.sentence_transformers} has no int8 graph"
    search = [sys.executable, "-c", PROGRAM, "search", str(folder / "bank"), QUERY, "-k", "1"]
    serve = [sys.executable, "-c", PROGRAM, "serve", str(folder / "bank"), "--port", str(given.port)]
    variants = [
        _variant(HIT, SEARCH, functools.partial(_run, search), ours=True),
        _variant(ANSWER, SERVE, functools.partial(_ask, serve, given.port), ours=True),
    ]
    for name in [name for name in SCRIPTS if name not in missing]:
        command = [sys.executable, "-c", SCRIPTS[name].format(**values)]
        variants.append(_variant(HIT, name, functools.partial(_run, command)))
    targets = [
        Target(HIT, SEARCH, PEER_ONNX, 9.0),
        Target(HIT, SEARCH, PEER_STATIC),
        Target(HIT, SEARCH, MODEL2VEC),
    ]
    return Plan(variants, targets, {"passages": len(passages)}, missing)


def int8_file(folder: Path | None) -> str:
    """Name of the int8 graph in a model folder, which is another for each kind of processor."""
    found = sorted((folder / "onnx").glob("model_*int8*.onnx")) if folder is not None else []
    return f"onnx/{found[0].name}" if found else ""


def _variant(work: str, name: str, once: Callable[[], None], *, ours: bool = False) -> Variant:
    return Variant(work, name, functools.partial(_prepare, once), ours=ours, memory=True, children=True)


def _run(command: Sequence[str]) -> None:
    """One process from its start to its end."""
    subprocess.run(  # noqa: S603  # our own
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, env=_as_installed()
    )


def _ask(command: Sequence[str], port: int) -> None:
    """A service from its start to its first answer; ending it is a few milliseconds more."""
    body = json.dumps({"query": QUERY, "k": 1}).encode()
    request = urllib.request.Request(  # http, on this machine
        f"http://127.0.0.1:{port}/search", data=body, headers={"Content-Type": "application/json"}
    )
    process = subprocess.Popen(  # noqa: S603  # our own
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_as_installed()
    )
    try:
        deadline = time.monotonic() + LONGEST_START
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(request) as answer:  # noqa: S310
                    answer.read()
                return
            except urllib.error.URLError as refused:
                if isinstance(refused, urllib.error.HTTPError) or process.poll() is not None:
                    raise
                time.sleep(0.02)
        raise TimeoutError(f"no answer within {LONGEST_START:.0f} s")
    finally:
        process.terminate()
        process.wait()


def _as_installed() -> dict[str, str]:
    """The environment of a user: modules are compiled once, as those of installed packages are."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _prepare(once: Callable[[], None]) -> Work:
    once()  # files are in memory then

    def work() -> int:
        once()
        return 1

    return work


def arguments(parser: argparse.ArgumentParser) -> None:
    """A model for the ONNX peer, and a port."""
    parser.add_argument("--sentence-transformers", type=Path, help="folder with onnx/model_*int8*.onnx")
    parser.add_argument("--port", type=int, default=8765, help="a free port")


BENCHMARK = Benchmark(
    name="start_up",
    title="From a cold process to the first answer",
    unit="starts",
    plan=plan,
    arguments=arguments,
    packages=("isogloss", "sentence-transformers", "model2vec", "optimum", "typer", "numpy"),
    notes=(
        "The ONNX backend of sentence-transformers imports all that its static models import, and more, so the static "
        "row is a lower bound of its start.",
        "Half of our own start is the import of NumPy, typer and pydantic; most of the rest reads the tokenizer's "
        "JSON, of which only the pieces that occur in the question are built, and takes the fingerprint of the "
        "weights, by which a stale index is refused. A service builds the whole tokenizer before it answers.",
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
