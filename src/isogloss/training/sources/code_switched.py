"""English rows with one side put word by word into another language, so that English labels teach across languages.

Words are replaced through lexicons; what a lexicon lacks stays English, and most English function words are dropped.
Source of the idea: Qin et al. 2020 (2006.06402), "CoSDA-ML"; the choice of one side a row is ours.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isogloss.recipe import SourceSettings
from isogloss.records import Row
from isogloss.training.sources.apart import Apart
from isogloss.training.sources.base import ENCODED_AS, Source, SourceContext, TableSource, source_kind
from isogloss.training.sources.multiway_files import read_multiway_files
from isogloss.training.sources.reading import read_rows

LONGEST_PHRASE = 3
LONGEST_TRANSLATION = 40
# fmt: off
FUNCTION_WORDS = frozenset((
    "the", "a", "an", "of", "in", "on", "at", "to", "and", "or", "is", "was", "were", "are", "be", "been",
    "by", "for", "with", "from", "as", "that", "this", "it", "its", "which", "what", "who", "whom", "where",
    "when", "how", "did", "do", "does", "has", "have", "had", "not", "but", "their", "his", "her", "they",
    "he", "she", "i", "you", "we", "there", "than", "into", "also", "about",
))
# fmt: on
Lexicon = Mapping[str, Sequence[str]]


@source_kind("code_switched")
@dataclass(frozen=True)
class CodeSwitchedKind:
    """Options of a source of code-switched rows.

    Attributes:
        lexicons: Files with English and other languages, of words and short phrases.
        languages: Languages that rows are put into.
        rows_per_language: Rows drawn for each of them.
        replaced: Chance that a word that the lexicon has is replaced.
        kept_function_words: Share of the English function words that stay.
        longest: Most characters of a passage.
    """

    lexicons: tuple[str, ...]
    languages: tuple[str, ...]
    rows_per_language: int = 12_000
    replaced: float = 0.9
    kept_function_words: float = 0.3
    longest: int = 500

    def open(self, settings: SourceSettings, context: SourceContext) -> Source:
        """Reads rows and lexicons, and writes the rows anew."""
        rows = [
            row
            for row in context.apart.rows(read_rows(settings.paths))
            if row.query_language == row.passage_language == "en"
        ]
        lexicons = read_lexicons(self.lexicons, self.languages, context.apart)
        for language in self.languages:
            if not lexicons.get(language):
                context.fault("languages", f"no lexicon has words in '{language}'")
        if not rows:
            context.fault("path", f"{', '.join(settings.paths) or 'no file'} has no rows in English")
        return self.table(rows, lexicons, settings, context)

    def table(
        self, rows: Sequence[Row], lexicons: Mapping[str, Lexicon], settings: SourceSettings, context: SourceContext
    ) -> TableSource:
        """A source over rows and lexicons that are at hand."""
        generator = np.random.default_rng((context.seed, context.index, 4))
        queries: list[int] = []
        passages: list[int] = []
        groups: list[int] = []
        for group, language in enumerate(self.languages):
            for query, passage in self._switched(rows, lexicons.get(language, {}), generator):
                queries.append(context.texts.add(query))
                passages.append(context.texts.add(passage))
                groups.append(group)
        return TableSource(
            context.name,
            {"query": np.asarray(queries, dtype=np.int64), "passage": np.asarray(passages, dtype=np.int64)},
            roles={role: ENCODED_AS[role] for role in ("query", "passage")},
            groups=np.asarray(groups, dtype=np.int64),
            group_names=tuple(self.languages),
            batch=settings.batch,
            seed=(context.seed, context.index),
            by_group=True,
        )

    def _switched(
        self, rows: Sequence[Row], lexicon: Lexicon, generator: np.random.Generator
    ) -> Iterator[tuple[str, str]]:
        count = min(self.rows_per_language, len(rows))
        for place in generator.choice(len(rows), size=count, replace=False).tolist():
            query, passage = rows[place].query, rows[place].passage[: self.longest]
            if generator.random() < 0.5:
                query = self.switch(query, lexicon, generator)
            else:
                passage = self.switch(passage, lexicon, generator)
            if query and passage:
                yield query, passage

    def switch(self, text: str, lexicon: Lexicon, generator: np.random.Generator) -> str:
        """The text with its words replaced, longest phrases first."""
        words = re.findall(r"\w+", text.lower())
        chances = generator.random(2 * len(words) + 1)
        written: list[str] = []
        place = 0
        while place < len(words):
            phrase, found = _longest_entry(words, place, lexicon)
            if found and chances[2 * place] < self.replaced:
                written.append(found[int(chances[2 * place + 1] * len(found))])
                place += phrase
                continue
            if words[place] not in FUNCTION_WORDS or chances[2 * place + 1] < self.kept_function_words:
                written.append(words[place])
            place += 1
        return " ".join(written)


def read_lexicons(
    paths: Sequence[str], languages: Iterable[str], apart: Apart | None = None
) -> dict[str, dict[str, list[str]]]:
    """Language to English word or phrase (lower case) to its translations."""
    wanted = {"en", *languages}
    lexicons: dict[str, dict[str, list[str]]] = {language: defaultdict(list) for language in wanted - {"en"}}
    files = read_multiway_files(
        paths, takes=wanted.__contains__, synonyms=True, longest=LONGEST_TRANSLATION + 1, apart=apart
    )
    for file in files:
        english = file.columns.get("en", [])
        for language, column in file.columns.items():
            if language == "en":
                continue
            for word, translation in zip(english, column, strict=True):
                if (
                    word
                    and translation
                    and word.count(" ") < LONGEST_PHRASE
                    and len(translation) <= LONGEST_TRANSLATION
                ):
                    lexicons[language][word.lower()].append(translation)
    return lexicons


def _longest_entry(words: Sequence[str], place: int, lexicon: Lexicon) -> tuple[int, Sequence[str]]:
    """Number of words of the longest phrase from `place` on that the lexicon has, and its translations."""
    for length in range(min(LONGEST_PHRASE, len(words) - place), 0, -1):
        phrase = " ".join(words[place : place + length])
        if length == 1 and phrase in FUNCTION_WORDS:
            break
        for form in _base_forms(phrase):
            if form in lexicon:
                return length, lexicon[form]
    return 1, ()


def _base_forms(word: str) -> Iterator[str]:
    """The word, and what it may be an English inflection of."""
    yield word
    for ending, replacements in (("ies", ("y",)), ("es", ("",)), ("s", ("",)), ("ed", ("", "e")), ("ing", ("", "e"))):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            for replacement in replacements:
                yield word[: -len(ending)] + replacement
