"""NeuCLIR and collections like it: topics in English and others, one pool of documents in several languages.

    topics.0720.utf8.jsonl       {"topic_id", "topics": [{"lang", "source", "topic_title", "topic_description"}]}
    2022-qrels.zho               TREC: topic, iteration, document, grade; a file for each language of documents.
                                 2023: qrels.final.gains.zho; HC4: zho/test.qrels.v1-0.txt
    zho-00000-of-00001.jsonl.gz  {"id", "title", "text"}, as on the Hugging Face hub; or zho/docs.jsonl, as downloaded

Queries are title and description of a topic with a space between, as the organisers' baselines have them; of several
versions in one language the original comes first, then the human translation; machine translations are left out. All
documents are one pool: `--pairs mixed` searches it whole, `en-zh` one language of it. Judgements of languages without
documents are not read, nor is the file of all languages (2022-qrels.all) where there are those of each. Grades are 0, 1
and 3.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from isogloss.datasets.collecting import Judgements, Languages, Texts, finish, read_id, read_string
from isogloss.errors import Fault, FileError
from isogloss.files import file_errors, read_jsonl
from isogloss.files.trec import located_qrels
from isogloss.records import EvalSet, Text

_LANGUAGE = r"(?P<language>[a-z]{2,3})"
_TOPICS = re.compile(r".*topics.*\.jsonl(?:\.gz)?$")
_QRELS = re.compile(r"(?:.*/)?[^/]*qrels[^/]*$")
_QRELS_OF = re.compile(
    rf"(?:.*/)?(?:[^/]*qrels[^/]*[.-]{_LANGUAGE}|(?P<folder>[a-z]{{2,3}})/[^/]*)(?:\.txt)?(?:\.gz)?$"
)
_DOCUMENTS = re.compile(rf"(?:.*[/-])?{_LANGUAGE}(?:-\d+-of-\d+|/[^/]+)?\.jsonl(?:\.gz)?$")
_NO_LANGUAGE = ("all", "txt", "")


def neuclir_files(path: Path) -> dict[str, list[tuple[str, Path]]]:
    """Topics, judgements and documents in a folder, each with its language; empty where it is no such collection."""
    if not path.is_dir():
        return {}
    found: dict[str, list[tuple[str, Path]]] = {"topics": [], "qrels": [], "documents": []}
    with file_errors(path, "read"):
        places = sorted(place for place in [*path.glob("*"), *path.glob("*/*"), *path.glob("*/*/*")] if place.is_file())
    for place in places:
        name = place.relative_to(path).as_posix()
        documents = _DOCUMENTS.match(name)
        if _TOPICS.match(name):
            found["topics"].append(("", place))
        elif _QRELS.match(name):
            found["qrels"].append((_language_of_qrels(name), place))
        elif documents:
            found["documents"].append((documents["language"], place))
    return found if found["topics"] and (found["qrels"] or found["documents"]) else {}


def _language_of_qrels(name: str) -> str:
    """The language at the end of a file's name, or that of its folder; empty where it is of all languages."""
    match = _QRELS_OF.match(name)
    written = (match["language"] or match["folder"]) if match else ""
    return "" if written in _NO_LANGUAGE else written


def _judged(files: dict[str, list[tuple[str, Path]]]) -> list[Path]:
    """The judgements that are read: those of the languages that have documents, else those of all languages."""
    there = {language for language, _ in files["documents"]}
    of_each = [place for language, place in files["qrels"] if language in there]
    return of_each or [place for language, place in files["qrels"] if not language]


def read_neuclir(path: Path, *, split: str | None = None) -> EvalSet:
    """Reads topics, judgements and documents.

    Args:
        path: The folder.
        split: There are none; it must be None.

    Raises:
        FileError: If topics, judgements or documents are missing, or a split is asked for.
        DataError: With all faults of all files.
    """
    files = neuclir_files(path)
    missing = [name for name in ("topics", "qrels", "documents") if not files.get(name)]
    missing += [] if missing or _judged(files) else ["qrels of a language that has documents"]
    if missing or split is not None:
        problem = f"no {', '.join(missing)}" if missing else f"no split '{split}'"
        raise FileError(f"{path} has {problem}", next_step="It needs topics.jsonl, qrels.zho and docs/zho.jsonl.")
    faults: list[Fault] = []
    languages = Languages(faults)
    queries, passages, judgements = Texts("query", faults), Texts("passage", faults), Judgements(faults)
    for written, place in files["documents"]:
        language = languages.read(written, str(place))
        for line, record in read_jsonl(place, faults=faults):
            _add_document(passages, record, f"{place}:{line}", language)
    asked: dict[str, list[str]] = {}
    for _, place in files["topics"]:
        for line, record in read_jsonl(place, faults=faults):
            _add_topic(queries, asked, record, f"{place}:{line}", languages)
    for place in _judged(files):
        judged = located_qrels(place, faults=faults)
        named = [
            (f"{topic}.{ending}", grades, lines) for topic, grades, lines in judged for ending in asked.get(topic, ())
        ]
        judgements.add_file(named, place, queries, passages)
        unknown = [topic for topic, *_ in judged if topic not in asked]
        if unknown:
            faults.append(Fault(str(place), f"topics that are in no topic file: {', '.join(unknown[:5])}"))
    return finish(path.resolve().name, path, queries, passages, judgements.qrels, faults)


def _add_document(passages: Texts, record: dict[str, Any], where: str, language: str | None) -> None:
    identifier = read_id(record, ("id", "docid", "_id"), where, passages.faults)
    text = read_string(record, ("text",), where, passages.faults)
    if identifier is not None and text is not None:
        passages.add(Text(identifier, text, language, title=str(record.get("title") or "")), where)


def _add_topic(
    queries: Texts, asked: dict[str, list[str]], record: dict[str, Any], where: str, languages: Languages
) -> None:
    topic = read_id(record, ("topic_id",), where, queries.faults)
    versions = record.get("topics")
    if topic is None or not isinstance(versions, list):
        queries.faults.append(Fault(where, "the list 'topics' is missing"))
        return
    best: dict[str, tuple[int, str]] = {}
    for version in versions:
        source = str(version.get("source", "original")).lower() if isinstance(version, dict) else ""
        rank = _rank(source)
        language = languages.read(version.get("lang"), where) if rank is not None else None
        if language is not None and rank is not None and rank < best.get(language, (2, ""))[0]:
            parts = (str(version.get(key) or "").strip() for key in ("topic_title", "topic_description"))
            best[language] = (rank, " ".join(part for part in parts if part))
    for language, (_, text) in best.items():
        asked.setdefault(topic, []).append(language)
        queries.add(Text(f"{topic}.{language}", text, language, parallel_id=topic), where)


def _rank(source: str) -> int | None:
    """0 for the original, 1 for a human translation, None for a machine's."""
    if "translation" not in source:
        return 0
    return 1 if "human" in source else None
