"""A bank becomes an index, block by block; an interrupted build goes on where it stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from isogloss.engines.bank import Bank
from isogloss.engines.bank_manifest import MANIFEST_NAME, file_digest
from isogloss.errors import DataError, FileError, UsageError
from isogloss.files import file_errors
from isogloss.indexing.hits import checked_languages
from isogloss.indexing.manifest import IndexOptions, is_index
from isogloss.indexing.opening import create_engine, default_precision, open_engine
from isogloss.indexing.protocol import Index, IndexAbout, refuse_known
from isogloss.progress import progress_bar
from isogloss.records import Text

BLOCK = 2048


@dataclass
class IndexReport:
    """What a build or a change did.

    Attributes:
        url: The index.
        written: Passages written by this call.
        removed: Passages removed by this call.
        passages: Passages in the index.
        languages: Passages by language.
        no_words: Languages that the lexical index leaves out.
        seconds: Time of writing and of building the graph.
    """

    url: str
    written: int = 0
    removed: int = 0
    passages: int = 0
    languages: dict[str, int] = field(default_factory=dict)
    no_words: tuple[str, ...] = ()
    seconds: float = 0.0


def build_index(
    bank: Bank,
    url: str | Path,
    *,
    precision: str = "",
    options: IndexOptions | None = None,
    no_words: Sequence[str] | None = None,
    word_parts: bool = True,
    progress: bool = True,
) -> IndexReport:
    """Makes an index of a bank. Where a build of the same bank was interrupted, it goes on.

    Args:
        bank: Passages and vectors.
        url: Folder, or URL of a server, that holds no index.
        precision: `float32`, `float16`, or `int8` codes with a rescoring by float16; empty is what fits the engine.
        options: Settings of the index.
        no_words: Languages that the lexical index leaves out, in any spelling; None leaves out none, or those that an
            interrupted build did.
        word_parts: Whether the parts of words are terms beside the words, so that other forms of them are found; an
            interrupted build keeps what it began with.
        progress: Whether a bar is shown.

    Raises:
        FileError: An index is there already, or the disk refuses.
        DataError: An unfinished index of another bank is there.
        UsageError: Languages that no passage has, all of them.
    """
    began = time.perf_counter()
    left_out = checked_languages(no_words, {tag for tag in bank.languages if tag}, "bank") if no_words else ()
    with file_errors(bank.path, "read"):
        source = file_digest(bank.path / MANIFEST_NAME)
    index = _unfinished(url, source, options)
    if index is None:
        precision = precision or default_precision(url)
        about = IndexAbout("", bank.fingerprint, bank.dimension, precision, source, left_out, word_parts)
        index = create_engine(url, about, options)
    try:
        if no_words is not None and left_out != index.about.no_words:
            index.leave_out_words(left_out)
        written = _write(index, bank, progress=progress, there=index.count())
        index.finish()
        return _report(index, IndexReport(str(url), written=written), began)
    finally:
        index.close()


def change_index(
    bank: Bank,
    url: str | Path,
    how: Literal["add", "update"],
    *,
    options: IndexOptions | None = None,
    progress: bool = True,
) -> IndexReport:
    """Adds the passages of a bank to an index.

    Args:
        bank: Passages and vectors of the model that made the index.
        url: The index.
        how: `add` refuses ids that are there already, before anything is written; `update` replaces their passages.
        options: Settings of the graph.
        progress: Whether a bar is shown.

    Raises:
        StaleBankError: The bank was made by another model.
        DataError: With `add`, ids that are there already.
    """
    began = time.perf_counter()
    index = open_engine(url, options)
    try:
        index.about.require(bank.fingerprint, str(url))
        if how == "add":
            _refuse_known(index, bank)
        written = _write(index, bank, progress=progress)
        return _report(index, IndexReport(str(url), written=written), began)
    finally:
        index.close()


def _unfinished(url: str | Path, source: str, options: IndexOptions | None) -> Index | None:
    """The index that an interrupted build of the same bank left, if one did."""
    if "://" not in str(url) and not is_index(Path(url)):
        return None
    try:
        index = open_engine(url, options)
    except FileError:
        if "://" in str(url):
            return None
        raise
    building = index.about.building
    if building == source:
        return index
    index.close()
    if building:
        raise DataError(f"{url} is an unfinished index of another bank", next_step="Give another place, or remove it.")
    raise UsageError(
        f"{url} is an index already", next_step="To change it: --add, --update or --delete; or give another place."
    )


def _write(index: Index, bank: Bank, *, progress: bool, there: int = 0) -> int:
    """Writes the passages of a bank, but for the first blocks that are `there`: blocks are written in order."""
    written = 0
    pending = there
    with progress_bar("Indexing passages", len(bank), show=progress) as advance:
        ready = 0
        for start, passages, vectors in _blocks(bank):
            advance(ready)
            ready = len(passages)
            if start + ready > there:
                index.update(passages, vectors)
                written += ready
                pending += ready
            if index.part and pending >= index.part:
                index.optimize()
                pending = 0
        index.optimize()
        # The last block counts as done only now, so that a full bar means a finished index.
        advance(ready)
    return written


def _blocks(bank: Bank) -> Iterator[tuple[int, list[Text], NDArray[Any]]]:
    """First row, passages and vectors of each block; a shard ends a block."""
    texts = bank.texts()
    for start, ids, matrix in bank.vectors():
        for first in range(0, len(ids), BLOCK):
            rows = matrix[first : first + BLOCK]
            yield start + first, list(islice(texts, len(rows))), rows


def _refuse_known(index: Index, bank: Bank) -> None:
    known: set[str] = set()
    for first in range(0, len(bank), BLOCK):
        known |= index.known(bank.ids[first : first + BLOCK])
    refuse_known(known, index.url)


def _report(index: Index, report: IndexReport, began: float) -> IndexReport:
    report.passages = index.count()
    report.languages = index.languages()
    report.no_words = index.about.no_words
    report.seconds = time.perf_counter() - began
    return report


def leave_out_words(url: str | Path, languages: Sequence[str]) -> IndexReport:
    """Has the lexical index of an index leave out these languages, in any spelling, and no others.

    Raises:
        UsageError: Languages that no passage has, all of them; or a bank.
    """
    began = time.perf_counter()
    index = open_engine(url)
    try:
        index.leave_out_words(checked_languages(languages, set(index.languages()), "index"))
        return _report(index, IndexReport(str(url)), began)
    finally:
        index.close()


def copy_index(url: str | Path, path: str | Path) -> IndexReport:
    """Copies an index as it is now into a folder that holds nothing; the report is that of the copy.

    Raises:
        UsageError: A server, which has tools of its own for that, or a bank; the message names them.
        FileError: Something is in the folder, or another process has the index open.
    """
    began = time.perf_counter()
    index = open_engine(url)
    try:
        index.snapshot(str(path))
        return _report(index, IndexReport(str(path), written=index.count()), began)
    finally:
        index.close()


def delete_passages(url: str | Path, ids: list[str], *, options: IndexOptions | None = None) -> IndexReport:
    """Removes passages from an index.

    Raises:
        DataError: Ids that are not there, all of them; nothing was removed then.
    """
    began = time.perf_counter()
    index = open_engine(url, options)
    try:
        index.delete(ids)
        index.optimize()
        return _report(index, IndexReport(str(url), removed=len(set(ids))), began)
    finally:
        index.close()
