"""Mr. TyDi's folders, for one language or several.

mrtydi-v1.1-swahili/topic.dev.tsv                query id, query
mrtydi-v1.1-swahili/qrels.dev.txt                TREC: query id, Q0, passage id, grade
mrtydi-v1.1-swahili/collection/docs.jsonl.gz     {"id", "contents"}, or {"docid", "title", "text"}
"""

from __future__ import annotations

import re
from pathlib import Path

from isogloss.datasets.topics import LanguageFiles, choose_split, read_topics
from isogloss.errors import FileError
from isogloss.records import EvalSet

_FOLDER = re.compile(r"mrtydi-v[\d.]+-(?P<name>[a-z]+)$")
_LANGUAGES = {
    "arabic": "ar", "bengali": "bn", "english": "en", "finnish": "fi", "indonesian": "id", "japanese": "ja",
    "korean": "ko", "russian": "ru", "swahili": "sw", "telugu": "te", "thai": "th",
}  # fmt: skip


def mrtydi_folders(path: Path) -> dict[str, Path]:
    """The folder of each language: the path itself, or those in it."""
    if not path.is_dir():
        return {}
    found = {}
    for place in [path, *sorted(path.iterdir())]:
        match = _FOLDER.match(place.absolute().name)
        if match and place.is_dir() and match["name"] in _LANGUAGES:
            found[_LANGUAGES[match["name"]]] = place
    return found


def read_mrtydi(path: Path, *, split: str | None = None) -> EvalSet:
    """Reads Mr. TyDi.

    Args:
        path: The folder of one language, or one that holds several.
        split: `test` by default.

    Raises:
        FileError: If files are missing.
        DataError: With all faults of all files.
    """
    folders = mrtydi_folders(path)
    if not folders:
        raise FileError(f"{path} has no Mr. TyDi folder", next_step="Folders are named like mrtydi-v1.1-swahili.")
    splits: dict[str, list[LanguageFiles]] = {}
    for language, folder in folders.items():
        corpus = tuple(sorted(folder.glob("collection/docs*.jsonl*")))
        for topics in sorted(folder.glob("topic.*.tsv")):
            name = topics.name.split(".")[1]
            qrels = folder / f"qrels.{name}.txt"
            if qrels.is_file():
                splits.setdefault(name, []).append(LanguageFiles(language, topics, qrels, corpus))
    chosen = choose_split(path, splits, split if split is not None or "test" not in splits else "test")
    files = splits[chosen]
    return read_topics(f"mrtydi-{files[0].language}" if len(files) == 1 else "mrtydi", path, files)
