"""What is dropped of what was written, and why; every rule is a pure function of texts.

In this order, and counted under the first that holds: empty, other language, refers to the text, copied span,
duplicate. The round trips, which need a retriever or the generator, come after these (`round_trip`). Sources: QuiCK
(2303.14991), pitfall 8 of our notes on it, and Retrofit (2510.14274); the rules' exact forms are ours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from isogloss.generation.settings import GenerateSettings
from isogloss.generation.tasks import Task
from isogloss.languages import is_unspaced_script, script_of
from isogloss.languages.detection import Detected, LanguageDetector
from isogloss.training.mining.known_answers import letters

EMPTY = "empty"
OTHER_LANGUAGE = "other language"
REFERENCE = "refers to the text"
COPY = "copied span"
DUPLICATE = "duplicate"
CHARACTERS_OF_A_WORD = 3

# "the document" and its kin in the languages that generators fall into most; Han, kana and Hangul have no word breaks.
_REFERENCE = re.compile(
    r"\b(?:(?:the|this|above|given|following)\s+(?:document|text|passage|article|paragraph)"
    r"|(?:le|ce|du|au)\s+(?:document|texte|passage)|(?:l'|cet\s+)article"
    r"|(?:der|dieser|dem|diesem|des)\s+(?:text|artikel|abschnitt)(?:es|s)?|(?:das|dieses)\s+dokument"
    r"|(?:el|este|del|al)\s+(?:documento|texto|pasaje|artículo)"
    r"|(?:o|este|do|no)\s+(?:documento|texto|trecho|artigo)"
    r"|(?:teks|dokumen|artikel|bacaan)\s+(?:ini|tersebut|di\s+atas))\b"
    r"|(?:этом|данном|этого)\s+(?:тексте|документе|отрывке|текста)"
    r"|(?:本文|この文章|この文書|该文|这篇|這篇|이 글|이 문서)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Candidate:
    """A written query on its way through the filters.

    Attributes:
        task: What it was written for.
        text: The query, with single spaces.
        weight: How much it is trusted.
        provenance: How it came about, and what filters found.
    """

    task: Task
    text: str
    weight: float = 1.0
    provenance: dict[str, Any] = field(default_factory=dict)

    def noting(self, **found: Any) -> Candidate:
        """The candidate with more provenance."""
        return replace(self, provenance={**self.provenance, **found})


@dataclass
class Tally:
    """Counts by language: what was written, what was dropped for which reason, what was kept."""

    written: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)

    def write(self, language: str, count: int = 1) -> None:
        """Counts written queries."""
        self.written[language] = self.written.get(language, 0) + count

    def drop(self, language: str, reason: str, count: int = 1) -> None:
        """Counts dropped queries."""
        reasons = self.dropped.setdefault(language, {})
        reasons[reason] = reasons.get(reason, 0) + count

    def keep(self, candidates: Iterable[Candidate]) -> None:
        """Counts what is left at the end."""
        for candidate in candidates:
            self.kept[candidate.task.language] = self.kept.get(candidate.task.language, 0) + 1


def single_spaced(text: str) -> str:
    """The text without control characters and with single spaces."""
    visible = "".join(" " if unicodedata.category(character) == "Cc" else character for character in text)
    return " ".join(visible.split())


def normal_form(text: str) -> str:
    """What two copies of a query share, whatever their case, width, spaces and signs."""
    return letters(text)


def refers_to_the_text(query: str) -> bool:
    """Whether a query speaks of "the document", which nobody who searches has before them."""
    return _REFERENCE.search(query) is not None


def longest_copy(query: str, passage: str) -> int:
    """Length in words of the longest run of the query's words that stands in the passage.

    In unspaced scripts a character is a third of a word.

    Examples:
        >>> longest_copy("Where does the old river reach?", "There the old river ends.")
        3
    """
    unspaced = is_unspaced_script(script_of(query))
    first, second = ((_characters(text) if unspaced else _words(text)) for text in (query, passage))
    longest = 0
    lengths = [0] * (len(second) + 1)
    for unit in first:
        previous = 0
        for place, other in enumerate(second, start=1):
            current = lengths[place]
            lengths[place] = previous + 1 if unit == other else 0
            longest = max(longest, lengths[place])
            previous = current
    return longest // CHARACTERS_OF_A_WORD if unspaced else longest


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.casefold())


def _characters(text: str) -> list[str]:
    return [character for character in text.casefold() if character.isalnum()]


class Filters:
    """The rules that need texts alone.

    Args:
        settings: Which rules hold, and their bounds.
        languages: All languages that come into question.

    Raises:
        MissingExtraError: If languages are to be told apart and py3langid is not installed.
    """

    def __init__(self, settings: GenerateSettings, languages: Iterable[str]) -> None:
        self._settings = settings
        self._detector: LanguageDetector | None = None
        if settings.language_filter:
            least = settings.least_language_probability
            self._detector = LanguageDetector(set(languages), least_probability=least)

    def apply(
        self, candidates: Sequence[Candidate], tally: Tally, taken: dict[str, set[str]] | None = None
    ) -> list[Candidate]:
        """The candidates that no rule drops.

        Args:
            candidates: In the order of the input; of duplicates the first stays.
            tally: Where reasons are counted.
            taken: Passage id to normal forms of the queries that it has already.
        """
        passed = []
        for candidate in candidates:
            reason, noted = self._judge(candidate)
            if reason:
                tally.drop(candidate.task.language, reason)
            else:
                passed.append(noted)
        return self._without_duplicates(passed, tally, taken or {}) if self._settings.duplicate_filter else passed

    def _judge(self, candidate: Candidate) -> tuple[str, Candidate]:
        settings = self._settings
        if not normal_form(candidate.text):
            return EMPTY, candidate
        if self._detector is not None:
            found = self._detector.check(candidate.text, candidate.task.language)
            if not found.agrees:
                return OTHER_LANGUAGE, candidate
            candidate = candidate.noting(language_identification=_shown(found))
        if settings.reference_filter and refers_to_the_text(candidate.text):
            return REFERENCE, candidate
        if settings.copy_filter and longest_copy(candidate.text, candidate.task.passage.text) > settings.longest_copy:
            return COPY, candidate
        return "", candidate

    def _without_duplicates(
        self, candidates: Sequence[Candidate], tally: Tally, taken: dict[str, set[str]]
    ) -> list[Candidate]:
        """Drops what stands already for the passage, and every query that was written for two passages."""
        passages: dict[str, set[str]] = {}
        forms = [normal_form(candidate.text) for candidate in candidates]
        for candidate, form in zip(candidates, forms, strict=True):
            passages.setdefault(form, set()).add(candidate.task.passage.id)
        seen = {passage: set(known) for passage, known in taken.items()}
        kept = []
        for candidate, form in zip(candidates, forms, strict=True):
            own = seen.setdefault(candidate.task.passage.id, set())
            if form in own or len(passages[form]) > 1:
                tally.drop(candidate.task.language, DUPLICATE)
                continue
            own.add(form)
            kept.append(candidate)
        return kept


def _shown(found: Detected) -> dict[str, Any]:
    probability = None if found.probability is None else round(found.probability, 4)
    return {"language": found.language, "probability": probability, "script": found.script}
