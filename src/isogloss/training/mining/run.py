"""Mining from files to a file: `mine` reads rows, mines them part by part, and writes them with their negatives."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from isogloss.datasets import read_corpus, read_parallel, row_record
from isogloss.engines.bank import Bank
from isogloss.errors import DataError, FileError, UsageError
from isogloss.files import write_jsonl
from isogloss.models.retriever import Retriever
from isogloss.progress import progress_bar
from isogloss.records import Row, Text
from isogloss.training.mining.clear import QueryMiner, pair_questions
from isogloss.training.mining.cost import SAMPLE, Estimate, estimate_cost
from isogloss.training.mining.known_answers import KnownAnswers, text_key
from isogloss.training.mining.passages import PassageMiner, searched
from isogloss.training.mining.report import UNKNOWN_LANGUAGE, MiningReport, Tallies, Tally, joined
from isogloss.training.mining.selection import Selection
from isogloss.training.mining.settings import MiningSettings
from isogloss.training.mining.teacher import Teacher, teacher_scores
from isogloss.training.mining.work import WorkFolder, digest_of
from isogloss.training.sources.reading import expand, read_rows

Purpose = Literal["retrieval", "clear"]


@dataclass(frozen=True)
class MiningTask:
    """What is mined with what.

    Attributes:
        rows: Files of rows, or patterns.
        out: The file to write.
        model: The miner.
        bank: A bank of passages that the miner made.
        corpus: A corpus instead, which is encoded first. With neither, the rows' own passages are searched.
        purpose: `clear` pairs questions with their translations and mines negative queries as well.
        translations: Files of translated questions, for `clear`.
        teacher: A cross-encoder that scores the candidates.
        settings: How negatives are chosen.
    """

    rows: tuple[str, ...]
    out: Path
    model: str = "bundled"
    bank: Path | None = None
    corpus: str | None = None
    purpose: Purpose = "retrieval"
    translations: tuple[str, ...] = ()
    teacher: str | None = None
    settings: MiningSettings = field(default_factory=MiningSettings)


def mine(
    task: MiningTask,
    *,
    dry_run: bool = False,
    announce: Callable[[str], None] = lambda line: None,
    progress: bool = True,
) -> MiningReport:
    """Mines negatives for rows and writes the rows with them; a stopped mining goes on where it was.

    Args:
        task: What is mined with what.
        dry_run: Whether everything is checked and estimated, and nothing written.
        announce: Takes the estimate, before the mining.
        progress: Whether bars are shown.

    Raises:
        UsageError: If arguments do not fit each other.
        StaleBankError: If another model made the bank.
        DataError: If rows, corpus or translations are broken.
        FileError: If the output exists, or an unfinished mining of another kind is beside it.
    """
    began = time.perf_counter()
    _check(task)
    retriever = Retriever.load(task.model)
    questions = list(read_rows(task.rows))
    rows = _paired(task, questions)
    passages = None if task.bank is not None else _corpus(task, questions)
    work = WorkFolder(task.out, _plan(task, retriever, [*questions, *rows], passages))
    work.check()
    parts = range(-(-len(rows) // task.settings.rows_at_once))
    done = sum(len(_part(rows, number, task)) for number in parts if work.has(number))
    estimate = _estimate(task, retriever, rows, done, passages)
    announce(str(estimate))
    unpaired = _unpaired(questions, rows) if task.purpose == "clear" else 0
    if dry_run:
        return MiningReport(None, estimate, unpaired=unpaired, seconds=time.perf_counter() - began)
    work.begin()
    miner = _Miner.open(task, retriever, [*questions, *rows], _bank(task, retriever, work, passages, progress))
    with progress_bar("Mining rows", len(rows), show=progress) as advance:
        for number in parts:
            part = _part(rows, number, task)
            if not work.has(number):
                work.write(number, *miner.mine(part))
            advance(len(part))
    tallies = joined([work.tallies(number) for number in parts])
    written = write_jsonl(task.out, work.records(len(parts)), overwrite=False)
    work.remove()
    return MiningReport(task.out, estimate, tallies, written, unpaired, time.perf_counter() - began)


@dataclass(frozen=True)
class _Miner:
    """Everything that turns a part of the rows into records."""

    task: MiningTask
    passages: PassageMiner
    queries: QueryMiner | None
    teacher: Teacher | None
    provenance: dict[str, Any]

    @classmethod
    def open(cls, task: MiningTask, retriever: Retriever, rows: Sequence[Row], bank: Bank) -> _Miner:
        known = KnownAnswers(rows, bank.texts(), near_duplicate=task.settings.near_duplicate)
        provenance = {
            "model": task.model,
            "query_fingerprint": retriever.query.fingerprint.digest,
            "bank": bank.digest,
            "ranks": list(task.settings.ranks),
            "seed": task.settings.seed,
        }
        return cls(
            task,
            PassageMiner(retriever, bank, known, task.settings),
            QueryMiner(retriever, rows, task.settings) if task.purpose == "clear" else None,
            _load_teacher(task),
            provenance if task.teacher is None else {**provenance, "teacher": task.teacher},
        )

    def mine(self, rows: Sequence[Row]) -> tuple[list[dict[str, Any]], Tallies]:
        """The records of some rows, and their counts."""
        selections = self.passages.mine(rows)
        tallies = {"passages": _tallied(rows, selections, self.task.settings.negatives)}
        mined = [self._with_passages(row, found) for row, found in zip(rows, selections, strict=True)]
        extras: list[dict[str, Any]] = [{"miner": self.provenance, "negative_ranks": _ranks(s)} for s in selections]
        if self.queries is not None:
            found = self.queries.mine(mined, self.passages.passage_vectors(mined))
            tallies["queries"] = _tallied(rows, found, self.task.settings.negative_queries)
            mined = [self._with_queries(row, selection) for row, selection in zip(mined, found, strict=True)]
            extras = [{**e, "negative_query_ranks": _ranks(s)} for e, s in zip(extras, found, strict=True)]
        if self.teacher is not None:
            texts = [self.passages.whole_text(Text("", row.passage, title=row.title)) for row in mined]
            scores = teacher_scores(mined, texts, self.teacher)
            mined = [replace(row, teacher_scores=values) for row, values in zip(mined, scores, strict=True)]
        records = [{**row_record(row), **extra} for row, extra in zip(mined, extras, strict=True) if self._kept(row)]
        return records, tallies

    def _kept(self, row: Row) -> bool:
        settings = self.task.settings
        enough = len(row.negative_passages) >= settings.negatives and (
            self.queries is None or len(row.negative_queries) >= settings.negative_queries
        )
        return enough or not settings.complete

    def _with_passages(self, row: Row, selection: Selection) -> Row:
        ids = tuple(negative.id for negative in selection.negatives)
        texts = tuple(self.passages.whole_text(self.passages.text(name)) for name in ids)
        return replace(row, negative_passages=texts, negative_passage_ids=ids, teacher_scores=())

    def _with_queries(self, row: Row, selection: Selection) -> Row:
        if self.queries is None:
            return row
        return replace(row, negative_queries=tuple(self.queries.text(found.id) for found in selection.negatives))


def _check(task: MiningTask) -> None:
    if task.bank is not None and task.corpus is not None:
        raise UsageError("both a bank and a corpus", next_step="Give one of them, or neither for the rows' passages.")
    if task.translations and task.purpose != "clear":
        raise UsageError("translations are given, but not mined for", next_step="Add --for clear.")
    if task.out.exists():
        raise FileError(
            f"cannot write {task.out}: it exists already", next_step="Choose another name, or remove it first."
        )


def _paired(task: MiningTask, questions: Sequence[Row]) -> list[Row]:
    if task.purpose != "clear":
        return list(questions)
    files = expand(task.translations) if task.translations else []
    return pair_questions(questions, (pair for path in files for pair in read_parallel(path)))


def _unpaired(questions: Sequence[Row], rows: Sequence[Row]) -> int:
    """Questions in the language of their passage that got no translation."""
    paired = {text_key(row.query) for row in rows}
    own = [row for row in questions if row.query_language == row.passage_language]
    return sum(text_key(row.query) not in paired for row in own)


def _corpus(task: MiningTask, rows: Sequence[Row]) -> list[Text]:
    """The passages to encode: of the corpus, or of the rows, each once."""
    if task.corpus is not None:
        corpus = list(read_corpus(task.corpus))
        if not corpus:
            raise DataError(f"{task.corpus} has no passages", next_step="Give a corpus that is not empty.")
        return corpus
    passages: dict[str, Text] = {}
    for row in rows:
        name = row.passage_id or text_key(row.passage).hex()
        passages.setdefault(name, Text(name, row.passage, row.passage_language, row.title))
    return list(passages.values())


def _bank(
    task: MiningTask, retriever: Retriever, work: WorkFolder, passages: list[Text] | None, progress: bool
) -> Bank:
    if passages is None:
        return _opened(task, retriever)
    retriever.encode_bank(passages, work.path / "bank", progress=progress)
    return Bank.open(work.path / "bank")


def _opened(task: MiningTask, retriever: Retriever) -> Bank:
    bank = Bank.open(task.bank or "")
    bank.require(retriever.passage.fingerprint)
    return bank


def _plan(
    task: MiningTask, retriever: Retriever, rows: Sequence[Row], passages: Sequence[Text] | None
) -> dict[str, Any]:
    """Everything that decides what is written, by name."""
    bank = None if passages is not None else _opened(task, retriever)
    texts: Iterator[Text] = bank.texts() if bank is not None else iter(passages or ())
    return {
        "rows": digest_of(json.dumps(row_record(row), ensure_ascii=False) for row in rows),
        "passages": digest_of(f"{text.id}\t{text.language}\t{text.parallel_id}\t{text.text}" for text in texts),
        "model": [retriever.query.fingerprint.digest, retriever.passage.fingerprint.digest],
        "teacher": task.teacher,
        "purpose": task.purpose,
        "settings": task.settings.model_dump(mode="json", exclude={"block", "teacher_batch"}),
    }


def _estimate(
    task: MiningTask, retriever: Retriever, rows: Sequence[Row], done: int, passages: Sequence[Text] | None
) -> Estimate:
    """Encodes a sample of the queries, searches a block of made-up vectors, and multiplies."""
    bank = _opened(task, retriever) if passages is None else None
    texts = itertools.islice(bank.texts(), SAMPLE) if bank is not None else (passages or ())[:SAMPLE]
    languages = bank.languages if bank is not None else [text.language for text in passages or ()]
    # The first texts of all wait for the tokenizer to be read, which is no part of what a row costs.
    encode = partial(retriever.encode, role="query", unreadable="zeros")
    encode([row.query for row in rows[-SAMPLE:]])
    return estimate_cost(
        task.settings,
        rows=[len(row.query.encode()) + len(row.passage.encode()) for row in rows],
        done=done,
        passages=len(languages),
        searched=searched(rows, Counter(language or "" for language in languages), task.settings),
        sample=[retriever.passage.whole_text(text) for text in texts],
        dimension=retriever.dimension,
        encode=lambda: encode([row.query for row in rows[:SAMPLE]]),
        new_bank=bank is None,
    )


def _part(rows: Sequence[Row], number: int, task: MiningTask) -> Sequence[Row]:
    size = task.settings.rows_at_once
    return rows[number * size : (number + 1) * size]


def _load_teacher(task: MiningTask) -> Teacher | None:
    if task.teacher is None:
        return None
    from isogloss.training.mining.teacher import CrossEncoderTeacher

    return CrossEncoderTeacher.load(task.teacher, batch_size=task.settings.teacher_batch)


def _tallied(rows: Sequence[Row], selections: Sequence[Selection], wanted: int) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    for row, selection in zip(rows, selections, strict=True):
        language = row.translated_query_language or row.query_language or UNKNOWN_LANGUAGE
        tallies.setdefault(language, Tally()).add(selection, wanted)
    return tallies


def _ranks(selection: Selection) -> list[int]:
    return [negative.rank for negative in selection.negatives]
