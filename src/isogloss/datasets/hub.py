"""Evaluation sets from the Hugging Face hub: files are fetched into its cache and read like any folder."""

from __future__ import annotations

import importlib
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from isogloss.datasets.registry import KNOWN_SETS
from isogloss.errors import FileError, MissingExtraError, UnknownLanguageError
from isogloss.languages import normalize

_NAME = re.compile(r"(?:hf://)?(?:datasets/)?(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?$")
# A code stands alone between signs; words of three letters that are codes too are none here.
_CODES = re.compile(
    r"(?<![A-Za-z0-9_])(?!(?:dev|raw|all|tsv|txt|csv)\b)([a-z]{2,3}(?:[_-][A-Z][a-z]{3})?)(?![A-Za-z0-9_])"
)
_LAYOUT_FILES = ("*.jsonl", "*.jsonl.gz", "*.json", "*.tsv", "*.tsv.gz", "*.txt", "*.parquet")


def hub_name(name: str) -> tuple[str, str | None] | None:
    """Repository and revision, if `name` can be one on the hub: `owner/name`, `hf://datasets/owner/name@revision`."""
    match = _NAME.match(name)
    return (match["name"], match["revision"]) if match else None


def fetch(name: str, *, languages: Collection[str] | None = None) -> list[Path]:
    """Fetches the files of a data set and gives the folders that hold them.

    Hugging Face's own settings count (`HF_HOME`, `HF_TOKEN`, `HF_HUB_OFFLINE`).

    Args:
        name: `owner/name`, with `@revision` where one is meant, or a known set's name.
        languages: Normalised languages that are needed, to fetch no more of a large set than that; None for all.

    Raises:
        MissingExtraError: If `huggingface_hub` is not installed.
        FileError: If the hub cannot be reached or has no such data set.
    """
    known = KNOWN_SETS.get(name)
    repositories = _repositories(known.hub if known else name, known.files if known else (), languages)
    return [_snapshot(repository, revision, patterns) for repository, revision, patterns in repositories]


def _repositories(
    name: str, files: Sequence[str], languages: Collection[str] | None
) -> list[tuple[str, str | None, list[str]]]:
    repository, revision = hub_name(name) or (name, None)
    if repository != "miracl/miracl":
        return [(repository, revision, _only_languages(repository, revision, list(files or _LAYOUT_FILES), languages))]
    wanted = sorted(languages) if languages is not None else ["*"]
    topics = [f"miracl-v1.0-{language}/*/*" for language in wanted]
    corpora = [f"miracl-corpus-v1.0-{language}/*" for language in wanted]
    return [(repository, revision, topics), ("miracl/miracl-corpus", None, corpora)]


def _only_languages(
    repository: str, revision: str | None, patterns: list[str], languages: Collection[str] | None
) -> list[str]:
    """The files that name a language asked for, in themselves or their folders, and those that name none.

    Without a list of files, as for what the cache holds when the hub is not to be asked, the patterns stay.
    """
    if languages is None:
        return patterns
    library = _huggingface_hub()
    try:
        has = library.list_repo_files(repository, repo_type="dataset", revision=revision)
    except (library.errors.HfHubHTTPError, library.errors.LocalEntryNotFoundError, OSError, ValueError):
        return patterns
    matching = [name for name in has if any(fnmatch(name, pattern) for pattern in patterns)]
    # A part of a path may look like a code by chance: where nothing would be left, all is fetched.
    return [name for name in matching if _languages_in(name) <= set(languages)] or patterns


def _languages_in(name: str) -> set[str]:
    """Languages that a file's path says: `mlqa.de.en/test.parquet`, `sw-corpus/0.parquet`, `data/deu_Latn.jsonl`."""
    found = set()
    for part in _CODES.findall(name):
        with suppress(UnknownLanguageError):
            found.add(normalize(part))
    return found


def _snapshot(repository: str, revision: str | None, patterns: list[str]) -> Path:
    library = _huggingface_hub()
    try:
        place = library.snapshot_download(
            repo_id=repository, repo_type="dataset", revision=revision, allow_patterns=patterns
        )
    except (library.errors.HfHubHTTPError, library.errors.LocalEntryNotFoundError, OSError, ValueError) as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise FileError(
            f"cannot fetch the data set {repository} from the Hugging Face hub: {first_line}",
            next_step="Check its name, the network and HF_TOKEN, or give the path of a copy on this machine.",
        ) from error
    return Path(place)


def _huggingface_hub() -> Any:
    try:
        importlib.import_module("huggingface_hub.errors")
        return importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise MissingExtraError("Reading data sets from the Hugging Face hub", "hub") from error
