"""A corpus in many files, read as a stream: a folder or a pattern of JSON lines or parquet, in the order of names.

Nothing but the ids is kept in memory, so the corpus may be larger than that.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from isogloss.datasets.beir import read_corpus, stream_texts
from isogloss.datasets.beir_files import beir_files
from isogloss.datasets.collecting import MEND, Languages
from isogloss.datasets.parquet import RECORD_ENDINGS
from isogloss.datasets.shipped import shipped_folder
from isogloss.errors import DataError, Fault, FileError, raise_faults
from isogloss.files import check_folder
from isogloss.records import Text


def open_corpus(path: str | Path) -> Iterable[Text]:
    """The passages of a corpus: a list of what one file or BEIR folder holds, a stream of what many files hold.

    Args:
        path: What `read_corpus` takes, or a folder of `.jsonl[.gz]` or `.parquet` files, or a pattern such as
            `corpus/part-*.jsonl`.

    Raises:
        FileError: If there is nothing that fits.
        DataError: With all faults of a corpus that is read at once.
    """
    files = corpus_files(path)
    return read_corpus(path) if files is None else CorpusStream(files)


def corpus_files(path: str | Path) -> list[Path] | None:
    """The files of a corpus that is to be streamed, sorted by name; None for one that is read at once.

    Raises:
        FileError: If nothing fits the pattern, or the folder holds no corpus.
    """
    place = Path(path)
    if shipped_folder(str(path)) is not None or place.is_file():
        return None
    if glob.has_magic(str(path)) and not place.exists():
        found = glob.glob(str(path))  # noqa: PTH207  # pathlib takes no absolute pattern
        return _with_records(map(Path, found)) or _refuse(place)
    folder = check_folder(place)
    if any(files.corpus for files in beir_files(folder)):
        return None
    return _with_records(folder.iterdir()) or _refuse(folder)


def _with_records(places: Iterable[Path]) -> list[Path]:
    return sorted(place for place in places if place.name.endswith(RECORD_ENDINGS) and place.is_file())


def _refuse(place: Path) -> list[Path]:
    raise FileError(
        f"{place} has no corpus",
        next_step=f"Give a file, a BEIR folder, a folder of {', '.join(RECORD_ENDINGS)} files, or a pattern of them.",
    )


class CorpusStream:
    """The passages of several files, one after the other.

    Args:
        files: JSON lines or parquet.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files

    def __iter__(self) -> Iterator[Text]:
        """Yields the passages; broken records are left out, and raised together at the end.

        Raises:
            FileError: If a file cannot be read.
            DataError: With all faults of the records.
        """
        languages = Languages([])
        seen: set[str] = set()
        again: dict[str, list[str]] = {}
        for text, where in stream_texts(self.files, languages):
            if text.id in seen:
                again.setdefault(text.id, []).append(where)
            seen.add(text.id)
            yield text
        languages.faults.extend(self._duplicates(again))
        raise_faults(DataError, f"{len(self.files)} files", languages.faults, MEND)

    def _duplicates(self, again: Mapping[str, Sequence[str]]) -> list[Fault]:
        """A fault for each further place of an id, with its first, for which the files are read once more.

        The places of all ids would need several times the memory of the ids, for nothing where they are unique.
        """
        first: dict[str, str] = {}
        for text, where in stream_texts(self.files, Languages([])) if again else ():
            if text.id in again:
                first.setdefault(text.id, where)
        return [
            Fault(where, f"passage id '{identifier}' is taken already, by {first.get(identifier, 'an earlier line')}")
            for identifier, places in again.items()
            for where in places
        ]
