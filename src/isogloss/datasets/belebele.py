"""Belebele's JSON lines: reading comprehension turned into retrieval of the passage that a question is about.

    deu_Latn.jsonl   {"link", "question_number", "flores_passage", "question", "dialect", …}

A link names a passage, and link and number name a question, in all languages alike.
"""

from __future__ import annotations

from pathlib import Path

from isogloss.datasets.collecting import Languages, Texts, finish, read_string
from isogloss.errors import DataError, Fault, FileError
from isogloss.files import read_jsonl
from isogloss.records import EvalSet, Text


def belebele_files(path: Path) -> list[Path]:
    """The files of this form at a path: itself, or those in the folder or its `data` folder."""
    if path.is_file():
        candidates = [path]
    else:
        candidates = sorted([*path.glob("*.jsonl"), *path.glob("*.jsonl.gz"), *path.glob("data/*.jsonl")])
    return [place for place in candidates if _looks_right(place)]


def _looks_right(place: Path) -> bool:
    faults: list[Fault] = []
    first = next(read_jsonl(place, faults=faults), None)
    return first is not None and "flores_passage" in first[1]


def read_belebele(path: Path, *, split: str | None = None) -> EvalSet:
    """Reads one file, or a folder with a file for each language.

    Args:
        path: The file or folder.
        split: Belebele has only `test`.

    Raises:
        FileError: If there is no such file or split.
        DataError: With all faults of all files.
    """
    files = belebele_files(path)
    if not files or split not in (None, "test"):
        problem = f"no split '{split}'" if files else "no Belebele files"
        raise FileError(
            f"{path} has {problem}", next_step="It has one split, test, in files named like deu_Latn.jsonl."
        )
    faults: list[Fault] = []
    languages = Languages(faults)
    queries, passages = Texts("query", faults), Texts("passage", faults)
    qrels: dict[str, dict[str, int]] = {}
    numbers: dict[str, int] = {}
    for place in files:
        for line, record in read_jsonl(place, faults=faults):
            where = f"{place}:{line}"
            written = record.get("dialect") or place.name.split(".")[0]
            language = languages.read(written, where)
            keys = ("link", "question_number", "flores_passage", "question")
            link, number, passage, question = (read_string(record, (key,), where, faults, numbers=True) for key in keys)
            if link is None or number is None or passage is None or question is None or language is None:
                continue
            stem = f"passage{numbers.setdefault(link, len(numbers)):03d}"
            passage_id, query_id = f"{stem}.{language}", f"{stem}-q{number}.{language}"
            known = passages.found.get(passage_id)
            if known is None:
                passages.add(Text(passage_id, passage, language, parallel_id=stem), where)
            elif known.text != passage:
                faults.append(Fault(where, f"link '{link}' has another passage before"))
            queries.add(Text(query_id, question, language, parallel_id=f"{stem}-q{number}"), where)
            qrels[query_id] = {passage_id: 1}
    if not faults and not queries.found:
        raise DataError(f"{path} has no questions", next_step="Check that the files are complete.")
    return finish(path.resolve().name.split(".")[0], path, queries, passages, qrels, faults)
