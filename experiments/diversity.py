"""Retrofit: is it better to spend a number of rows on many tasks or on many languages?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from experiments.aligned_start import MODEL, WORDS, make_aligned_start
from experiments.design import UNTRAINED, Arm, Contrast, EvaluationSet, Experiment, Json, Workspace
from experiments.language_agnostic import to_english, within
from experiments.page import table
from experiments.rows import held_out, made, part_of, place, set_of_rows
from isogloss.datasets import read_rows
from isogloss.records import Row

ROWS = 6000
LONGEST = 600
HELD_OUT = 0.1
MOST_HELD_OUT = 60
SEEDS = (13, 14, 15)
STEPS = 80
QUESTIONS_SHARE = 1 / 6
# A question and the paragraph or sentence of Wikipedia that answers it, by language.
ONE_TASK = {
    "en": ("en-squad-sentences", "en-nq-qed"),
    "ja": ("ja-jaquad",),
    "th": ("th-iapp",),
    "id": ("id-tydiqa",),
    "zh-hant": ("zh-hant-drcd",),
}
TASKS = {
    name: (f"en-{name}",)
    for name in ("squad-sentences", "nq-qed", "medquad", "covidqa", "pubmedqa", "scitldr", "wiki-titles")
}
NEW_TASKS = ("medquad", "covidqa", "pubmedqa", "scitldr", "wiki-titles")

# By arm, the groups that share its rows evenly, and what the arm is.
PARTS: dict[str, tuple[tuple[Mapping[str, tuple[str, ...]], ...], str]] = {
    "languages": ((ONE_TASK,), "one task in five languages"),
    "tasks": ((TASKS,), "seven tasks in English"),
    "both": ((ONE_TASK, TASKS), "half of the rows of each of the two"),
}

SEEN = {"TyDi QA": "tydiqa-id", "iapp": "iapp-th", "DRCD": "drcd-zh-hant"}
UNSEEN = {"HeQ": "heq-he", "NorQuAD": "norquad-nb"}
XQUAD, OTHER_TASKS = "XQuAD", "English tasks"
IN_ROWS = ("en", "th", "zh")
NOT_IN_ROWS = ("ar", "de", "el", "es", "hi", "ro", "ru", "tr", "vi")


def prepare(workspace: Workspace) -> None:
    """Makes the start model, each arm's rows with each seed, and the sets."""
    make_aligned_start(workspace)
    work = workspace.work
    names = sorted({name for group in (ONE_TASK, TASKS) for files in group.values() for name in files})
    if not all((work / f"{arm}-{seed}.jsonl").exists() for arm in PARTS for seed in SEEDS):
        kept, apart = {}, {}
        for name in names:
            rows = (replace(row, passage=row.passage[:LONGEST]) for row in read_rows(_file(workspace, name)))
            kept[name], apart[name] = held_out(rows, HELD_OUT)
        # The sets come first: they are there where the rows of all arms are.
        made(work / "tasks", lambda: set_of_rows("tasks", _few_of_each(apart)))
        for arm, (groups, _) in PARTS.items():
            for seed in SEEDS:
                made(work / f"{arm}-{seed}.jsonl", partial(shared_out, kept, groups, seed))
    made(work / "xquad", lambda: part_of(workspace.data / "retrieval" / "xquad", QUESTIONS_SHARE))


def _file(workspace: Workspace, name: str) -> str:
    return workspace.fill(f"{{data}}/train/{name}.jsonl.gz")


def _few_of_each(apart: Mapping[str, list[Row]]) -> list[Row]:
    """Held-out rows of the tasks that Wikipedia's questions are not, equally many of each."""
    return [row for name in NEW_TASKS for row in _first(apart[f"en-{name}"], MOST_HELD_OUT, 0)]


def shared_out(
    kept: Mapping[str, list[Row]], groups: tuple[Mapping[str, tuple[str, ...]], ...], seed: int
) -> list[Row]:
    """The rows of an arm: as many of each group, and within it of each language or task."""
    drawn = []
    for group in groups:
        for names in group.values():
            count = ROWS // len(groups) // len(group)
            drawn += _first([row for name in names for row in kept[name]], count, seed)
    return drawn


def _first(rows: list[Row], count: int, seed: int) -> list[Row]:
    return sorted(rows, key=lambda row: place(f"{seed} {row.query} {row.passage}"))[:count]


def _arm(name: str, words: str) -> Arm:
    overrides = (
        f"model.base={MODEL}",
        f"sources.rows.path={{work}}/{name}-{{seed}}.jsonl",
        "sources.rows.batch=96",
        "sources.rows.distinct=passage",
        f"train.max_steps={STEPS}",
        "train.learning_rate=0.01",
        "train.optim=sparse_adam",
        "train.sparse_embeddings=true",
        "train.save_strategy=no",
    )
    return Arm(name, words, "retrofit", overrides)


def _groups(results: Json) -> list[str]:
    """Every arm by what of it the training rows had."""
    columns: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
        "other English tasks": ((OTHER_TASKS, ("en-en",)),),
        "XQuAD en": ((XQUAD, ("en-en",)),),
        "native, language in rows": tuple((name, (_pair(folder),)) for name, folder in SEEN.items()),
        "native, not in rows": tuple((name, (_pair(folder),)) for name, folder in UNSEEN.items()),
        "XQuAD within, th zh": ((XQUAD, within(("th", "zh"))),),
        "XQuAD within, not in rows": ((XQUAD, within(NOT_IN_ROWS)),),
        "XQuAD to English": ((XQUAD, to_english(("th", "zh", *NOT_IN_ROWS))),),
    }
    rows = [
        (name, *(f"{_mean(scores, column):.4f}" for column in columns.values()))
        for name, scores in results["scores"].items()
    ]
    return ["By what the rows had, means over seeds:", "", *table(("arm", *columns), rows), ""]


def _mean(scores: Json, column: tuple[tuple[str, tuple[str, ...]], ...]) -> float:
    """Mean over the pairs of a column, and over seeds."""
    return float(np.mean([np.mean(scores[one][pair]) for one, pairs in column for pair in pairs]))


def _pair(folder: str) -> str:
    language = folder.split("-", 1)[1]
    return f"{language}-{language}"


def _contrasts() -> tuple[Contrast, ...]:
    found = []
    for words, sets, pairs in (
        ("other English tasks", (OTHER_TASKS,), ()),
        ("native questions, languages in the rows", tuple(SEEN), ()),
        ("native questions, languages not in the rows", tuple(UNSEEN), ()),
        ("XQuAD, languages not in the rows, within", (XQUAD,), within(NOT_IN_ROWS)),
        ("XQuAD, all languages, to English", (XQUAD,), to_english(("th", "zh", *NOT_IN_ROWS))),
    ):
        found.append(Contrast(f"tasks beat languages: {words}", "tasks", "languages", sets, pairs))
    every = (XQUAD, *SEEN, *UNSEEN)
    found += [
        Contrast("half of each beats languages alone, native sets and XQuAD", "both", "languages", every),
        Contrast("half of each beats tasks alone, native sets and XQuAD", "both", "tasks", every),
        Contrast("languages beat the start model, native sets and XQuAD", "languages", UNTRAINED, every),
        Contrast("tasks beat the start model, native sets and XQuAD", "tasks", UNTRAINED, every),
    ]
    return tuple(found)


TRIED = (
    "Each arm is best on what its own rows are like: languages on native questions in them, tasks on further rows "
    "of the same English sets. Where neither has an advantage, in languages that no row was in, the two cannot be "
    "told apart. So nothing here says that tasks matter more. XQuAD and the native sets are one task, "
    "questions over Wikipedia.",
    "Across languages (XQuAD to English) no arm is much above the start: static vectors of one language do not move "
    "those of another.",
    "One learning rate for all arms, not chosen on held-out rows; one task alone in English was not run.",
)

EXPERIMENT = Experiment(
    name="diversity",
    title="Many tasks or many languages",
    claim="At a fixed number of rows, diversity of tasks matters more than diversity of languages "
    "(Tu et al. 2025, 2510.14274).",
    design=(
        WORDS,
        f"Every arm has {ROWS:,} rows and takes {STEPS} steps of 96 rows of one language and data set, without mined "
        f"negatives, learning rate 0.01 for all, temperature 0.02. Passages are cut at {LONGEST} characters. Rows are "
        "drawn anew for each seed.",
        "One task: a question and the Wikipedia paragraph (in English mostly: sentence) that answers it. Languages: "
        "English, Japanese, Thai, Indonesian, traditional Chinese, 1,200 rows each. Tasks: seven English sets (SQuAD "
        "sentences, Natural Questions, MedQuAD, COVID-QA, PubMedQA, SciTLDR, Wikipedia's titles and first paragraphs), "
        "857 each.",
        f"Other English tasks: up to {MOST_HELD_OUT} held-out rows of each of the five sets that are no questions on "
        "Wikipedia, over their passages together. The arm with tasks has seen rows of the same sets; the arm with "
        "languages has not, as it has seen rows in the languages of TyDi QA, iapp and DRCD and the other has not.",
        "XQuAD: a sixth of its questions, each in all languages.",
    ),
    arms=tuple(_arm(name, words) for name, (_, words) in PARTS.items()),
    sets=(
        EvaluationSet(OTHER_TASKS, "{work}/tasks", "same"),
        *(EvaluationSet(name, f"{{data}}/retrieval/{folder}", "same") for name, folder in {**SEEN, **UNSEEN}.items()),
        EvaluationSet(XQUAD, "{work}/xquad", "same,to-en"),
    ),
    contrasts=_contrasts(),
    seeds=SEEDS,
    prepare=prepare,
    tried=TRIED,
    figures=_groups,
)
