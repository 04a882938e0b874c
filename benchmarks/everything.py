"""Runs every benchmark of speed one after the other, as the page's commands do, and makes the page in the end.

    python -m benchmarks all --data DATA --work FOLDER [--only NAME …] [--results FOLDER] [--mark zen4] [--dry-run]

`DATA` has the folders `train`, `retrieval`, `bitext-eval` and `parallel`. Corpora, banks, indexes and models are made
in `FOLDER`, and what is there is not made again. What cannot run here is skipped with the reason; what fails does not
keep the rest from running. Results go to `NAME_MARK.json`, so that those of another processor stay.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.page import write_page

SETS = ("xquad", "tydiqa-id", "squad-it", "heq-he", "iapp-th", "norquad-nb", "drcd-zh-hant", "afriqa")
TORCH = ("torch", "transformers", "sentence_transformers")
Run = Callable[[Sequence[str]], int]


@dataclass(frozen=True)
class Step:
    """One command: a benchmark, or the making of what benchmarks read.

    Attributes:
        name: What it measures or makes; for a benchmark the name of its module.
        words: Its command after `python -m`.
        result: Name of the file of its result, without ending; empty where it measures nothing.
        leaves: What others read of it. A step that measures nothing is left out where this is there.
        needs: Names of the steps whose work it reads.
        data: What it reads that no step makes.
        packages: Modules without which it cannot run.
        refused: Why it cannot run on this machine, or nothing.
    """

    name: str
    words: tuple[str, ...]
    result: str = ""
    leaves: Path | None = None
    needs: tuple[str, ...] = ()
    data: tuple[Path, ...] = ()
    packages: tuple[str, ...] = ()
    refused: Callable[[], str] = str

    def command(self, results: Path, mark: str) -> list[str]:
        """The whole command, its result in a folder under a name with a mark."""
        file = results / f"{'_'.join(filter(None, (self.result, mark)))}.json"
        return [sys.executable, "-m", *self.words, *(("--out", str(file)) if self.result else ())]

    def is_there(self) -> bool:
        """Whether what others read of it is there."""
        return self.leaves is not None and self.leaves.exists()

    def skipped(self) -> str:
        """Why it does not run, or nothing."""
        if not self.result and self.is_there():
            return f"{self.leaves} is there"
        lacking = [package for package in self.packages if find_spec(package) is None]
        if lacking:
            return f"not installed: {', '.join(lacking)}"
        absent = [str(place) for place in self.data if not place.exists()]
        return f"not there: {', '.join(absent)}" if absent else self.refused()


def steps(data: Path, work: Path) -> list[Step]:
    """All steps, each after those that it needs."""
    retrieval = tuple(data / "retrieval" / name for name in SETS)
    return [
        *_made(data, work, retrieval),
        *_encoding(work, retrieval),
        *_searching(data, work),
        *_training(data / "train", work),
    ]


def _made(data: Path, work: Path, retrieval: tuple[Path, ...]) -> list[Step]:
    collections = tuple(data / name for name in ("retrieval", "bitext-eval", "parallel"))
    real = ("benchmarks.real_corpus", "--data", str(data))
    corpus, small, bank, million = (work / name for name in ("corpus", "corpus-100k", "bank", "million"))
    models = ("benchmarks.encode_transformer", "--data", *map(str, retrieval), "--models", str(work / "m12"))
    made = "peer-openvino" if _optimum() else "openvino"  # the last that is made
    return [
        Step("corpus", (*real, "--out", str(corpus)), leaves=corpus, data=collections),
        Step("bank", ("isogloss", "encode", str(corpus), "--out", str(bank)), leaves=bank, needs=("corpus",)),
        Step("million", ("isogloss", "index", str(bank), "--out", str(million)), leaves=million, needs=("bank",)),
        Step("corpus-100k", (*real, "--out", str(small), "--texts", "100000"), leaves=small, data=collections),
        Step("m12", (*models, "--make"), leaves=work / "m12" / made, data=retrieval, packages=TORCH),
    ]


def _encoding(work: Path, retrieval: tuple[Path, ...]) -> list[Step]:
    sets = ("--data", *map(str, retrieval))
    models = work / "m12"
    static = ("benchmarks.encode_static", *sets, "--passages", "1400", "--rounds", "5")
    transformer = ("benchmarks.encode_transformer", *sets, "--models", str(models), "--rounds", "3")
    mixed = ("--corpus", str(work / "corpus"))
    gpu = ("benchmarks.encode_gpu", *sets, "--models", str(models))
    start = ("benchmarks.start_up", *(("--sentence-transformers", str(models / "peer-onnx")) if _optimum() else ()))
    return [
        Step("encode_static", static, "encode_static", data=retrieval),
        Step(
            "encode_transformer", (*transformer, *mixed), "encode_transformer", needs=("corpus", "m12"), packages=TORCH
        ),
        Step("encode_gpu", gpu, "encode_gpu", needs=("m12",), packages=TORCH, refused=_no_gpu),
        Step("start_up", (*start, "--rounds", "5"), "start_up", needs=("m12",) if _optimum() else ()),
    ]


def _searching(data: Path, work: Path) -> list[Step]:
    train, banks = data / "train", work / "scale"
    known = banks / "100000"
    scale = ("benchmarks.scale", "--data", str(train), "--work", str(banks), "--sizes", "10000", "30000", "100000")
    exact = ("benchmarks.exact_search", "--rounds", "5")
    mining = ("benchmarks.mining", "--data", str(train), "--bank", str(known / "bank"), "--rounds", "0")
    million = ("benchmarks.index_million", "--data", str(data), "--index", str(work / "million"), "--rounds", "3")
    kills = ("benchmarks.kills", "--corpus", str(work / "corpus-100k"), "--work", str(work / "kills"), "--seed", "12")
    faiss, stored = ("faiss",), ("--vectors", str(known))
    return [
        Step("scale", (*scale, "--million"), "scale", leaves=known, data=(train,)),
        Step("exact_search", exact, "exact_search", packages=faiss),
        Step("exact_search", (*exact, *stored), "exact_search_bundled", needs=("scale",), packages=faiss),
        Step("mining", mining, "mining", needs=("scale",), data=(train,)),
        Step("index_million", million, "index_million", needs=("million",), data=(data / "retrieval" / "xquad",)),
        Step("kills", kills, "durability/kills", needs=("corpus-100k",), refused=lambda: _no_kills(work)),
    ]


def _training(train: Path, work: Path) -> list[Step]:
    large = ("benchmarks.train_large_batch", "--data", str(train), "--steps", "2", "--rounds", "0")
    step = ("benchmarks.training_step", "--data", str(train), "--work", str(work / "steps"), "--rounds", "0")
    both = (*step, "--batches", "512", "--precisions", "float32", "bfloat16")
    small = (*step, "--batches", "128", "--precisions", "float32")
    data = (train,)
    return [
        Step("train_large_batch", large, "train_large_batch", data=data, packages=TORCH[:2]),
        Step("training_step", both, "training_step", data=data, packages=TORCH),
        Step("training_step", small, "training_step_128", data=data, packages=TORCH),
    ]


def _optimum() -> bool:
    return find_spec("optimum") is not None


def _no_gpu() -> str:
    import torch

    return "" if torch.cuda.is_available() else "there is no GPU of NVIDIA's"


def _no_kills(work: Path) -> str:
    if sys.platform != "linux":
        return "it reads Linux's /proc"
    return f"{work / 'kills'} is there; remove it to measure again" if (work / "kills").exists() else ""


def chosen(known: Sequence[Step], only: Sequence[str]) -> list[Step]:
    """The benchmarks of some names, and what they need that is not there; all steps where no name is given.

    Raises:
        ValueError: If no benchmark has such a name.
    """
    if not only:
        return list(known)
    names = {step.name for step in known if step.result}
    unknown = sorted(set(only) - names)
    if unknown:
        raise ValueError(f"no benchmark: {', '.join(unknown)} (there are: {', '.join(sorted(names))})")
    wanted: dict[str, None] = dict.fromkeys(only)
    for step in reversed(known):  # a step stands after those that it needs
        if step.name in wanted:
            wanted |= dict.fromkeys(name for name in step.needs if not _steps_of(known)[name].is_there())
    return [step for step in known if step.name in wanted]


def _steps_of(known: Sequence[Step]) -> Mapping[str, Step]:
    return {step.name: step for step in known}


def run_all(some: Sequence[Step], results: Path, docs: Path, *, mark: str = "", run: Run | None = None) -> int:
    """Runs the steps and makes the page; says what was skipped and what failed.

    Args:
        some: The steps, in their order.
        results: Folder of the results.
        docs: Folder of the page.
        mark: Goes into the names of the results, for example the processor.
        run: Runs a command and gives its exit code; without it nothing runs, and the commands are printed.

    Returns:
        1 where a step failed, else 0.
    """
    missing: dict[str, str] = {}
    failed = []
    for step in some:
        why = step.skipped() or next(
            (f"it needs {name}: {missing[name]}" for name in step.needs if name in missing), ""
        )
        command = step.command(results, mark)
        if why:
            print(f"# skipped: {step.result or step.name}: {why}", flush=True)
            if not step.is_there():
                missing[step.name] = why
            continue
        print(shlex.join(command), flush=True)
        if run is not None and run(command) != 0:
            failed.append(step.result or step.name)
            missing[step.name] = "it failed"
    if run is None:
        return 0
    write_page(docs, results)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def run_command(command: Sequence[str]) -> int:
    """Runs one of the commands to its end, in the folder that holds `benchmarks`."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603  # our own
