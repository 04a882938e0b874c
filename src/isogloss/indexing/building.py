"""A bank becomes an index, block by block; an interrupted build goes on where it stopped."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from isogloss.engines.bank import Bank
from isogloss.engines.bank_manifest import ENCODE_AGAIN, MANIFEST_NAME, file_digest
from isogloss.errors import DataError, Fault, FileError, UsageError, raise_faults
from isogloss.files import file_errors
from isogloss.indexing.hits import checked_languages
from isogloss.indexing.manifest import IndexOptions, is_index
from isogloss.indexing.opening import create_engine, default_precision, open_engine
from isogloss.indexing.protocol import Change, Index, IndexAbout, refuse_known, refuse_unknown
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
        precision: `float32`, `float16`, or `int8` codes with a rescoring by float16; empty is what fits the engine. An
            interrupted build of another one is refused.
        options: Settings of the index.
        no_words: Languages that the lexical index leaves out, in any spelling; None leaves out none, or those that an
            interrupted build did.
        word_parts: Whether the parts of words are terms beside the words, so that other forms of them are found. An
            interrupted build that began otherwise is refused.
        progress: Whether a bar is shown.

    Raises:
        FileError: An index is there already, or the disk refuses.
        DataError: An unfinished index of another bank is there, or vectors are not finite; nothing was written then.
        UsageError: Languages that no passage has, all of them; or an unfinished index of other settings is there.
    """
    began = time.perf_counter()
    left_out = checked_languages(no_words, {tag for tag in bank.languages if tag}, "bank") if no_words else ()
    with file_errors(bank.path, "read"):
        source = file_digest(bank.path / MANIFEST_NAME)
    precision = precision or default_precision(url)
    graph = (options or IndexOptions()).graph_degree, (options or IndexOptions()).build_effort
    about = IndexAbout("", bank.fingerprint, bank.dimension, precision, source, left_out, word_parts, graph=graph)
    index = _unfinished(url, about, options)
    if index is None:
        _refuse_unusable(bank)
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
    """Adds the passages of a bank to an index. In a folder, what was stopped before its end goes on.

    Args:
        bank: Passages and vectors of the model that made the index.
        url: The index.
        how: `add` refuses ids that are there already, before anything is written; `update` replaces their passages.
        options: Settings of the graph.
        progress: Whether a bar is shown.

    Raises:
        StaleBankError: The bank was made by another model.
        DataError: With `add`, ids that are there already; vectors that are not finite; or another change, or the build,
            was stopped before its end.
    """
    began = time.perf_counter()
    with file_errors(bank.path, "read"):
        change = Change(how, file_digest(bank.path / MANIFEST_NAME), str(bank.path))
    index = open_engine(url, options)
    try:
        index.about.require(bank.fingerprint, str(url))
        goes_on = _goes_on(index, change)
        _refuse_unusable(bank)
        if how == "add" and not goes_on:
            _refuse_known(index, bank)
        with _noted(index, change):
            written = _write(index, bank, progress=progress, skip_known=goes_on and how == "add")
        return _report(index, IndexReport(str(url), written=written), began)
    finally:
        index.close()


def _goes_on(index: Index, change: Change) -> bool:
    """Whether this very change was stopped before its end.

    Raises:
        DataError: Another change was, or the build.
    """
    about = index.about
    if about.building:
        raise DataError(f"{index.url} is unfinished", next_step="Run the `isogloss index` that made it again first.")
    if about.changing is None:
        return False
    if not about.changing.is_of(change):
        raise DataError(
            f"{index.url}: its {about.changing} was stopped before its end",
            next_step="Give that command again first; it goes on. Or take the index for what it is now: "
            f"isogloss index --out '{index.url}' --as-is",
        )
    return True


@contextmanager
def _noted(index: Index, change: Change) -> Iterator[None]:
    """Has a folder say that it is being changed, until the change has reached its end.

    Not a server, where any number of processes may write at once.
    """
    noted = "://" not in index.url
    if noted:
        index.note_change(change)
    yield
    if noted:
        index.note_change(None)


def take_as_is(url: str | Path) -> IndexReport:
    """Takes an index whose change was stopped for what it is now: it can be changed in other ways again.

    Raises:
        DataError: Its build was stopped: it has no end that could be left out.
        UsageError: A bank.
    """
    began = time.perf_counter()
    index = open_engine(url)
    try:
        if index.about.building:
            raise DataError(
                f"{url} is unfinished", next_step="Run the `isogloss index` that made it again; it goes on."
            )
        index.note_change(None)
        return _report(index, IndexReport(str(url)), began)
    finally:
        index.close()


def _refuse_unusable(bank: Bank) -> None:
    """Reads vectors and ids before anything is written, so that a refusal leaves nothing half done."""
    faults = []
    for _, ids, matrix in bank.vectors():
        for first in range(0, len(ids), BLOCK):
            wrong = np.flatnonzero(~np.isfinite(matrix[first : first + BLOCK]).all(axis=1))
            faults += [
                Fault(f"id {ids[first + row]}", "its vector has a value that is not a finite number")
                for row in wrong.tolist()
            ]
    raise_faults(DataError, str(bank.path), faults, f"Nothing was written. {ENCODE_AGAIN}")


def _unfinished(url: str | Path, wanted: IndexAbout, options: IndexOptions | None) -> Index | None:
    """The index that an interrupted build of the same bank with the same settings left, if one did."""
    if "://" not in str(url) and not is_index(Path(url)):
        return None
    try:
        index = open_engine(url, options)
    except FileError:
        if "://" in str(url):
            return None
        raise
    building = index.about.building
    if building == wanted.building:
        faults = [
            Fault(name, f"{asked}, and the unfinished index has {there}")
            for (name, asked), there in zip(_settings(wanted).items(), _settings(index.about).values(), strict=True)
            if asked != there and there is not None
        ]
        if not faults:
            return index
        index.close()
        next_step = "Give the settings that it began with, give another place, or remove it."
        raise_faults(UsageError, f"{url} is an unfinished index of other settings", faults, next_step)
    index.close()
    if building:
        raise DataError(f"{url} is an unfinished index of another bank", next_step="Give another place, or remove it.")
    raise UsageError(
        f"{url} is an index already", next_step="To change it: --add, --update or --delete; or give another place."
    )


def _settings(about: IndexAbout) -> dict[str, str | int | None]:
    """What a build cannot change on its way; None where an older isogloss did not write it down."""
    graph_degree, build_effort = about.graph or (None, None)
    return {
        "precision": about.precision,
        "word_parts": str(about.word_parts).lower(),
        "graph_degree": graph_degree,
        "build_effort": build_effort,
    }


def _write(index: Index, bank: Bank, *, progress: bool, there: int = 0, skip_known: bool = False) -> int:
    """Writes the passages of a bank, but for the first blocks that are `there`: blocks are written in order.

    With `skip_known`, blocks are left out of which every passage is there.
    """
    written = 0
    pending = there
    with progress_bar("Indexing passages", len(bank), show=progress) as advance:
        ready = 0
        for start, passages, vectors in _blocks(bank):
            advance(ready)
            ready = len(passages)
            known = skip_known and len(index.known([passage.id for passage in passages])) == ready
            if start + ready > there and not known:
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
    """Removes passages from an index. In a folder, what was stopped before its end goes on.

    Raises:
        DataError: Ids that are not there, all of them, and nothing was removed then; or another change, or the build,
            was stopped before its end.
    """
    began = time.perf_counter()
    digest = hashlib.sha256("\n".join(sorted(set(ids))).encode("utf-8", "surrogatepass")).hexdigest()
    change = Change("delete", digest, f"{len(set(ids))} ids")
    index = open_engine(url, options)
    try:
        goes_on = _goes_on(index, change)
        known = index.known(ids)
        if not goes_on:
            refuse_unknown(ids, known, index.url)
        with _noted(index, change):
            if known:
                index.delete(sorted(known))
            index.optimize()
        return _report(index, IndexReport(str(url), removed=len(known)), began)
    finally:
        index.close()
