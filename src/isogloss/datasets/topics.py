"""What MIRACL and Mr. TyDi share: topics in two columns, TREC judgements, and passages in JSON lines, per language."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isogloss.datasets.collecting import Judgements, Texts, finish, read_id, read_string
from isogloss.errors import Fault, FileError
from isogloss.files import read_jsonl, read_lines
from isogloss.files.reading import shorten
from isogloss.files.trec import located_qrels
from isogloss.records import EvalSet, Text


@dataclass(frozen=True)
class LanguageFiles:
    """The files of one language.

    Attributes:
        language: Normalised tag.
        topics: Two columns: query id, query.
        qrels: TREC judgements.
        corpus: JSON lines with passages.
    """

    language: str
    topics: Path
    qrels: Path
    corpus: tuple[Path, ...] = field(default=())


def choose_split(path: Path, splits: Iterable[str], split: str | None) -> str:
    """The split asked for, else `dev`: test judgements of MIRACL are not public."""
    has = sorted(set(splits))
    if split is None:
        split = next((name for name in ("dev", "test", *has) if name in has), None)
    if split is None or split not in has:
        named = f"It has: {', '.join(has)}." if has else "Topics and judgements must both be there."
        raise FileError(f"{path} has no split '{split or 'dev'}' with topics and judgements", next_step=named)
    return split


def read_topics(name: str, path: Path, files: list[LanguageFiles]) -> EvalSet:
    """Reads the files of one or more languages.

    Ids stay as they are in one language; in several they get the ending `.<language>`, since each counts on its own.
    They are no translations of each other.

    Raises:
        FileError: If a file cannot be read, or a language has no corpus.
        DataError: With all faults of all files.
    """
    without = [entry.language for entry in files if not entry.corpus]
    if without:
        raise FileError(
            f"{path} has no corpus for: {', '.join(without)}",
            next_step="Put the corpus folder beside the topics, for example miracl-corpus-v1.0-sw/docs-0.jsonl.gz.",
        )
    faults: list[Fault] = []
    queries, passages, judgements = Texts("query", faults), Texts("passage", faults), Judgements(faults)
    for entry in files:
        ending = f".{entry.language}" if len(files) > 1 else ""
        for corpus in entry.corpus:
            _add_passages(passages, corpus, entry.language, ending)
        _add_queries(queries, entry.topics, entry.language, ending)
        judged = located_qrels(entry.qrels, faults=faults)
        judgements.add_file(judged, entry.qrels, queries, passages, ending)
    return finish(name, path, queries, passages, judgements.qrels, faults)


def _add_queries(queries: Texts, path: Path, language: str, ending: str) -> None:
    for line, text in read_lines(path, faults=queries.faults):
        where = f"{path}:{line}"
        identifier, tab, query = text.partition("\t")
        if not tab or not identifier.strip():
            queries.faults.append(Fault(where, f"no two columns: {shorten(text)}", "query id, a tab, the query"))
        else:
            queries.add(Text(identifier.strip() + ending, query.strip(), language), where)


def _add_passages(passages: Texts, path: Path, language: str, ending: str) -> None:
    for line, record in read_jsonl(path, faults=passages.faults):
        where = f"{path}:{line}"
        identifier = read_id(record, ("docid", "id", "_id"), where, passages.faults)
        titled = _title_and_text(record, where, passages.faults)
        if identifier is not None and titled is not None:
            title, text = titled
            passages.add(Text(identifier + ending, text, language, title=title), where)


def _title_and_text(record: dict[str, Any], where: str, faults: list[Fault]) -> tuple[str, str] | None:
    """Title and text; in Anserini's form both stand in `contents`, with an empty line between."""
    text = read_string(record, ("text", "contents"), where, faults)
    if text is None:
        return None
    if "text" in record:
        return str(record.get("title") or ""), text
    title, gap, rest = text.partition("\n\n")
    return (title.strip(), rest.strip()) if gap else ("", text)
