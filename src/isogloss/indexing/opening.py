"""Where an index is: `./folder`, `qdrant://host:6333/collection`, or `postgresql://user@host/database?table=name`."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from isogloss.engines.bank import Bank
from isogloss.engines.bank_manifest import MANIFEST_NAME
from isogloss.errors import DataError, UsageError, did_you_mean
from isogloss.indexing.bank_index import BankIndex
from isogloss.indexing.manifest import IndexOptions
from isogloss.indexing.protocol import PRECISIONS, Index, IndexAbout
from isogloss.indexing.search_index import SearchIndex

if TYPE_CHECKING:
    from isogloss.models.retriever import Retriever

LOGGER = logging.getLogger("isogloss")
PLACES = "Give a folder, qdrant://host:port/collection, or postgresql://user@host/database."
SCHEMES = ("qdrant", "qdrants", "postgresql", "postgres")


def open_index(
    url: str | Path, *, model: str | Path | Retriever | None = "bundled", options: IndexOptions | None = None
) -> SearchIndex:
    """Opens an index for searches and changes.

    Args:
        url: A folder that `isogloss index` or `isogloss encode` made, or the URL of an index on a server.
        model: The retriever that encoded the passages, or its folder or name; None searches by words alone.
        options: Settings of the searches.

    Raises:
        FileError: There is nothing, or another process has the folder open.
        DataError: It is no index, or an unfinished one. One whose change was stopped opens, with a warning in the log.
        StaleBankError: The passages were encoded by another model.
    """
    from isogloss.models.retriever import Retriever

    retriever = Retriever.load(model) if isinstance(model, (str, Path)) else model
    index = open_engine(url, options)
    try:
        if index.about.building:
            raise DataError(
                f"{url} is unfinished", next_step="Run the `isogloss index` that made it again; it goes on."
            )
        found = SearchIndex(index, retriever)
        if index.about.changing is not None:
            LOGGER.warning(
                "%s: its %s was stopped before its end, and searches find what it left. Give that command again; it "
                "goes on.",
                url,
                index.about.changing,
            )
        return found
    except BaseException:
        index.close()
        raise


def open_engine(url: str | Path, options: IndexOptions | None = None) -> Index:
    """Opens the engine that a URL names.

    Raises:
        FileError: There is nothing, or another process has the folder open.
        DataError: It is no index.
        UsageError: The URL names no engine, or is none.
    """
    scheme = _scheme(url)
    if scheme.startswith("qdrant"):
        from isogloss.indexing.qdrant_server import QdrantIndex

        return QdrantIndex.open(str(url), options)
    if scheme:
        from isogloss.indexing.postgres import PostgresIndex

        return PostgresIndex.open(str(url), options)
    if (Path(url) / MANIFEST_NAME).is_file():
        return BankIndex(Bank.open(url))
    from isogloss.indexing.embedded import EmbeddedIndex

    return EmbeddedIndex.open(url, options)


def create_engine(url: str | Path, about: IndexAbout, options: IndexOptions | None = None) -> Index:
    """Makes an empty index at a place that holds none.

    Args:
        url: Folder, or URL of a server.
        about: Fingerprint, dimension and precision; its engine's name is filled in.
        options: Settings of the graph.

    Raises:
        FileError: Something is there.
        UsageError: The URL names no engine, or the engine does not have the precision.
    """
    if about.precision not in PRECISIONS:
        raise UsageError(f"precision: '{about.precision}' (allowed: {', '.join(PRECISIONS)})")
    scheme = _scheme(url)
    if scheme.startswith("qdrant"):
        from isogloss.indexing.qdrant_server import QdrantIndex

        return QdrantIndex.create(str(url), about, options)
    if scheme:
        from isogloss.indexing.postgres import PostgresIndex

        return PostgresIndex.create(str(url), about, options)
    from isogloss.indexing.embedded import EmbeddedIndex

    return EmbeddedIndex.create(url, about, options)


def default_precision(url: str | Path) -> str:
    """How an engine keeps vectors where nothing is said: servers have graphs, the embedded index compares codes."""
    return "float16" if _scheme(url) else "int8"


def _scheme(url: str | Path) -> str:
    """The scheme of a URL, empty for a folder."""
    scheme, separator, _ = str(url).partition("://")
    if not separator:
        return ""
    if scheme not in SCHEMES:
        raise UsageError(
            f"'{url}': '{scheme}' is no engine{did_you_mean(scheme, SCHEMES)}",
            next_step=PLACES,
        )
    try:
        parts = urlsplit(str(url))
        # Of PostgreSQL's there may be several, with a host each.
        port = parts.port if scheme.startswith("qdrant") else None
    except ValueError as wrong:
        raise UsageError(f"'{_shown(str(url))}' is no URL: {wrong}", next_step=PLACES) from wrong
    if port == 0:
        raise UsageError(f"'{_shown(str(url))}' is no URL: port 0 (allowed: 1 to 65535)", next_step=PLACES)
    return scheme


def _shown(url: str) -> str:
    """A URL without its user and password."""
    return re.sub(r"//[^@/]*@", "//", url)
