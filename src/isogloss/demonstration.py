"""The main job from end to end: measure, tune the query tower in English, show what changed in every language.

Everything is left in one folder, and each part of it can be made again by the command that is named beside it.
"""

from __future__ import annotations

import shlex
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import RenderableType

from isogloss.datasets import DEMO_SET, demo_rows, load
from isogloss.engines.bank import Bank
from isogloss.engines.bank_manifest import file_digest
from isogloss.errors import DataError, ModelError, RecipeError, UsageError
from isogloss.evaluation.compare import Comparison, compare
from isogloss.evaluation.comparison_report import comparison_grids
from isogloss.evaluation.evaluate import evaluate
from isogloss.evaluation.report import language_grid, matrix_grid
from isogloss.evaluation.results import Evaluation
from isogloss.files import write_jsonl, write_text
from isogloss.indexing.hits import Hit, search
from isogloss.languages import language_name, script_of
from isogloss.models.retriever import Retriever
from isogloss.records import EvalSet, Text

MEASURE = "nDCG@10"
RECIPE = "english-query-tuning"
SHOWN_QUERIES = 3
SHOWN_HITS = 3
SHOWN_CHARACTERS = 100

Say = Callable[[RenderableType], None]


@dataclass(frozen=True)
class Product:
    """One thing that the demo left behind."""

    path: str
    what: str
    command: str


@dataclass(frozen=True)
class Demonstration:
    """What the demo found.

    Attributes:
        folder: Where everything is.
        before: The retriever as it was loaded.
        after: The tuned query tower over the same index.
        comparison: The difference, by language pair.
        index_unchanged: Whether not a bit of the index changed, and encoding anew gives the stored vectors.
        answers: Hits by query.
        products: What is in the folder.
        seconds: Time of it all.
    """

    folder: Path
    before: Evaluation
    after: Evaluation
    comparison: Comparison
    index_unchanged: bool
    answers: Sequence[tuple[Text, list[Hit]]]
    products: Sequence[Product]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "folder": str(self.folder),
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "comparison": self.comparison.to_json(),
            "index_unchanged": self.index_unchanged,
            "answers": [
                {"query": query.text, "language": query.language, "hits": [hit.to_json() for hit in hits]}
                for query, hits in self.answers
            ],
            "products": [vars(product) for product in self.products],
            "seconds": round(self.seconds, 1),
        }


def demonstrate(
    out: Path,
    *,
    data: str = DEMO_SET,
    model: str = "bundled",
    overrides: Sequence[str] = (),
    say: Say = lambda part: None,
    progress: bool = True,
) -> Demonstration:
    """Runs the main job.

    Args:
        out: Folder for all that is made; it must be empty or absent.
        data: An evaluation set with languages: the one that comes with isogloss, or any that `load` reads.
        model: The retriever.
        overrides: Changes to the recipe of the tuning.
        say: Takes what is to be shown.
        progress: Whether bars are shown.

    Raises:
        DataError: If the set has no languages, or the folder is not empty.
        ModelError: If the index did change: then the promise of the method is broken, and nothing else counts.
    """
    start = time.perf_counter()
    eval_set, retriever = check_demonstration(out, data=data, model=model, overrides=overrides, say=say)
    index = _indexed(retriever, eval_set, out / "index", say, progress)
    before = _measured(retriever, eval_set, index, out / "before", "untuned", say, progress)
    tuned = _tuned(retriever, out, model, overrides, say, progress)
    unchanged = _same_index(tuned, eval_set, index, say)
    after = _measured(tuned, eval_set, index, out / "after", "query tower tuned", say, progress)
    comparison = compare(before, after, measures=MEASURE)
    say(comparison_grids(comparison)[0].rich())
    answers = _answers(tuned, eval_set, index.bank, say)
    products = _products(out, data, model, _pairs(eval_set), overrides)
    write_text(out / "report.md", _report(before, after, comparison, unchanged, products))
    return Demonstration(out, before, after, comparison, unchanged, answers, products, time.perf_counter() - start)


def check_demonstration(
    out: Path, *, data: str, model: str, overrides: Sequence[str] = (), say: Say = lambda part: None
) -> tuple[EvalSet, Retriever]:
    """Checks all that the main job needs before anything is written; see `demonstrate`.

    Returns:
        The set and the retriever.

    Raises:
        UsageError: If an override does not fit the recipe of the tuning.
    """
    from isogloss.training import load_training_recipe

    _check_folder(out)
    try:
        load_training_recipe(RECIPE, overrides=overrides)
    except RecipeError as error:
        raise UsageError(error.message, faults=error.faults, next_step=error.next_step) from error
    eval_set = load(data)
    if not eval_set.passage_languages:
        raise DataError(f"{eval_set.name} has no languages", next_step="Add 'lang' to each line of its corpus.")
    return eval_set, _loaded(model, say)


def _check_folder(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} is there already", next_step="Choose another folder with --out, or remove it.")


def _loaded(model: str, say: Say) -> Retriever:
    start = time.perf_counter()
    retriever = Retriever.load(model)
    seconds = time.perf_counter() - start
    say(f"(a) The retriever '{model}': {retriever.dimension} dimensions, loaded in {seconds:.2f} s.")
    return retriever


@dataclass(frozen=True)
class _Index:
    """A bank that is searched, and what its files were when it was made."""

    bank: Bank
    files: dict[str, str]


def _indexed(retriever: Retriever, eval_set: EvalSet, path: Path, say: Say, progress: bool) -> _Index:
    languages = ", ".join(eval_set.passage_languages)
    report = retriever.encode_bank(eval_set.passages, path, progress=progress)
    say(
        f"(b) The index: {report.passages} passages of {eval_set.name} in {languages}, "
        f"encoded at {report.passages_per_second:.0f} a second, {report.truncated} of them truncated."
    )
    return _Index(Bank.open(path), _digests(path))


def _digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): file_digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _measured(
    retriever: Retriever, eval_set: EvalSet, index: _Index, out: Path, name: str, say: Say, progress: bool
) -> Evaluation:
    evaluation = evaluate(
        retriever,
        eval_set,
        pairs=_pairs(eval_set),
        bank=index.bank,
        bm25=name == "untuned",
        out=out,
        name=name,
        progress=progress,
    )
    say(language_grid(evaluation, MEASURE).rich())
    say(matrix_grid(evaluation, MEASURE).rich())
    return evaluation


def _pairs(eval_set: EvalSet) -> str:
    return "same,to-en,from-en,all" if "en" in eval_set.passage_languages else "same,all"


def _tuned(
    retriever: Retriever, out: Path, model: str, overrides: Sequence[str], say: Say, progress: bool
) -> Retriever:
    """Tunes the query tower; the passages of the rows are read from a bank and never encoded again."""
    from isogloss.training import train

    rows = demo_rows()
    passages = dict.fromkeys(text for row in rows for text in (row.passage, *row.negative_passages))
    texts = [Text(f"passage-{number:04d}", text, "en") for number, text in enumerate(passages)]
    write_jsonl(
        out / "tuning-passages.jsonl",
        ({"_id": text.id, "title": "", "text": text.text, "lang": "en"} for text in texts),
    )
    write_jsonl(
        out / "tuning-rows.jsonl",
        (
            {"query": row.query, "passage": row.passage, "negative_passages": list(row.negative_passages), "lang": "en"}
            for row in rows
        ),
    )
    bank = out / "bank"
    retriever.encode_bank(texts, bank, progress=progress)
    say(f"(c) Tuning the query tower on {len(rows)} English rows by the recipe '{RECIPE}'.")
    report = train(
        RECIPE,
        out / "training",
        overrides=_tuning_settings(out, model, overrides),
        announce=say,
        progress=progress,
    )
    if report.model is None:
        raise ModelError("the tuning left no model")
    losses = ", ".join(f"{term} {value:.4f}" for term, value in report.losses.items())
    say(f"    {report.plan.steps} steps in {report.seconds:.1f} s; last mean: {losses}; drift {report.drift:.2g}.")
    return Retriever.load(report.model)


def _same_index(tuned: Retriever, eval_set: EvalSet, index: _Index, say: Say) -> bool:
    """Compares files, fingerprint and vectors; the tuned model's own passage tower encodes the corpus again."""
    index.bank.require(tuned.passage.fingerprint)
    files = _digests(index.bank.path) == index.files
    stored = index.bank.get([text.id for text in eval_set.passages])
    anew = tuned.encode_passage(eval_set.passages).astype(index.bank.dtype).astype(np.float32)
    vectors = bool(np.array_equal(stored, anew))
    if not (files and vectors):
        raise ModelError("the index changed while only the query tower was trained: this is a fault of isogloss")
    say(
        f"(d) The index did not change by a bit: {len(index.files)} files with the same SHA-256, "
        f"and the passage tower of the tuned model gives the {len(stored)} stored vectors again."
    )
    return True


def _answers(tuned: Retriever, eval_set: EvalSet, bank: Bank, say: Say) -> list[tuple[Text, list[Hit]]]:
    queries = _queries_of_many_scripts(eval_set)
    relevant = eval_set.mixed_pool().qrels
    found = list(zip(queries, search(bank, tuned.encode_query(queries), k=SHOWN_HITS), strict=True))
    for query, hits in found:
        say(f"(f) {language_name(query.language or 'und')}: {query.text}")
        for hit in hits:
            mark = "✓" if relevant.get(query.id, {}).get(hit.passage.id, 0) > 0 else " "
            shown = hit.passage.text[:SHOWN_CHARACTERS]
            say(f"    {hit.rank}. {mark} {hit.score:.3f} [{hit.passage.language}] {shown} …")
    return found


def _queries_of_many_scripts(eval_set: EvalSet) -> list[Text]:
    """One query for each of the first scripts, Latin last, on different subjects and always the same ones."""
    by_script: dict[str, list[Text]] = defaultdict(list)
    for query in sorted(eval_set.queries, key=lambda text: text.id):
        by_script[script_of(query.text)].append(query)
    scripts = sorted(by_script, key=lambda script: (script == "Latn", script))[:SHOWN_QUERIES]
    return [
        by_script[script][place * len(by_script[script]) // (SHOWN_QUERIES + 1)]
        for place, script in enumerate(scripts, start=1)
    ]


def _tuning_settings(out: Path, model: str, overrides: Sequence[str]) -> tuple[str, ...]:
    """Changes to the recipe: what to tune on, and what the user gave."""
    return (
        f"model.base={model}",
        f"sources.rows.path={out / 'tuning-rows.jsonl'}",
        "model.passages_from=bank",
        f"model.bank={out / 'bank'}",
        *overrides,
    )


def _products(out: Path, data: str, model: str, pairs: str, overrides: Sequence[str]) -> list[Product]:
    """What is in the folder, each with the command that makes it again."""
    index, bank, before, after = (out / name for name in ("index", "bank", "before", "after"))
    training, tuned = out / "training", out / "training" / "model"
    of_model = () if model == "bundled" else ("--model", model)
    measuring = ("--data", data, "--pairs", pairs, "--bank", index)
    settings = (part for setting in _tuning_settings(out, model, overrides) for part in ("--set", setting))
    made: tuple[tuple[Path, str, tuple[object, ...]], ...] = (
        (index, "the corpus as vectors, searched exactly", ("encode", data, "--out", index, *of_model)),
        (bank, "vectors of the tuning passages", ("encode", out / "tuning-passages.jsonl", "--out", bank, *of_model)),
        (tuned, "the retriever with the tuned query tower", ("train", RECIPE, "--out", training, *settings)),
        (before, "TREC runs and scores before", ("evaluate", model, *measuring, "--out", before, "--bm25")),
        (after, "TREC runs and scores after", ("evaluate", tuned, *measuring, "--out", after)),
        (out / "report.md", "all tables", ("compare", before, after, "--data", data, "--measures", MEASURE)),
    )
    return [Product(str(path), what, shlex.join(["isogloss", *map(str, arguments)])) for path, what, arguments in made]


def _report(
    before: Evaluation, after: Evaluation, comparison: Comparison, unchanged: bool, products: Sequence[Product]
) -> str:
    tables = [
        grid.markdown()
        for evaluation in (before, after)
        for grid in (language_grid(evaluation, MEASURE), matrix_grid(evaluation, MEASURE))
    ]
    tables += [grid.markdown() for grid in comparison_grids(comparison)]
    made = [f"- `{product.path}`: {product.what}; made by `{product.command}`" for product in products]
    state = "did not change by a bit" if unchanged else "changed"
    return "\n".join([f"# {before.data}\n", *tables, f"The index {state}.\n", "## What is where\n", *made]) + "\n"
