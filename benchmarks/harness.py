"""Measures variants of one piece of work side by side: alternated rounds, CPU and wall time, memory in a process each.

A benchmark is a module with a `BENCHMARK` and, at its end, `main(BENCHMARK)`. It runs as
`python -m benchmarks.NAME --data FOLDER [--rounds 5] [--threads 1]` and writes `benchmarks/results/NAME.json`, of which
`python -m benchmarks page` makes `docs/speed.md`.

Rounds begin with another variant each time, so that what else the machine does falls on all alike. A ratio is taken
within each round; the median of the rounds is stated, with the least and the most. CPU time counts, the threads of the
process included and its children not, but where a variant says so; memory is the peak of a process that does this one
work alone (or, of a work that is processes, of the largest of them). Where each variant has such a process and a round
is long, `--rounds 0` takes the times of these alone, which is one round. The results name the commit of the code.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from isogloss.files import write_json
from isogloss.progress import progress_bar

RESULTS = Path(__file__).parent / "results"
ALONE = "measured-alone:"
CODE = ("src", "benchmarks/*.py")  # what a result depends on; results and tests are no code

Work = Callable[[], int]
"""Does the work once and gives how many units it did: passages, queries, steps."""


@dataclass(frozen=True)
class Variant:
    """One way to do a piece of work.

    Attributes:
        work: Which piece of work, e.g. `passages`; variants of the same work are compared.
        name: The way, e.g. `isogloss, OpenVINO int8`.
        prepare: Loads and warms what is needed, unmeasured, and gives the work.
        ours: Whether it is isogloss's.
        memory: Whether the peak memory of a process that does it alone is measured too.
        children: Whether the work is done by processes that it starts and waits for: their CPU time counts too, and
            the peak is that of the largest of them.
    """

    work: str
    name: str
    prepare: Callable[[], Work]
    ours: bool = False
    memory: bool = False
    children: bool = False


@dataclass(frozen=True)
class Target:
    """How much better ours shall be: peer's figure divided by ours at least, or ours divided by the peer's at most.

    Attributes:
        work: The piece of work.
        ours: Name of our variant.
        peer: Name of the variant it is compared with.
        bound: The ratio wanted; None where the ratio is stated only.
        figure: `cpu` or `wall` (peer / ours, to be at least `bound`), or `memory` (ours / peer, to be at most `bound`).
    """

    work: str
    ours: str
    peer: str
    bound: float | None = None
    figure: Literal["cpu", "wall", "memory"] = "cpu"


@dataclass(frozen=True)
class Plan:
    """What one run compares, made from its arguments.

    Attributes:
        variants: The ways, those that cannot run here left out.
        targets: What is compared with what.
        about: Facts that belong to the figures: sizes, checks of equality, the shape of the model.
        missing: Variants that cannot run here, each with the reason.
        subject: What sets this run apart from others of the same benchmark, for the heading on the page.
    """

    variants: Sequence[Variant]
    targets: Sequence[Target] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    subject: str = ""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: its name, its words for the page, its own arguments, and what makes its plan.

    Attributes:
        name: Name of the module and of the file of results.
        title: Heading on the page.
        unit: What is counted, e.g. `passages`.
        plan: Makes the plan from the parsed arguments.
        arguments: Adds the arguments of this benchmark to the parser.
        packages: Distributions whose versions belong to the figures.
        notes: Sentences for the page: what limits a row that was missed, what was tried.
    """

    name: str
    title: str
    unit: str
    plan: Callable[[argparse.Namespace], Plan]
    arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None
    packages: tuple[str, ...] = ("isogloss", "numpy")
    notes: tuple[str, ...] = ()


def main(benchmark: Benchmark, arguments: Sequence[str] | None = None) -> int:
    """Runs a benchmark from the command line: measures, prints a table, writes the JSON."""
    given_words = list(sys.argv[1:] if arguments is None else arguments)
    given = _parser(benchmark).parse_args(given_words)
    _limit_threads(benchmark, given.threads, given_words)
    plan = benchmark.plan(given)
    if given.alone:
        _do_alone(plan, given.alone)
        return 0
    _require_known_names(plan)
    rounds = measure(plan.variants, given.rounds, progress=True) if given.rounds else {}
    alone = {_key(one): _alone(benchmark, _key(one), given_words) for one in plan.variants if one.memory}
    memory = {key: found.pop("memory") for key, found in alone.items()}
    if not given.rounds:
        rounds = {_key(variant): [alone[_key(variant)]] for variant in plan.variants}
    found = result(benchmark, plan, rounds, memory) | {
        "command": " ".join(["python -m", f"benchmarks.{benchmark.name}", *given_words]),
        "threads": given.threads,
        "alternated": given.rounds > 0,
    }
    print("\n".join(as_text(found)))
    write_json(given.out or RESULTS / f"{benchmark.name}.json", found)
    return 0


def measure(variants: Sequence[Variant], rounds: int, *, progress: bool = False) -> dict[str, list[dict[str, float]]]:
    """Seconds of CPU and wall time per unit for each variant and round, the variants of a round alternated."""
    works = {_key(variant): variant.prepare() for variant in variants}
    children = {_key(variant) for variant in variants if variant.children}
    found: dict[str, list[dict[str, float]]] = {key: [] for key in works}
    keys = list(works)
    with progress_bar("Measuring", rounds * len(keys), show=progress) as advance:
        for number in range(rounds):
            first = number % len(keys) if keys else 0
            for key in keys[first:] + keys[:first]:
                found[key].append(_timed(works[key], children=key in children))
                advance(1)
    return found


def result(
    benchmark: Benchmark,
    plan: Plan,
    rounds: Mapping[str, Sequence[Mapping[str, float]]],
    memory: Mapping[str, float],
) -> dict[str, Any]:
    """All figures of a run as JSON."""
    rows = [_row(variant, rounds[_key(variant)], memory.get(_key(variant))) for variant in plan.variants]
    known = {_key(variant) for variant in plan.variants}
    ratios = [
        _ratio(target, rounds, memory)
        for target in plan.targets
        if {f"{target.work}: {target.ours}", f"{target.work}: {target.peer}"} <= known
    ]
    return {
        "benchmark": benchmark.name,
        "title": benchmark.title,
        "subject": plan.subject,
        "unit": benchmark.unit,
        "rounds": max((len(found) for found in rounds.values()), default=0),
        "commit": commit(),
        "about": dict(plan.about),
        "missing": dict(plan.missing),
        "notes": list(benchmark.notes),
        "machine": _machine(),
        "packages": {name: _version(name) for name in benchmark.packages},
        "rows": rows,
        "ratios": ratios,
    }


def as_text(found: Mapping[str, Any]) -> list[str]:
    """The figures as lines for a terminal."""
    unit = found["unit"]
    lines = [found["title"]]
    rounds = found["rounds"]
    for row in found["rows"]:
        memory = f", peak {row['peak_memory_mib']:.0f} MiB" if row["peak_memory_mib"] is not None else ""
        speed = row["per_cpu_second"]
        spread = f"[{speed['least']:.4g}, {speed['most']:.4g}]" if rounds > 1 else "(one round)"
        lines.append(f"  {row['work']}: {row['variant']}: {speed['median']:.4g} {unit} per CPU second {spread}{memory}")
    for ratio in found["ratios"]:
        lines.append(f"  {ratio['work']}: {ratio['ours']} against {ratio['peer']}: {ratio_words(ratio, rounds)}")
    lines += [f"  not measured: {name}: {why}" for name, why in found["missing"].items()]
    return lines


def ratio_words(ratio: Mapping[str, Any], rounds: int) -> str:
    """A ratio with its spread over so many rounds and, where a bound was set, whether it was reached.

    Peaks of memory are taken once, so they have no spread.
    """
    spread = f"{ratio['median']:.2f} ({ratio['figure']}"
    if ratio["figure"] == "memory":
        spread += ")"
    elif rounds == 1:
        spread += ", one round)"
    else:
        spread = (
            f"{ratio['median']:.2f} [{ratio['least']:.2f}, {ratio['most']:.2f}] ({ratio['figure']}, {rounds} rounds)"
        )
    if ratio["bound"] is None:
        return spread
    wanted = f"{'at most' if ratio['figure'] == 'memory' else 'at least'} {ratio['bound']:g}"
    return f"{spread}, wanted {wanted}: {'reached' if ratio['reached'] else 'missed'}"


def _parser(benchmark: Benchmark) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{benchmark.name}", description=benchmark.title)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all variants; 0: of processes alone")
    parser.add_argument("--threads", type=int, default=1, help="cores and threads that every variant gets")
    parser.add_argument("--out", type=Path, help=f"JSON of the results; benchmarks/results/{benchmark.name}.json else")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    benchmark.arguments(parser)
    return parser


def _limit_threads(benchmark: Benchmark, threads: int, words: Sequence[str]) -> None:
    """Starts the process anew with every library held to so many threads; they read their limits once, at import."""
    limits = {
        **{f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL", "OPENBLAS", "RAYON")},
        "TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false",
        "HF_HUB_OFFLINE": "1",
    }
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[:threads])
    if any(os.environ.get(name) != value for name, value in limits.items()):
        command = [sys.executable, "-m", f"benchmarks.{benchmark.name}", *words]
        os.execve(sys.executable, command, {**os.environ, **limits})  # noqa: S606  # the same program once more


def _timed(work: Work, *, children: bool) -> dict[str, float]:
    gc.collect()
    wall, cpu = time.perf_counter(), _cpu_seconds(children=children)
    units = work()
    wall, cpu = time.perf_counter() - wall, _cpu_seconds(children=children) - cpu
    return {"units": units, "cpu": cpu / units, "wall": wall / units}


def _cpu_seconds(*, children: bool) -> float:
    if not children:
        return time.process_time()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + used.ru_utime + used.ru_stime


def _do_alone(plan: Plan, key: str) -> None:
    chosen = next(variant for variant in plan.variants if _key(variant) == key)
    work = chosen.prepare()
    with _ChildrenWatched() as watched:
        found = _timed(work, children=chosen.children)
    peak = watched.peak if chosen.children else peak_kilobytes()
    print(f"{ALONE}{json.dumps(found | {'memory': peak / 1024})}")


def peak_kilobytes(process: int | Literal["self"] = "self") -> int:
    """Most memory that a process has held; `getrusage` would count that of the process which started it too."""
    lines = [line for line in _lines(f"/proc/{process}/status") if line.startswith("VmHWM:")]
    if process != "self":
        return int(lines[0].split()[1]) if lines else 0
    return int(lines[0].split()[1]) if lines else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class _ChildrenWatched:
    """Looks at the peaks of this process's children every few milliseconds; a peak never falls, so the last one counts.

    Attributes:
        peak: The largest peak seen, in kilobytes.
    """

    def __init__(self) -> None:
        self.peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _ChildrenWatched:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        own = _lines("/proc/self/cmdline")
        while not self._ended.wait(0.005):
            for place in Path("/proc/self/task").glob("*/children"):
                for child in " ".join(_lines(str(place))).split():
                    # Until it runs another program a child shares the memory of this one.
                    if _lines(f"/proc/{child}/cmdline") not in ([], own):
                        self.peak = max(self.peak, peak_kilobytes(int(child)))


def _alone(benchmark: Benchmark, key: str, words: Sequence[str]) -> dict[str, float]:
    """Time per unit and peak memory, MiB, of a process that does the work of one variant once and nothing else."""
    command = [sys.executable, "-m", f"benchmarks.{benchmark.name}", *words, "--alone", key]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  # this program itself
    lines = [line for line in done.stdout.splitlines() if line.startswith(ALONE)]
    found: dict[str, float] = json.loads(lines[-1].removeprefix(ALONE))
    return found


def _require_known_names(plan: Plan) -> None:
    """A target that names no variant is a slip of the benchmark, unless the variant is known to be missing."""
    known = {_key(variant) for variant in plan.variants} | set(plan.missing)
    for target in plan.targets:
        for name in (target.ours, target.peer):
            if f"{target.work}: {name}" not in known and name not in known:
                raise ValueError(
                    f"target '{target.work}: {name}' is no variant (there are: {', '.join(sorted(known))})"
                )


def _row(variant: Variant, rounds: Sequence[Mapping[str, float]], memory: float | None) -> dict[str, Any]:
    return {
        "work": variant.work,
        "variant": variant.name,
        "ours": variant.ours,
        "units": rounds[0]["units"],
        "per_cpu_second": _spread([1 / found["cpu"] for found in rounds]),
        "per_second": _spread([1 / found["wall"] for found in rounds]),
        "peak_memory_mib": memory,
        "rounds": [dict(found) for found in rounds],
    }


def _ratio(
    target: Target, rounds: Mapping[str, Sequence[Mapping[str, float]]], memory: Mapping[str, float]
) -> dict[str, Any]:
    ours, peer = f"{target.work}: {target.ours}", f"{target.work}: {target.peer}"
    if target.figure == "memory":
        values = [memory[ours] / memory[peer]]
    else:
        pairs = zip(rounds[ours], rounds[peer], strict=True)
        values = [theirs[target.figure] / mine[target.figure] for mine, theirs in pairs]
    found = {"work": target.work, "ours": target.ours, "peer": target.peer, "figure": target.figure}
    spread = _spread(values)
    reached = None
    if target.bound is not None:
        reached = spread["median"] <= target.bound if target.figure == "memory" else spread["median"] >= target.bound
    return {**found, **spread, "bound": target.bound, "reached": reached}


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def _machine() -> dict[str, Any]:
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    features = next((line for line in _lines("/proc/cpuinfo") if line.startswith("flags")), "").split()
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
    return {
        "processor": names[0] if names else platform.machine(),
        "features": [name for name in wanted if name in features],
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def commit() -> dict[str, Any]:
    """The commit of the code that runs, its date, and whether files were changed since; `unknown` outside of git."""
    try:
        name, date = _git("show", "--no-patch", "--format=%h %cI", "HEAD").split()
        changed = bool(_git("status", "--porcelain", "--untracked-files=no", "--", *CODE))
    except (OSError, subprocess.CalledProcessError):
        return {"name": "unknown", "date": "", "changed": False}
    return {"name": name, "date": date, "changed": changed}


def _git(*words: str) -> str:
    place = Path(__file__).parents[1]
    command = ["git", "-C", str(place), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not there, or a process that has ended
        return []


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _key(variant: Variant) -> str:
    return f"{variant.work}: {variant.name}"


def read_result(path: Path) -> dict[str, Any]:
    """The figures of a run."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
