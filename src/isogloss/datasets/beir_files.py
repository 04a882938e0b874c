"""Which files of a folder are the corpus, the queries and the judgements of a set in BEIR's form.

corpus.jsonl[.gz], queries.jsonl[.gz], qrels/<split>.tsv[.gz]         as BEIR has them
corpus/, queries/, qrels/ with .jsonl[.gz] or .parquet in them        as mteb has them on the hub
de-corpus/, de-queries/, de-qrels/ (or corpus-de/, …)                 the same for each of several languages
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from isogloss.datasets.parquet import RECORD_ENDINGS, config_and_split
from isogloss.errors import FileError, did_you_mean
from isogloss.files import file_errors

_LANGUAGE = r"[a-z]{2,3}(?:[-_](?:[A-Z][a-z]{3}|[A-Z]{2}))?"
_ROLE = r"(?:corpus|queries|qrels)"
_OF_LANGUAGE = re.compile(rf"(?P<before>{_LANGUAGE})-{_ROLE}$|{_ROLE}-(?P<after>{_LANGUAGE})$")
_QRELS_ENDINGS = (".tsv", ".tsv.gz", *RECORD_ENDINGS)
_UNNAMED_QRELS = ("default", "data")
_PREFERRED_SPLITS = ("test", "dev", "validation", "val")


@dataclass(frozen=True)
class BeirFiles:
    """The files of a set, or of one language of it.

    Attributes:
        language: The language as their names have it, empty where they have none.
        corpus: Files with passages.
        queries: Files with queries.
        qrels: Files with judgements.
    """

    language: str
    corpus: tuple[Path, ...]
    queries: tuple[Path, ...]
    qrels: tuple[Path, ...]

    def of_split(self, split: str) -> BeirFiles:
        """The files of one split; where texts are not split, all of them."""
        corpus, queries = (_named(places, split) or places for places in (self.corpus, self.queries))
        return BeirFiles(self.language, corpus, queries, _named(self.qrels, split))


def beir_files(folder: Path) -> list[BeirFiles]:
    """The files of a folder, those that are missing left out: one entry, or one for each language."""
    plain = _files(folder, "")
    if plain.corpus or plain.queries or any(".tsv" in place.name for place in plain.qrels):
        return [plain]
    with file_errors(folder, "read"):
        matches = [match for place in folder.iterdir() if (match := _OF_LANGUAGE.match(place.name.split(".")[0]))]
    return [_files(folder, language) for language in sorted({match["before"] or match["after"] for match in matches})]


def is_beir(path: Path) -> bool:
    """Whether a folder looks like BEIR's, be it that a file is missing."""
    if not path.is_dir():
        return False
    for files in beir_files(path):
        present = (files.corpus, files.queries, files.qrels)
        as_of_old = any(place.parent == path for place in (*files.corpus, *files.queries))
        if as_of_old or any(".tsv" in place.name for place in files.qrels) or sum(map(bool, present)) > 1:
            return True
    return False


def complete_files(folder: Path, split: str | None) -> list[BeirFiles]:
    """The files to read for one split; languages that lack it are left out.

    Raises:
        FileError: If files are missing, or there is no such split, or several and none is asked for.
    """
    found = beir_files(folder) or [BeirFiles("", (), (), ())]
    for files in found:
        for name, places in (("corpus", files.corpus), ("queries", files.queries)):
            if not places:
                raise missing_file(folder, name, files.language)
    chosen = _choose_split(folder, (place for files in found for place in files.qrels), split)
    return [files.of_split(chosen) for files in found if _named(files.qrels, chosen)]


def missing_file(folder: Path, name: str, language: str = "") -> FileError:
    """The error for a folder without its corpus or its queries."""
    wanted = f"{language}-{name}" if language else f"{name}.jsonl or {name}.jsonl.gz"
    return FileError(
        f"{folder} has no {wanted}",
        next_step="A BEIR folder holds corpus.jsonl, queries.jsonl and qrels/<split>.tsv, or folders corpus/, queries/ "
        "and qrels/ with JSON lines or parquet.",
    )


def _files(folder: Path, language: str) -> BeirFiles:
    corpus, queries = (_records(folder, name, language) for name in ("corpus", "queries"))
    qrels = _inside(folder, _names("qrels", language), _QRELS_ENDINGS)
    if not qrels and not language and corpus and queries:
        qrels = _inside(folder, _UNNAMED_QRELS, RECORD_ENDINGS)
    return BeirFiles(language, corpus, queries, qrels)


def _names(role: str, language: str) -> tuple[str, ...]:
    return (f"{language}-{role}", f"{role}-{language}") if language else (role,)


def _records(folder: Path, role: str, language: str) -> tuple[Path, ...]:
    names = _names(role, language)
    places = (folder / f"{name}{ending}" for name in names for ending in RECORD_ENDINGS)
    single = next((place for place in places if place.is_file()), None)
    return (single,) if single is not None else _inside(folder, names, RECORD_ENDINGS)


def _inside(folder: Path, names: Iterable[str], endings: tuple[str, ...]) -> tuple[Path, ...]:
    for name in names:
        places = sorted([*(folder / name).glob("*"), *(folder / name).glob("*/*.parquet")])
        kept = tuple(place for place in places if place.name.endswith(endings) and place.is_file())
        if kept:
            return kept
    return ()


def _named(places: Iterable[Path], split: str) -> tuple[Path, ...]:
    return tuple(place for place in places if config_and_split(place)[1] == split)


def _choose_split(folder: Path, qrels: Iterable[Path], split: str | None) -> str:
    splits = sorted({config_and_split(place)[1] for place in qrels})
    if not splits:
        raise FileError(
            f"{folder} has no qrels/<split>.tsv", next_step="Add the judgements, for example qrels/test.tsv."
        )
    has = ", ".join(splits)
    if split is not None and split not in splits:
        raise FileError(f"{folder} has no split '{split}'{did_you_mean(split, splits)}", next_step=f"It has: {has}.")
    if split is not None or len(splits) == 1:
        return split if split is not None else splits[0]
    preferred = next((name for name in _PREFERRED_SPLITS if name in splits), None)
    if preferred is None:
        raise FileError(f"{folder} has several splits: {has}", next_step="Say which one: split='…'.")
    return preferred
