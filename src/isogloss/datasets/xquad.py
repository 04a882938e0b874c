"""SQuAD-style JSON in one or more languages: XQuAD, MLQA, and single sets of this form.

    xquad.de.json                                 version, data[].paragraphs[].{context, qas[].{id, question}}
    test-context-de-question-en.json              MLQA: the passage in one language, its question in another

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
from isogloss.errors import DataError, Fault, FileError
from isogloss.files import read_json
from isogloss.records import EvalSet, Text

_MLQA = re.compile(r"(?:(?P<split>[a-z]+)-)?context-(?P<context>[\w]+)-question-(?P<question>[\w]+)\.json$")
_NAMED = re.compile(r"(?:.*[._])?(?P<language>[a-z]{2,3}(?:[-_][A-Za-z]{4})?)\.json$")


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
class _Paragraph:
    where: str
    context: str
    title: str
    questions: tuple[tuple[str, str], ...]


def squad_files(path: Path) -> list[Path]:
    """The files of SQuAD's form at a path: itself, or those in the folder whose names say their languages."""
    if path.is_file():
        return [path] if path.suffix == ".json" else []
    return [place for place in sorted(path.glob("*.json")) if _MLQA.match(place.name) or _NAMED.match(place.name)]


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
    for place in _of_split(path, squad_files(path), split):
        match = _MLQA.match(place.name)
        try:
            if match is None:
                _add_file(gathered, place, *(2 * (_language_of(place),)), translated=True)
            else:
                _add_file(gathered, place, match["context"], match["question"], translated=False)
        except DataError as error:
            gathered.faults.extend(error.faults)
    name = path.resolve().name.removesuffix(".json")
    return finish(name, path, gathered.queries, gathered.passages, gathered.qrels, gathered.faults)


def _of_split(path: Path, files: list[Path], split: str | None) -> list[Path]:
    splits = {place: match["split"] for place in files if (match := _MLQA.match(place.name))}
    names = sorted({name for name in splits.values() if name})
    wanted = split if split is not None else ("test" if "test" in names else names[0] if len(names) == 1 else None)
    if not files or (names and wanted not in names):
        has = f"It has: {', '.join(names)}." if names else "Files are named like xquad.de.json."
        raise FileError(f"{path} has no split '{wanted}'" if names else f"{path} has no SQuAD files", next_step=has)
    return [place for place in files if splits.get(place, wanted) == wanted]


def _language_of(place: Path) -> str | None:
    match = _NAMED.match(place.name)
    return match["language"] if match else None


def _add_file(gathered: _Set, place: Path, context: str | None, question: str | None, *, translated: bool) -> None:
    passage_language = gathered.languages.read(context, str(place))
    query_language = gathered.languages.read(question, str(place))
    for paragraph in _paragraphs(read_json(place), place, gathered.faults):
        passage_id = _add_passage(gathered, paragraph, passage_language, translated=translated)
        for identifier, text in paragraph.questions:
            query_id = f"{identifier}.{query_language}" if query_language else identifier
            known = gathered.queries.found.get(query_id)
            if known is None or translated or known.text != text:
                query = Text(query_id, text, query_language, parallel_id=identifier if query_language else None)
                gathered.queries.add(query, f"{paragraph.where} question '{identifier}'")
            gathered.qrels.setdefault(query_id, {})[passage_id] = 1


def _add_passage(gathered: _Set, paragraph: _Paragraph, language: str | None, *, translated: bool) -> str:
    """Adds the paragraph unless it is there already, as it is for each language of MLQA's questions."""
    key = paragraph.questions[0][0] if translated else paragraph.context
    known = gathered.passage_ids.get((language, paragraph.context))
    if known is not None:
        return known
    number = gathered.paragraph_numbers.setdefault(key, len(gathered.paragraph_numbers))
    stem = f"para{number:03d}"
    passage_id = f"{stem}.{language}" if language else stem
    gathered.passage_ids[language, paragraph.context] = passage_id
    parallel_id = stem if translated and language else None
    passage = Text(passage_id, paragraph.context, language, title=paragraph.title, parallel_id=parallel_id)
    gathered.passages.add(passage, paragraph.where)
    return passage_id


def _paragraphs(value: Any, place: Path, faults: list[Fault]) -> Iterator[_Paragraph]:
    for where, article in _objects(value, "data", str(place), faults):
        for inner, paragraph in _objects(article, "paragraphs", where, faults):
            context = read_string(paragraph, ("context",), inner, faults)
            questions = []
            for place_of_question, entry in _objects(paragraph, "qas", inner, faults):
                identifier = read_id(entry, ("id",), place_of_question, faults)
                question = read_string(entry, ("question",), place_of_question, faults)
                if identifier is not None and question is not None:
                    questions.append((identifier, question))
            if context is not None and questions:
                # Titles stay out: XQuAD's are English in all languages.
                yield _Paragraph(inner, context, "", tuple(questions))


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
