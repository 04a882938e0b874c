"""SQuAD's form, JSON or parquet, in one or more languages: XQuAD, MLQA, and single sets of this form.

    xquad.de.json                                 version, data[].paragraphs[].{context, qas[].{id, question}}
    test-context-de-question-en.json              MLQA: the passage in one language, its question in another
    xquad.de/validation-00000-of-00001.parquet    id, context, question: a row for each question
    mlqa.de.en/test-00000-of-00001.parquet        MLQA: first the passage's language, then the question's

A question's answer is the paragraph that it stands under. In XQuAD paragraphs with the same questions are translations
of each other. MLQA's contexts are comparable articles and no translations, so that only its own pairs are relevant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isogloss.datasets.collecting import Languages, Texts, finish, read_id, read_string
from isogloss.datasets.parquet import config_and_split, read_records
from isogloss.errors import DataError, Fault, FileError
from isogloss.files import read_json
from isogloss.records import EvalSet, Text

_MLQA = re.compile(r"(?:(?P<split>[a-z]+)-)?context-(?P<context>[\w]+)-question-(?P<question>[\w]+)\.json$")
_TAG = r"[a-z]{2,3}(?:[-_][A-Za-z]{4})?"
_NAMED = re.compile(rf"(?:.*[._])?(?P<language>{_TAG})\.json$")
_CONFIGURATION = re.compile(rf"\w+\.(?P<context>{_TAG})(?:\.(?P<question>{_TAG}))?$")
_COLUMNS = (("id",), ("context",), ("question",))


@dataclass
class _Set:
    """What is gathered over the files of a set."""

    faults: list[Fault] = field(default_factory=list)
    qrels: dict[str, dict[str, int]] = field(default_factory=dict)
    paragraph_numbers: dict[str, int] = field(default_factory=dict)
    passage_ids: dict[tuple[str | None, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.queries = Texts("query", self.faults)
        self.passages = Texts("passage", self.faults)
        self.languages = Languages(self.faults)


@dataclass(frozen=True)
class _File:
    """A file and what its name says; `translated` where its paragraphs are translated into other files."""

    place: Path
    split: str | None
    context: str | None
    question: str | None
    translated: bool


@dataclass(frozen=True)
class _Question:
    where: str
    id: str
    text: str


@dataclass(frozen=True)
class _Paragraph:
    where: str
    context: str
    questions: tuple[_Question, ...]


def squad_files(path: Path) -> list[Path]:
    """The files of SQuAD's form at a path: itself, or those in the folder whose names say their languages."""
    if path.is_file():
        return [path] if path.suffix == ".json" or _configuration(path) else []
    named = [place for place in sorted(path.glob("*.json")) if _MLQA.match(place.name) or _NAMED.match(place.name)]
    if named:
        return named
    patterns = ("*.parquet", "*/*.parquet", "*/*/*.parquet")
    return [place for pattern in patterns for place in sorted(path.glob(pattern)) if _configuration(place)]


def _configuration(place: Path) -> re.Match[str] | None:
    return _CONFIGURATION.match(config_and_split(place)[0]) if place.suffix == ".parquet" else None


def read_squad(path: Path, *, split: str | None = None) -> EvalSet:
    """Reads one SQuAD-style file, or a folder with a file for each language or pair of languages.

    Args:
        path: The file or folder.
        split: For MLQA, `dev` or `test`; `test` by default where there is one.

    Raises:
        FileError: If there is no such file or split.
        DataError: With all faults of all files.
    """
    gathered = _Set()
    for entry in _of_split(path, squad_files(path), split):
        try:
            _add_file(gathered, entry)
        except DataError as error:
            gathered.faults.extend(error.faults)
    name = path.resolve().name.removesuffix(".json")
    return finish(name, path, gathered.queries, gathered.passages, gathered.qrels, gathered.faults)


def _of_split(path: Path, places: list[Path], split: str | None) -> list[_File]:
    files = [_described(place) for place in places]
    names = sorted({entry.split for entry in files if entry.split})
    wanted = split if split is not None else ("test" if "test" in names else names[0] if len(names) == 1 else None)
    if not files or (names and wanted not in names):
        has = f"It has: {', '.join(names)}." if names else "Files are named like xquad.de.json."
        raise FileError(f"{path} has no split '{wanted}'" if names else f"{path} has no SQuAD files", next_step=has)
    return [entry for entry in files if entry.split in (None, wanted)]


def _described(place: Path) -> _File:
    match = _configuration(place)
    if match is not None:
        question = match["question"]
        split = config_and_split(place)[1]
        return _File(place, split, match["context"], question or match["context"], translated=question is None)
    match = _MLQA.match(place.name)
    if match is not None:
        return _File(place, match["split"], match["context"], match["question"], translated=False)
    match = _NAMED.match(place.name)
    language = match["language"] if match else None
    return _File(place, None, language, language, translated=True)


def _add_file(gathered: _Set, entry: _File) -> None:
    passage_language = gathered.languages.read(entry.context, str(entry.place))
    query_language = gathered.languages.read(entry.question, str(entry.place))
    paragraphs = _paragraphs_of_rows if entry.place.suffix == ".parquet" else _paragraphs
    for paragraph in paragraphs(entry.place, gathered.faults):
        passage_id = _add_passage(gathered, paragraph, passage_language, translated=entry.translated)
        for asked in paragraph.questions:
            query_id = f"{asked.id}.{query_language}" if query_language else asked.id
            known = gathered.queries.found.get(query_id)
            if known is None or entry.translated or known.text != asked.text:
                parallel_id = asked.id if query_language else None
                gathered.queries.add(Text(query_id, asked.text, query_language, parallel_id=parallel_id), asked.where)
            gathered.qrels.setdefault(query_id, {})[passage_id] = 1


def _add_passage(gathered: _Set, paragraph: _Paragraph, language: str | None, *, translated: bool) -> str:
    """Adds the paragraph unless it is there already, as it is for each language of MLQA's questions."""
    key = paragraph.questions[0].id if translated else paragraph.context
    known = gathered.passage_ids.get((language, paragraph.context))
    if known is not None:
        return known
    number = gathered.paragraph_numbers.setdefault(key, len(gathered.paragraph_numbers))
    stem = f"para{number:03d}"
    passage_id = f"{stem}.{language}" if language else stem
    gathered.passage_ids[language, paragraph.context] = passage_id
    parallel_id = stem if translated and language else None
    # Titles stay out: XQuAD's are English in all languages.
    gathered.passages.add(Text(passage_id, paragraph.context, language, parallel_id=parallel_id), paragraph.where)
    return passage_id


def _paragraphs(place: Path, faults: list[Fault]) -> Iterator[_Paragraph]:
    for where, article in _objects(read_json(place), "data", str(place), faults):
        for inner, paragraph in _objects(article, "paragraphs", where, faults):
            context = read_string(paragraph, ("context",), inner, faults)
            entries = _objects(paragraph, "qas", inner, faults)
            questions = [found for at, entry in entries if (found := _question(entry, at, faults))]
            if context is not None and questions:
                yield _Paragraph(inner, context, tuple(questions))


def _paragraphs_of_rows(place: Path, faults: list[Fault]) -> Iterator[_Paragraph]:
    """The paragraphs of a table, whose rows with the same context are one, in the order of their first rows."""
    questions: dict[str, list[_Question]] = {}
    for number, record in read_records(place, _COLUMNS, faults):
        where = f"{place}:{number}"
        context, question = read_string(record, ("context",), where, faults), _question(record, where, faults)
        if context is not None and question is not None:
            questions.setdefault(context, []).append(question)
    for context, asked in questions.items():
        yield _Paragraph(asked[0].where, context, tuple(asked))


def _question(record: dict[str, Any], where: str, faults: list[Fault]) -> _Question | None:
    identifier = read_id(record, ("id",), where, faults)
    text = read_string(record, ("question",), where, faults)
    return _Question(where, identifier, text) if identifier is not None and text is not None else None


def _objects(value: Any, key: str, where: str, faults: list[Fault]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects in the list `value[key]`, each with its place."""
    entries = value.get(key) if isinstance(value, dict) else None
    if not isinstance(entries, list):
        faults.append(Fault(where, f"the list '{key}' is missing", "SQuAD's form: data[].paragraphs[].qas[]"))
        return
    for number, entry in enumerate(entries):
        inner = f"{where} {key}[{number}]"
        if isinstance(entry, dict):
            yield inner, entry
        else:
            faults.append(Fault(inner, f"no object but {type(entry).__name__}"))
