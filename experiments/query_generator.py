"""A query generator as teacher (QuiCK, 2303.14991): contrast, distillation, alignment at 10, 30, 100 % of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from experiments.design import Arm, Contrast, EvaluationSet, Experiment, Json, Workspace
from experiments.page import table
from experiments.rows import held_out, made
from experiments.teachers import (
    Quality,
    cross_encoder_scores,
    generator_scores,
    quality,
    train_cross_encoder,
    train_query_generator,
)
from isogloss.datasets import read_rows
from isogloss.files import read_json, write_json
from isogloss.generation import GenerateSettings, LocalWriter, QueryGenerator, generate_queries
from isogloss.models.retriever import Retriever
from isogloss.recipe import NewModelSettings
from isogloss.records import Row
from isogloss.training.mining import MiningSettings, MiningTask, mine
from isogloss.training.start import start_model

DATA = {"th": "th-iapp", "id": "id-tydiqa", "zh-hant": "zh-hant-drcd"}
SETS = {"th": "iapp-th", "id": "tydiqa-id", "zh-hant": "drcd-zh-hant"}
SHARES = {10: 40, 30: 120, 100: 400}  # percent of the labels to rows of each language
HELD_OUT = 60
NEGATIVES = 3
SHUFFLE_SEED = 7
CONTRAST, RIVAL, TEACHER, ALIGNED = "InfoNCE", "+ cross-encoder", "+ generator", "+ generator + alignment"
TEACHERS = "teachers.json"


def prepare(workspace: Workspace) -> None:
    """Makes the rows of each share, both teachers of each, their scores, and the generated queries."""
    work = workspace.work
    made(work / "held-out.jsonl", partial(_rows, workspace, HELD_OUT, apart=True))
    for percent, count in SHARES.items():
        made(work / f"rows-{percent}.jsonl", partial(_rows, workspace, count, apart=False))
    settings = NewModelSettings(
        parallel=[],
        rows=[str(work / "rows-100.jsonl")],
        languages=list(DATA),
        dimension=128,
        whole_words=8000,
        pieces=12_000,
        least_count=2,
    )
    start_model(settings, work / "start", lambda line: None)
    for name in ("held-out", *(f"rows-{percent}" for percent in SHARES)):
        _mine(workspace, work / f"{name}.jsonl", work / f"{name}-mined.jsonl")
    if not (work / TEACHERS).is_file():
        write_json(work / TEACHERS, {str(percent): _teach(work, percent) for percent in SHARES})


def _rows(workspace: Workspace, count: int, *, apart: bool) -> list[Row]:
    """The same shuffled rows of each language whatever their number: a smaller share is a part of a larger one."""
    found: list[Row] = []
    for name in DATA.values():
        sides = held_out(read_rows(workspace.data / "train" / f"{name}.jsonl.gz"), 0.1)
        side = sides[1] if apart else sides[0]
        order = np.random.default_rng(SHUFFLE_SEED).permutation(len(side))[:count]
        found += [side[place] for place in order.tolist()]
    return found


def _mine(workspace: Workspace, rows: Path, out: Path) -> None:
    if not out.is_file():
        settings = MiningSettings(negatives=NEGATIVES, ranks=(1, 30), complete=True)
        mine(MiningTask((str(rows),), out, model=str(workspace.work / START), settings=settings), progress=False)


START = "start/start/model"


def _teach(work: Path, percent: int) -> dict[str, Any]:
    """Trains both teachers on a share of the labels, has them score it, and says how good they are."""
    mined, apart = work / f"rows-{percent}-mined.jsonl", work / "held-out-mined.jsonl"
    folder = work / f"teachers-{percent}"
    labelled, unseen = read_rows(mined), read_rows(apart)
    generator = train_query_generator(mined, folder, NEGATIVES)
    rival = train_cross_encoder(labelled, folder / "cross-encoder")
    found = {
        "generator": quality(generator_scores(apart, generator, folder / "held-out-generator.jsonl")),
        "cross_encoder": quality(cross_encoder_scores(unseen, rival)),
        "start_model": quality(_start_scores(work, unseen)),
    }
    by_generator = folder / "scored-generator.jsonl"
    scored = generator_scores(mined, generator, by_generator)
    made(work / f"taught-generator-{percent}.jsonl", partial(_calibrated, scored, found["generator"]))
    by_rival = cross_encoder_scores(labelled, rival)
    made(work / f"taught-cross-encoder-{percent}.jsonl", partial(_calibrated, by_rival, found["cross_encoder"]))
    written = _generate(work / f"taught-generator-{percent}.jsonl", work / f"aligned-{percent}.jsonl", generator)
    return {"rows": len(labelled), **{name: asdict(one) for name, one in found.items()}, "queries": written}


def _calibrated(rows: Sequence[Row], found: Quality) -> list[Row]:
    """The rows with scores at the temperature that suits rows that the teacher has not seen."""
    return [
        replace(row, teacher_scores=tuple(score / found.temperature for score in row.teacher_scores)) for row in rows
    ]


def _start_scores(work: Path, rows: Sequence[Row]) -> list[Row]:
    """The rows with the start model's scores of their candidates, for comparison."""
    model = Retriever.load(work / START, on_overflow="ignore")
    queries = model.encode_query([row.query for row in rows])
    passages = model.encode_passage([text for row in rows for text in (row.passage, *row.negative_passages)])
    scores = np.einsum("qd,qcd->qc", queries, passages.reshape(len(rows), 1 + NEGATIVES, -1))
    return [replace(row, teacher_scores=tuple(map(float, one))) for row, one in zip(rows, scores, strict=True)]


def _generate(rows: Path, out: Path, generator: Path) -> dict[str, Any]:
    settings = GenerateSettings(queries_per_language=1, batch=32, max_new_tokens=24)
    writer = LocalWriter(QueryGenerator.load(generator), settings)
    report = generate_queries(
        rows, out, writer, languages=list(DATA), settings=settings, overwrite=out.is_file(), progress=False
    )
    return {name: report.to_json()[name] for name in ("written", "kept", "dropped")}


def _arm(percent: int, kind: str, words: str, rows: str, *, distil: bool = False, align: bool = False) -> Arm:
    """An arm of the shipped recipe on a share of the labels."""
    terms: list[dict[str, Any]] = [{"term": "infonce", "on": "rows", "temperature": 0.05, "mode": "in_batch_all"}]
    if distil:
        terms.append({"term": "distillation", "on": "rows", "temperature": 0.05, "teacher_temperature": 1.0})
    if align:
        terms.append({"term": "alignment", "on": "rows", "weight": 0.1, "temperature": 0.05})
    source = {"path": f"{{work}}/{rows}-{percent}.jsonl", "kind": "rows", "batch": 60, "negatives": NEGATIVES}
    if align:
        source["generated_ramp_steps"] = STEPS // 2
    settings = {"model.base": f"{{work}}/{START}", "sources.rows": source, "objective": terms, "train": TRAIN}
    overrides = tuple(f"{field}={_yaml(value)}" for field, value in settings.items())
    return Arm(f"{kind}, {percent} %", words, "query-generator-student", overrides)


def _yaml(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(yaml.safe_dump(value, default_flow_style=True, width=10_000)).strip()


STEPS = 60
TRAIN = {
    "learning_rate": 0.005,
    "max_steps": STEPS,
    "warmup_steps": 10,
    "optim": "sparse_adam",
    "sparse_embeddings": True,
    "save_strategy": "no",
}


def _arms() -> tuple[Arm, ...]:
    arms = []
    for percent in SHARES:
        arms += [
            _arm(percent, CONTRAST, "labels and mined negatives", "taught-generator"),
            _arm(percent, RIVAL, "and distillation from the cross-encoder", "taught-cross-encoder", distil=True),
            _arm(percent, TEACHER, "and distillation from the query generator", "taught-generator", distil=True),
            _arm(percent, ALIGNED, "and its queries in other languages", "aligned", distil=True, align=True),
        ]
    return tuple(arms)


def _contrasts() -> tuple[Contrast, ...]:
    on = tuple(SETS.values())
    found = []
    for percent in SHARES:
        labels = f"at {percent} % of the labels"
        found += [
            Contrast(
                f"distillation from the generator beats InfoNCE {labels}",
                *(f"{TEACHER}, {percent} %", f"{CONTRAST}, {percent} %", on),
            ),
            Contrast(
                f"the generator teaches better than the cross-encoder {labels}",
                *(f"{TEACHER}, {percent} %", f"{RIVAL}, {percent} %", on),
            ),
            Contrast(
                f"alignment adds to distillation from the generator {labels}",
                *(f"{ALIGNED}, {percent} %", f"{TEACHER}, {percent} %", on),
            ),
        ]
    return tuple(found)


def further(workspace: Workspace) -> Json:
    """How good the teachers are on rows that they have not seen, and what was generated."""
    return {"teachers": dict(read_json(workspace.work / TEACHERS))}


def _teachers(results: Json) -> list[str]:
    """The teachers themselves, before anything is learnt from them."""
    rows = []
    for percent, found in results["further"]["teachers"].items():
        written = sum(found["queries"]["written"].values())
        kept = sum(found["queries"]["kept"].values())
        ranked = [f"{found[name]['first']:.3f}" for name in ("generator", "cross_encoder", "start_model")]
        certain = [f"{found[name]['certainty']:.3f}" for name in ("generator", "cross_encoder", "start_model")]
        rows.append((f"{percent} %", found["rows"], *ranked, *certain, f"{kept:,} of {written:,}"))
    heads = (
        "labels",
        "rows",
        *(f"{name}: first" for name in _NAMES),
        *(f"{name}: p" for name in _NAMES),
        "queries kept",
    )
    chance = 1 / (1 + NEGATIVES)
    note = (
        f"On held-out rows with {NEGATIVES} negatives mined by the start model: how often the passage comes first (by "
        f"chance {chance:.2f}), and its mean probability at the best temperature. Last: generated queries that passed."
    )
    return ["The teachers themselves:", "", *table(heads, rows), "", note, ""]


_NAMES = ("generator", "cross-encoder", "start model")


EXPERIMENT = Experiment(
    name="query_generator",
    title="Query generator as teacher",
    claim="A query generator teaches a retriever with fewer labels than a cross-encoder needs, and its queries in "
    "other languages align the retriever across languages without parallel text (2303.14991).",
    design=(
        "The model that comes with isogloss was trained on these labels, so the student begins elsewhere: a static "
        "model of 128 dimensions made by `model.base: new`, random vectors, vocabulary from the labelled rows. Two "
        "towers.",
        "Labels: 400 native rows each of Thai (iapp), Indonesian (TyDi QA) and traditional Chinese (DRCD), of which "
        "10, 30 and 100 % are used; 3 negatives of each, mined by the start model among its first 30.",
        "The teachers begin from nothing: a T5 (2 + 2 layers, 96 wide; 100 steps of generation, 40 of ranking) and a "
        "BERT (4 layers, 96 wide; 130 steps of softmax over the candidates), each on the same share of the labels. "
        "The paper's generator is a large pre-trained one. Both teachers' scores are brought to the temperature that "
        "suits held-out rows best. Each teacher is trained once for each share; the seeds are the student's.",
        f"Student: {STEPS} steps of 60 rows, learning rate 0.005, SparseAdam, temperature 0.05; distillation has "
        "weight 1, alignment 0.1 with one generated query in each other language at most. All of it is ours.",
    ),
    arms=_arms(),
    sets=tuple(EvaluationSet(name, f"{{data}}/retrieval/{name}", "same") for name in SETS.values()),
    contrasts=_contrasts(),
    prepare=prepare,
    further=further,
    figures=_teachers,
)
