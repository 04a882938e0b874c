"""`index.json`: what an index folder says of itself, and the settings of engines."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from isogloss.engines.hashing import parts_digest
from isogloss.errors import DataError
from isogloss.files import check_folder, read_json, write_json
from isogloss.indexing.protocol import Change, IndexAbout

ABOUT_NAME = "index.json"
FORMAT = 1


@dataclass(frozen=True)
class IndexOptions:
    """How an index is built and searched.

    Attributes:
        graph_degree: Neighbours of a passage in a graph (HNSW's m). With 0 the embedded index has none and compares the
            int8 codes of all allowed passages, then the best by their float16 vectors; servers take 16.
        build_effort: Candidates looked at for each passage while a graph is built (ef_construct).
        search_effort: Candidates that a graph is searched for (ef), and at least 2 k. On 211,079 passages in 81
            languages by the bundled model, recall@10 of a graph of 16 neighbours was .65 at 128, .91 at 512, .96 at
            1024 and .99 at 2048, which takes longer than comparing all codes.
        oversampling: With int8, how many times k candidates are compared again by their float16 vectors.
        exact_below: A search among at most so many passages compares their whole vectors: there that costs little,
            and through a narrow filter a graph loses recall.
        part: Passages in one part of the embedded index. A killed build loses at most what it did for the last one; a
            search looks into all of them, side by side.
        threads: Threads that build a graph; 0 is one for each core.
    """

    graph_degree: int = 0
    build_effort: int = 128
    search_effort: int = 2048
    oversampling: float = 4.0
    exact_below: int = 5_000
    part: int = 65_536
    threads: int = 0

    @property
    def server_degree(self) -> int:
        """Neighbours of a passage in the graph of a server, which always has one."""
        return self.graph_degree or 16


def is_index(folder: Path) -> bool:
    """Whether a folder holds an embedded index."""
    return (folder / ABOUT_NAME).is_file()


def write_about(folder: Path, about: IndexAbout) -> None:
    """Writes `index.json`, whole or not at all."""
    write_json(folder / ABOUT_NAME, about_to_json(about))


def read_about(folder: Path) -> IndexAbout:
    """Reads `index.json`.

    Raises:
        FileError: If there is no such folder.
        DataError: If it is no index, or its `index.json` is broken or of a later format.
    """
    check_folder(folder)
    if not is_index(folder):
        raise DataError(
            f"{folder} is no index: it has no {ABOUT_NAME}", next_step=f"Make one: isogloss index BANK --out {folder}"
        )
    return about_from_json(read_json(folder / ABOUT_NAME), str(folder / ABOUT_NAME))


def about_to_json(about: IndexAbout) -> dict[str, Any]:
    """Plain JSON values of `about`."""
    value = {"format": FORMAT, "fingerprint": about.digest, **asdict(about), "parts": dict(about.parts)}
    for name in ("changing", "graph"):
        if value[name] is None:
            del value[name]
    return value


def about_from_json(value: Any, place: str) -> IndexAbout:
    """What `about_to_json` wrote.

    Raises:
        DataError: If it is broken, changed by hand, or of a later format.
    """
    try:
        if value["format"] > FORMAT:
            raise DataError(f"{place} has format {value['format']}; this isogloss reads {FORMAT}")
        about = IndexAbout(
            engine=str(value["engine"]),
            parts=dict(value["parts"]),
            dimension=int(value["dimension"]),
            precision=str(value["precision"]),
            building=str(value["building"]),
            no_words=tuple(map(str, value.get("no_words", ()))),
            word_parts=bool(value.get("word_parts", True)),
            changing=Change(**value["changing"]) if value.get("changing") else None,
            graph=(int(value["graph"][0]), int(value["graph"][1])) if value.get("graph") else None,
        )
    except (KeyError, IndexError, TypeError, ValueError) as broken:
        raise DataError(f"{place} is broken: {broken!r}", next_step="Index the bank again.") from broken
    if value.get("fingerprint") != parts_digest(about.parts):
        raise DataError(f"{place} was changed by hand", next_step="Index the bank again.")
    return about
