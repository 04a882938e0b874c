"""MIRACL's folders, for one language or several.

miracl-v1.0-sw/topics/topics.miracl-v1.0-sw-dev.tsv     query id, query
miracl-v1.0-sw/qrels/qrels.miracl-v1.0-sw-dev.tsv       query id, Q0, passage id, grade
miracl-corpus-v1.0-sw/docs-0.jsonl.gz                   {"docid", "title", "text"}
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from isogloss.datasets.topics import LanguageFiles, choose_split, read_topics
from isogloss.errors import FileError
from isogloss.languages import normalize
from isogloss.records import EvalSet

_FOLDER = re.compile(r"miracl-v[\d.]+-(?P<language>[a-z]{2,3})$")
_TOPICS = re.compile(r"topics\.miracl-v[\d.]+-(?P<language>[a-z]{2,3})-(?P<split>[\w-]+)\.tsv$")


def miracl_folders(path: Path) -> list[Path]:
    """The folders with topics, one for each language: the path itself, or those in it."""
    if not path.is_dir():
        return []
    candidates = [path, *sorted(path.iterdir())]
    return [place for place in candidates if _FOLDER.match(place.absolute().name) and (place / "topics").is_dir()]


def read_miracl(path: Path, *, split: str | None = None, corpora: Iterable[Path] = ()) -> EvalSet:
    """Reads MIRACL.

    Args:
        path: The folder of one language, or one that holds several; corpora lie beside the folders with topics.
        split: `dev` by default.
        corpora: Further folders that hold corpora.

    Raises:
        FileError: If files are missing.
        DataError: With all faults of all files.
    """
    folders = miracl_folders(path)
    topics: dict[str, dict[str, tuple[Path, Path]]] = {}
    for folder in folders:
        for place in sorted(folder.glob("topics/*.tsv")):
            match = _TOPICS.match(place.name)
            qrels = folder / "qrels" / place.name.replace("topics.", "qrels.", 1)
            if match and qrels.is_file():
                topics.setdefault(match["split"], {})[match["language"]] = (place, qrels)
    if not folders:
        raise FileError(f"{path} has no MIRACL folder", next_step="Folders are named like miracl-v1.0-sw.")
    chosen = choose_split(path, topics, split)
    places_of_corpora = {folders[0].absolute().parent, path.absolute(), *corpora}
    files = [
        LanguageFiles(normalize(written), *places, corpus=_corpus(places_of_corpora, written))
        for written, places in sorted(topics[chosen].items())
    ]
    languages = "+".join(entry.language for entry in files)
    return read_topics(f"miracl-{languages}" if len(files) == 1 else "miracl", path, files)


def _corpus(folders: Iterable[Path], language: str) -> tuple[Path, ...]:
    pattern = f"miracl-corpus-v*-{language}/docs*.jsonl*"
    return tuple(sorted({place for folder in folders for place in folder.glob(pattern)}, key=_shard_number))


def _shard_number(place: Path) -> tuple[int, str]:
    digits = re.search(r"(\d+)", place.name)
    return int(digits[1]) if digits else 0, place.name
