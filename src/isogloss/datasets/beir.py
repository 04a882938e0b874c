"""BEIR folders, with or without languages.

    corpus.jsonl[.gz]   {"_id", "title", "text", "lang"?, "pair"?, "metadata"?}
    queries.jsonl[.gz]  {"_id", "text", "lang"?, "metadata"?}
    qrels/<split>.tsv   query-id, corpus-id, score

`lang` is our addition. Texts are translations of each other where `metadata.parallel_id` says so, or where their ids
differ only in an ending `.<lang>` that equals the record's own `lang`. Passages with a `pair` are a pool of their own:
a query looks only among those whose `pair` is its own, or its language.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from isogloss.datasets.collecting import MEND, Judgements, Languages, Texts, finish, read_id, read_string
from isogloss.datasets.shipped import shipped_folder
from isogloss.errors import DataError, Fault, FileError, UnknownLanguageError, did_you_mean, raise_faults
from isogloss.files import check_file, check_folder, read_jsonl
from isogloss.files.trec import located_qrels
from isogloss.languages import normalize
from isogloss.records import EvalSet, Text

_OWN_KEYS = frozenset(("_id", "id", "title", "text", "lang", "language", "pair", "metadata"))
_PREFERRED_SPLITS = ("test", "dev", "validation", "val")


def is_beir(path: Path) -> bool:
    """Whether a folder looks like BEIR's, be it that a file is missing."""
    if not path.is_dir():
        return False
    files = [_existing(path, name) for name in ("corpus.jsonl", "queries.jsonl")]
    return any(files) or any((path / "qrels").glob("*.tsv*"))


def read_beir(path: Path, *, split: str | None = None) -> EvalSet:
    """Reads a BEIR folder.

    Args:
        path: The folder.
        split: Name of the file in `qrels/`; by default `test`, or the only one.

    Raises:
        FileError: If a file is missing or cannot be read.
        DataError: With all faults of all three files.
    """
    folder = check_folder(path)
    corpus, query_file = (_required(folder, name) for name in ("corpus.jsonl", "queries.jsonl"))
    qrels_file = _qrels_file(folder, split)
    faults: list[Fault] = []
    languages = Languages(faults)
    passages = _read_texts(corpus, "passage", languages)
    queries = _read_texts(query_file, "query", languages)
    _assign_pools(queries, passages)
    judgements = Judgements(faults)
    judgements.add_file(located_qrels(qrels_file, faults=faults), qrels_file, queries, passages)
    return finish(folder.resolve().name, folder, queries, passages, judgements.qrels, faults)


def read_corpus(path: str | Path) -> list[Text]:
    """Reads passages alone.

    Args:
        path: A `corpus.jsonl[.gz]`, a BEIR folder with one, or the name of a set that comes with isogloss.

    Raises:
        FileError: If the file is missing or cannot be read.
        DataError: With all its faults.
    """
    place = shipped_folder(str(path)) or Path(path)
    corpus = _required(place, "corpus.jsonl") if place.is_dir() else check_file(place)
    faults: list[Fault] = []
    texts = _read_texts(corpus, "passage", Languages(faults))
    raise_faults(DataError, str(corpus), faults, MEND)
    return list(texts.found.values())


def _existing(folder: Path, name: str) -> Path | None:
    return next((place for place in (folder / name, folder / f"{name}.gz") if place.is_file()), None)


def _required(folder: Path, name: str) -> Path:
    place = _existing(folder, name)
    if place is None:
        raise FileError(
            f"{folder} has no {name} or {name}.gz",
            next_step="A BEIR folder holds corpus.jsonl, queries.jsonl and qrels/<split>.tsv.",
        )
    return place


def _qrels_file(folder: Path, split: str | None) -> Path:
    by_split = {
        place.name.removesuffix(".gz").removesuffix(".tsv"): place
        for place in sorted([*folder.glob("qrels/*.tsv"), *folder.glob("qrels/*.tsv.gz")])
    }
    if not by_split:
        raise FileError(
            f"{folder} has no qrels/<split>.tsv", next_step="Add the judgements, for example qrels/test.tsv."
        )
    has = ", ".join(by_split)
    if split is not None:
        if split not in by_split:
            raise FileError(
                f"{folder} has no split '{split}'{did_you_mean(split, by_split)}", next_step=f"It has: {has}."
            )
        return by_split[split]
    if len(by_split) == 1:
        return next(iter(by_split.values()))
    preferred = next((name for name in _PREFERRED_SPLITS if name in by_split), None)
    if preferred is None:
        raise FileError(f"{folder} has several splits: {has}", next_step="Say which one: split='…'.")
    return by_split[preferred]


def _read_texts(path: Path, role: str, languages: Languages) -> Texts:
    texts = Texts(role, languages.faults)
    for line, record in read_jsonl(path, faults=languages.faults):
        where = f"{path}:{line}"
        text = _text(record, where, languages)
        if text is not None:
            texts.add(text, where)
    return texts


def _text(record: dict[str, Any], where: str, languages: Languages) -> Text | None:
    faults = languages.faults
    identifier = read_id(record, ("_id", "id"), where, faults)
    content = read_string(record, ("text",), where, faults)
    title = "" if record.get("title") is None else record["title"]
    if not isinstance(title, str):
        faults.append(Fault(where, f"'title' is no string but {type(title).__name__}"))
        return None
    metadata = {} if record.get("metadata") is None else record["metadata"]
    if not isinstance(metadata, dict):
        faults.append(Fault(where, f"'metadata' is no object but {type(metadata).__name__}"))
        return None
    if identifier is None or content is None:
        return None
    written = record.get("lang", record.get("language"))
    language = languages.read(written, where)
    extra = {key: value for key, value in record.items() if key not in _OWN_KEYS}
    return Text(
        id=identifier,
        text=content,
        language=language,
        title=title,
        parallel_id=_parallel_id(identifier, written, language, metadata),
        pool=_pool(record.get("pair")),
        metadata={**metadata, **extra} or None,
    )


def _parallel_id(identifier: str, written: object, language: str | None, metadata: dict[str, Any]) -> str | None:
    if metadata.get("parallel_id") is not None:
        return str(metadata["parallel_id"])
    stem, dot, ending = identifier.rpartition(".")
    return stem if dot and stem and language is not None and ending in (written, language) else None


def _pool(pair: object) -> str | None:
    """The pool's name; a language in any spelling, so that a query's own language finds it."""
    if pair is None or pair == "":
        return None
    try:
        return normalize(str(pair))
    except UnknownLanguageError:
        return str(pair)


def _assign_pools(queries: Texts, passages: Texts) -> None:
    pools = {passage.pool for passage in passages.found.values()} - {None}
    if not pools:
        return
    for identifier, query in queries.found.items():
        if query.pool is None and query.language in pools:
            queries.found[identifier] = replace(query, pool=query.language)
