"""One way in to every evaluation set: by path, by name, or by name on the Hugging Face hub."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from isogloss.datasets.aligned import both_ways
from isogloss.datasets.beir import read_beir
from isogloss.datasets.bitext import read_bitext
from isogloss.datasets.frames import as_beir_folder, is_set_of_tables
from isogloss.datasets.hub import fetch, hub_name
from isogloss.datasets.miracl import read_miracl
from isogloss.datasets.registry import KNOWN_SETS, LAYOUTS, layout_of
from isogloss.datasets.shipped import shipped_folder
from isogloss.errors import Fault, FileError, UnknownLanguageError, UsageError, did_you_mean, raise_faults
from isogloss.files import check_file, file_errors
from isogloss.languages import normalize
from isogloss.records import EvalSet

DATA_VARIABLE = "ISOGLOSS_DATA"


def load(
    name_or_path: Any,
    *,
    query_languages: Iterable[str] | None = None,
    passage_languages: Iterable[str] | None = None,
    split: str | None = None,
) -> EvalSet:
    """Loads an evaluation set.

    A path comes first; then a name is looked for among the sets that come with isogloss, in the folder that the
    environment variable ISOGLOSS_DATA names, and on the Hugging Face hub, where the extra `hub` is installed.

    Args:
        name_or_path: A file or folder in a known layout, the name of a known set, or `owner/name` on the hub; or the
            tables `corpus`, `queries` and `qrels` in a mapping: data frames, data sets of Hugging Face, or lists.
        query_languages: Languages of the queries to keep, in any spelling; all by default.
        passage_languages: Languages of the passages to keep; every translation of a relevant passage is then relevant.
            All by default, with the judgements of the source.
        split: Which judgements; each layout has its default, `test` where there is one.

    Returns:
        The set; for one pair of languages see its `pair`, for all passages in one pool `mixed_pool`.

    Raises:
        FileError: If nothing is found, or a file is missing or cannot be read.
        DataError: With all faults of all files, or if the layout is not known.
        UsageError: With all languages that are unknown or that the set does not have.
    """
    queries, passages = _languages(query_languages, passage_languages)
    if is_set_of_tables(name_or_path):
        with as_beir_folder(name_or_path) as folder:
            whole = replace(read_beir(folder, split=split), name="tables")
        return whole.select(query_languages=queries, passage_languages=passages)
    known = KNOWN_SETS.get(str(name_or_path))
    if known is not None and known.both_ways and not Path(name_or_path).exists():
        whole = replace(both_ways(load(known.both_ways, split=split)), name=known.name)
        return whole.select(query_languages=queries, passage_languages=passages)
    (path, *corpora), name = _find(name_or_path, queries, passages)
    layout = layout_of(path)
    if layout.read is read_bitext:
        whole = read_bitext(path, split=split, query_languages=queries, passage_languages=passages)
    elif layout.read is read_miracl:
        whole = read_miracl(path, split=split, corpora=corpora)
    else:
        whole = layout.read(path, split=split)
    whole = replace(whole, name=name or whole.name)
    known = known or KNOWN_SETS.get(whole.name)
    if known is not None:
        whole = replace(whole, name=known.name, licence=known.licence)
    if queries is None and passages is None:
        return whole
    return whole.select(query_languages=queries, passage_languages=passages)


def _languages(
    query_languages: Iterable[str] | None, passage_languages: Iterable[str] | None
) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    faults: list[Fault] = []
    sides: list[frozenset[str] | None] = []
    for argument, tags in (("query_languages", query_languages), ("passage_languages", passage_languages)):
        found = set()
        for tag in [tags] if isinstance(tags, str) else tags or ():
            try:
                found.add(normalize(tag))
            except UnknownLanguageError as error:
                faults.append(Fault(argument, error.message))
        sides.append(None if tags is None else frozenset(found))
    raise_faults(UsageError, "load", faults, "Nothing was loaded.")
    return sides[0], sides[1]


def _find(
    name_or_path: str | os.PathLike[str], queries: frozenset[str] | None, passages: frozenset[str] | None
) -> tuple[list[Path], str]:
    """The places of a set, and its name where they do not say it, as the hub's cache does not."""
    path = Path(name_or_path).expanduser()
    name = str(name_or_path)
    with file_errors(path, "read"):
        if path.exists():
            return [path if path.is_dir() else check_file(path)], ""
        local = shipped_folder(name) or _in_data_folder(name)
        if local is None and path.name != name and path.parent.is_dir():
            check_file(path)  # says what is there instead
    if local is not None:
        return [local], ""
    known = KNOWN_SETS.get(name)
    on_hub = hub_name(name) if known is None and not path.is_absolute() else None
    if on_hub is not None or (known is not None and known.hub):
        languages = queries | passages if queries is not None and passages is not None else None
        return fetch(name, languages=languages), on_hub[0].rpartition("/")[2] if on_hub else ""
    raise FileError(
        f"there is no evaluation set '{name}'{did_you_mean(name, KNOWN_SETS)}",
        next_step=f"Give the path of a file or folder, or set {DATA_VARIABLE} to the folder that holds the sets.",
    )


def _in_data_folder(name: str) -> Path | None:
    folder = os.environ.get(DATA_VARIABLE)
    if not folder or Path(name).is_absolute():
        return None
    endings = ("", ".jsonl.gz", ".jsonl")
    places = [place / f"{name}{ending}" for place in _data_folders(Path(folder)) for ending in endings]
    # Training text may bear the same name: what can be evaluated comes first.
    places.sort(key=lambda place: not any(layout.recognises(place) for layout in LAYOUTS))
    return next((place for place in places if place.exists()), None)


def _data_folders(folder: Path) -> list[Path]:
    return [folder, *sorted(place for place in folder.glob("*") if place.is_dir())]
