"""`generate_queries`: queries are written, kept in a journal, filtered, and put into rows with their provenance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isogloss.datasets import row_record
from isogloss.errors import FileError, UsageError
from isogloss.files import write_jsonl
from isogloss.generation.filters import Candidate, Filters, Tally, normal_form, single_spaced
from isogloss.generation.input import Input, read_input
from isogloss.generation.journal import Journal, open_journal
from isogloss.generation.round_trip import found_again, judged_by_teacher
from isogloss.generation.settings import GenerateSettings, ScoreSettings
from isogloss.generation.tasks import Task, Writer, make_tasks
from isogloss.progress import progress_bar
from isogloss.records import GeneratedQuery, Row

if TYPE_CHECKING:
    from isogloss.generation.generator import QueryGenerator
    from isogloss.models.retriever import Retriever

JOURNAL = ".journal.jsonl"


@dataclass(frozen=True)
class GenerateReport:
    """What a generation did.

    Attributes:
        out: The file of rows.
        tally: Written, kept and dropped queries by language, with the reasons.
        passages: Passages that were written for.
        rows: Rows in the file.
        tasks: Tasks of the whole run.
        asked: Tasks that were worked on now; the rest stood in the journal.
        skipped: Passages left out, by reason.
    """

    out: Path
    tally: Tally
    passages: int
    rows: int
    tasks: int
    asked: int
    skipped: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        counts = {"written": self.tally.written, "kept": self.tally.kept, "dropped": self.tally.dropped}
        values = {name: getattr(self, name) for name in ("passages", "rows", "tasks", "asked", "skipped")}
        return {"out": str(self.out), **counts, **values}


def generate_queries(
    source: str | Path,
    out: str | Path,
    writer: Writer,
    *,
    languages: Sequence[str] = (),
    settings: GenerateSettings | None = None,
    retriever: Retriever | None = None,
    teacher: QueryGenerator | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> GenerateReport:
    """Writes queries for passages and keeps those that pass the filters.

    Rows get them as `generated_queries`, in other languages than their own. Of a corpus each query becomes a row. The
    same call goes on where a stopped one ended: what was written stands in `OUT.journal.jsonl`, filters run at the end.

    Args:
        source: A file of training rows, or a corpus.
        out: File of the rows, compressed where its name ends in `.gz`.
        writer: Writes the queries.
        languages: Languages of the queries; for a corpus the passage's own where none is named.
        settings: How many queries, and the filters.
        retriever: Searches in the round trip; needed where `round_trip_k` is above 0.
        teacher: Generator that scores each query; needed for `weight: teacher` and `teacher_round_trip`.
        overwrite: Whether an existing `out` is replaced.
        progress: Whether bars are shown.

    Raises:
        DataError: If the input is faulty.
        FileError: If `out` exists or cannot be written.
        IsoglossError: If the writer fails; what was written is kept.
        MissingExtraError: If languages are to be told apart and py3langid is not installed.
        UsageError: If languages, a retriever or a teacher are missing.
    """
    chosen = settings or GenerateSettings()
    place = Path(out)
    _check(place, chosen, retriever, teacher, overwrite)
    found = read_input(source, languages, chosen)
    filters = Filters(chosen, found.all_languages())
    tasks = make_tasks(found.passages, found.languages, chosen, many_at_once=writer.many_at_once)
    with ExitStack() as stack:
        journal = stack.enter_context(open_journal(_journal_path(place), _digest(writer, tasks)))
        asked = _write(writer, tasks, journal, progress)
        tally = Tally()
        candidates = filters.apply(_candidates(tasks, journal, writer, tally), tally, _taken(found))
    if retriever is not None and chosen.round_trip_k:
        candidates = found_again(
            candidates, found.passages, retriever, k=chosen.round_trip_k, tally=tally, progress=progress
        )
    if teacher is not None:
        candidates = _judged(candidates, found, teacher, chosen, place, tally, progress)
    tally.keep(candidates)
    records = _with_queries(found, candidates) if found.from_rows else _as_rows(candidates)
    count = write_jsonl(place, records, overwrite=overwrite)
    _journal_path(place).unlink(missing_ok=True)
    return GenerateReport(place, tally, len(found.passages), count, len(tasks), asked, found.skipped)


def _check(
    place: Path,
    settings: GenerateSettings,
    retriever: Retriever | None,
    teacher: QueryGenerator | None,
    overwrite: bool,
) -> None:
    if place.exists() and not overwrite:
        raise FileError(f"cannot write {place}: it exists already", next_step="Choose another name, or --overwrite.")
    if settings.round_trip_k and retriever is None:
        raise UsageError("round_trip_k needs a retriever", next_step="Name one, or set round_trip_k=0.")
    if (settings.weight == "teacher" or settings.teacher_round_trip) and teacher is None:
        raise UsageError(
            "weight: teacher and teacher_round_trip need a generator that scores", next_step="Give --generator."
        )


def _journal_path(place: Path) -> Path:
    return place.with_name(place.name + JOURNAL)


def _digest(writer: Writer, tasks: Sequence[Task]) -> str:
    """Hash over what decides the answers: the writer and the tasks, not the filters."""
    content = json.dumps([writer.describe(), [task.key for task in tasks]], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _write(writer: Writer, tasks: Sequence[Task], journal: Journal, progress: bool) -> int:
    """Has every task written that is not in the journal yet; gives their number."""
    missing = [task for task in tasks if task.key not in journal.done]
    with progress_bar("Writing queries", len(tasks), show=progress) as advance:
        advance(len(tasks) - len(missing))
        for task, written in writer.write(missing):
            journal.add(task, written)
            advance(1)
    return len(missing)


def _candidates(tasks: Sequence[Task], journal: Journal, writer: Writer, tally: Tally) -> list[Candidate]:
    """All queries in the order of the tasks, whatever order they were written in."""
    described = writer.describe()
    candidates = []
    for task in tasks:
        written = journal.done[task.key]
        if written.failure:
            tally.write(task.language, task.count)
            tally.drop(task.language, written.failure, task.count)
            continue
        tally.write(task.language, len(written.texts))
        asked = {"type": task.query_type, "band": task.length_band} if task.query_type else {}
        provenance = {**described, **asked, "document_id": task.passage.id, **written.provenance}
        candidates += [Candidate(task, single_spaced(text), 1.0, provenance) for text in written.texts]
    return candidates


def _taken(found: Input) -> dict[str, set[str]]:
    """Normal forms of the labelled queries of each passage."""
    return {
        passage: {normal_form(found.rows[number].query) for number in numbers}
        for passage, numbers in found.rows_of.items()
    }


def _judged(
    candidates: Sequence[Candidate],
    found: Input,
    teacher: QueryGenerator,
    settings: GenerateSettings,
    place: Path,
    tally: Tally,
    progress: bool,
) -> list[Candidate]:
    from isogloss.generation.score_cache import open_cache
    from isogloss.generation.scoring import Scorer

    rows = {passage: found.rows[numbers[0]] for passage, numbers in found.rows_of.items()} or {
        passage.id: Row("", passage.text, title=passage.title, row_id=passage.id) for passage in found.passages
    }
    with open_cache(place.with_name(place.name + ".scores.sqlite")) as cache:
        return judged_by_teacher(
            candidates,
            rows,
            Scorer(teacher, cache, ScoreSettings()),
            weigh=settings.weight == "teacher",
            must_be_first=settings.teacher_round_trip,
            tally=tally,
            progress=progress,
        )


def _with_queries(found: Input, candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """The rows, each with the queries in other languages than its own."""
    new: dict[int, list[GeneratedQuery]] = {}
    for candidate in candidates:
        language = candidate.task.language
        query = GeneratedQuery(candidate.text, language, round(candidate.weight, 6), candidate.provenance)
        for number in found.rows_of[candidate.task.passage.id]:
            if found.rows[number].query_language != language:
                new.setdefault(number, []).append(query)
    return [
        row_record(replace(row, generated_queries=(*row.generated_queries, *new.get(number, ()))))
        for number, row in enumerate(found.rows)
    ]


def _as_rows(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """A row for each query, with its provenance under `generation`."""
    records = []
    numbers: dict[str, int] = {}
    for candidate in candidates:
        passage = candidate.task.passage
        number = numbers[passage.id] = numbers.get(passage.id, -1) + 1
        row = Row(
            query=candidate.text,
            passage=passage.text,
            query_language=candidate.task.language,
            passage_language=passage.language,
            row_id=f"{passage.id}#{number}",
            passage_id=passage.id,
            title=passage.title,
            source="synthetic",
            task_type=candidate.task.query_type or "question",
        )
        records.append({**row_record(row), "generation": candidate.provenance})
    return records
