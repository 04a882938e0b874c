"""What is written for: the passages of labelled rows, or the passages of a corpus."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from isogloss.datasets import open_corpus, read_rows
from isogloss.errors import DataError, Fault, UsageError, raise_faults
from isogloss.files import read_jsonl
from isogloss.generation.filters import normal_form
from isogloss.generation.settings import GenerateSettings
from isogloss.languages import known_tags, normalize
from isogloss.languages.detection import LanguageDetector
from isogloss.records import Row, Text

OWN = "own"


@dataclass
class Input:
    """Passages, each once, and the rows that they stand in.

    Attributes:
        passages: Passages with ids that are unique here.
        rows: The rows, empty for a corpus.
        rows_of: Passage id to the numbers of its rows.
        languages: Passage id to the languages of its queries.
        skipped: Reason to the number of passages that are left out.
    """

    passages: list[Text]
    rows: list[Row] = field(default_factory=list)
    rows_of: dict[str, list[int]] = field(default_factory=dict)
    languages: dict[str, list[str]] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)

    @property
    def from_rows(self) -> bool:
        """Whether queries are added to rows; else each becomes a row."""
        return bool(self.rows)

    def all_languages(self) -> set[str]:
        """Languages of all queries and passages."""
        asked = {language for languages in self.languages.values() for language in languages}
        return asked | {passage.language for passage in self.passages if passage.language}


def read_input(path: str | Path, languages: Sequence[str], settings: GenerateSettings) -> Input:
    """Reads rows or a corpus; the keys of the first line tell which.

    Args:
        path: A file of training rows, or what `open_corpus` takes.
        languages: Languages of the queries; `own` is that of the passage. For rows they must be named.
        settings: Bounds on the length of a corpus's passages.

    Raises:
        DataError: If the content is faulty, or nothing is left of it.
        UsageError: If languages are missing.
        UnknownLanguageError: If one is in no known spelling.
    """
    wanted = [tag if tag == OWN else normalize(tag) for tag in dict.fromkeys(languages)]
    if _holds_rows(Path(path)):
        if not wanted or OWN in wanted:
            raise UsageError(
                "rows need the languages of the new queries", next_step="Name them: --language de --language sw"
            )
        return _of_rows(read_rows(path), wanted)
    return _of_corpus(list(open_corpus(path)), wanted or [OWN], settings, str(path))


def _holds_rows(path: Path) -> bool:
    if not path.is_file() or ".jsonl" not in path.suffixes:
        return False
    first = next((record for _, record in read_jsonl(path)), {})
    return "query" in first or "anchor" in first


def _of_rows(rows: list[Row], languages: list[str]) -> Input:
    """A row's queries are wanted in every language but its own: an alignment compares two languages."""
    found = Input([], rows)
    ids: dict[tuple[str, str], str] = {}
    for number, row in enumerate(rows):
        key = (row.title, row.passage)
        if key not in ids:
            ids[key] = hashlib.sha256("\n".join(key).encode()).hexdigest()[:24]
            found.passages.append(Text(ids[key], row.passage, row.passage_language, title=row.title))
        found.rows_of.setdefault(ids[key], []).append(number)
    for passage in found.passages:
        own = {rows[number].query_language for number in found.rows_of[passage.id]}
        found.languages[passage.id] = [language for language in languages if own != {language}]
    found.passages = [passage for passage in found.passages if found.languages[passage.id]]
    return found


def _of_corpus(texts: list[Text], languages: list[str], settings: GenerateSettings, subject: str) -> Input:
    found = Input([])
    detector = None
    if any(text.language is None for text in texts) and OWN in languages:
        detector = LanguageDetector(known_tags())
    seen: set[str] = set()
    faults: list[Fault] = []
    for text in texts:
        form = normal_form(f"{text.title} {text.text}")
        reason = _unfit(text, settings) or ("duplicate passage" if form in seen else "")
        if reason:
            found.skipped[reason] = found.skipped.get(reason, 0) + 1
            continue
        seen.add(form)
        if text.language is None and detector is not None:
            text = replace(text, language=detector.language_of(text.text))
        own = [language for language in (text.language if tag == OWN else tag for tag in languages) if language]
        if not own:
            faults.append(Fault(f"passage '{text.id}'", "its language is not known"))
        found.passages.append(text)
        found.languages[text.id] = list(dict.fromkeys(own))
    raise_faults(DataError, subject, faults, "Name it (lang) in the corpus, or give --language.")
    if not found.passages:
        reasons = ", ".join(f"{reason} {count}" for reason, count in found.skipped.items()) or "it is empty"
        raise DataError(f"{subject} has no passage to write for: {reasons}", next_step="See shortest_passage.")
    return found


def _unfit(text: Text, settings: GenerateSettings) -> str:
    if len(text.text) < settings.shortest_passage:
        return "passage too short"
    if settings.longest_passage is not None and len(text.text) > settings.longest_passage:
        return "passage too long"
    return ""
