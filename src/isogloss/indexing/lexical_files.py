"""The lexical index of an index folder, kept in `lexical/` and made again when passages have changed since."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from isogloss.errors import DataError
from isogloss.files import atomic_folder, file_errors, read_json, write_json
from isogloss.indexing.lexical import LexicalIndex
from isogloss.indexing.segmenters import installed_segmenters, tokenizer_identity
from isogloss.indexing.tokens import Segmenter
from isogloss.records import Text

FOLDER = "lexical"
ABOUT_NAME = "lexical.json"


def forget_lexical(index_folder: Path) -> None:
    """Removes the lexical index before passages change, so that a stale one is never read, not even after a kill."""
    folder = index_folder / FOLDER
    if folder.exists():
        with file_errors(folder, "write"):
            # The file that makes the folder valid goes first: a kill may stop the rest.
            (folder / ABOUT_NAME).unlink(missing_ok=True)
            shutil.rmtree(folder)


def lexical_index(
    index_folder: Path | None,
    passages: Callable[[], Iterable[Text]],
    *,
    without: Sequence[str] = (),
    parts: bool = True,
) -> LexicalIndex:
    """The lexical index of passages: read from the folder where it is valid, else made, and kept there.

    Args:
        index_folder: Folder of the index; None keeps nothing.
        passages: Gives all passages.
        without: Normalised languages that it leaves out.
        parts: Whether parts of words are terms.

    Raises:
        DataError: A language whose text the tokenizer does not cut into terms.
    """
    segmenters = installed_segmenters()
    if index_folder is not None and (found := _kept(index_folder / FOLDER, segmenters, without, parts)):
        return found
    made = LexicalIndex(passages(), segmenters=segmenters, without=without, parts=parts)
    if index_folder is not None:
        forget_lexical(index_folder)  # one of another tokenizer, or of other languages
        with atomic_folder(index_folder / FOLDER) as partial:
            made.save(partial)
            write_json(partial / ABOUT_NAME, {"tokenizer": tokenizer_identity(segmenters), "passages": len(made)})
    return made


def _kept(
    folder: Path, segmenters: Mapping[str, Segmenter], without: Sequence[str], parts: bool
) -> LexicalIndex | None:
    if not (folder / ABOUT_NAME).is_file():
        return None
    about = read_json(folder / ABOUT_NAME)
    if not isinstance(about, dict) or about.get("tokenizer") != tokenizer_identity(segmenters):
        return None
    try:
        found = LexicalIndex.load(folder, segmenters=segmenters)
    except (KeyError, TypeError, ValueError) as broken:
        raise DataError(
            f"{folder} is damaged: {broken!r}", next_step=f"Remove it; it is made again: rm -r '{folder}'"
        ) from broken
    return found if found.without == tuple(sorted(without)) and found.parts == parts else None
