"""Sentences of many languages, none a translation of another in its batch, nor of a pair in the batch beside it.

Source: Hu et al. 2023 (2210.06633) for the use of such text; the sampler is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from isogloss.datasets.sentences import Sentence, read_sentences
from isogloss.recipe import SourceSettings
from isogloss.records import Role
from isogloss.training.sources.base import Drawn, Numbers, Source, SourceContext, TableSource, source_kind
from isogloss.training.sources.languages import Languages
from isogloss.training.sources.meanings import Meanings
from isogloss.training.texts import MISSING, Ids, TextTable, unique_numbers

ROLE = "nonparallel_sentence"
PAIR = ("parallel_source", "parallel_target")


@source_kind("nonparallel")
@dataclass(frozen=True)
class NonparallelKind:
    """Options of a source of sentences that are translations of nothing in their batch.

    Attributes:
        languages: Languages that are taken; all of the files where it is left out.
        exclude: Languages that are not taken.
        beside: Source of translation pairs that stands before it and is read in the same steps: a step takes no
            sentence in the language that English is paired with there, and none that translates one of its sentences.
        prefer_unpaired: Takes languages that have no pairs in `beside`, where there are any.
        language_exponent: Exponent on a language's sentences when languages are drawn; 0 is uniform.
        encode_as: Tower that encodes them.
        limit: Most sentences that are taken of each language, the first ones.
    """

    languages: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    beside: str | None = None
    prefer_unpaired: bool = True
    language_exponent: float = 0.0
    encode_as: Role = "query"
    limit: int | None = 100_000

    def open(self, settings: SourceSettings, context: SourceContext) -> Source:
        """Reads the files and keeps the sentences of the wanted languages."""
        from isogloss.training.sources.reading import expand

        sentences = (sentence for path in expand(settings.paths) for sentence in read_sentences(path))
        sentences = (sentence for sentence in sentences if not context.apart.holds(sentence.text))
        return self.table(sentences, settings, context)

    def table(
        self, sentences: Iterable[Sentence], settings: SourceSettings, context: SourceContext
    ) -> NonparallelSource:
        """A source over sentences that are at hand."""
        beside = self._beside(context)
        meanings = Meanings()
        if beside is not None:
            meanings.join(beside.columns[PAIR[0]], beside.columns[PAIR[1]])
        languages = Languages(context, self.languages, self.exclude)
        taken: dict[int, dict[int, None]] = {}
        for sentence in sentences:
            group = languages.group(sentence.language)
            if group is None or (self.limit is not None and len(taken.get(group, ())) >= self.limit):
                continue
            number = context.texts.add(sentence.text)
            taken.setdefault(group, {})[number] = None
            meanings.join_known(number, _numbers(sentence.translations, context.texts))
        numbers = np.asarray([number for rows in taken.values() for number in rows], dtype=np.int64)
        groups = np.repeat(np.asarray(list(taken), dtype=np.int64), [len(rows) for rows in taken.values()])
        languages.check(len(numbers), settings)
        return NonparallelSource(context, numbers, groups, languages.names, self, settings.batch, meanings, beside)

    def _beside(self, context: SourceContext) -> TableSource | None:
        if self.beside is None:
            return None
        found = context.opened.get(self.beside)
        if isinstance(found, TableSource) and all(role in found.columns for role in PAIR):
            return found
        named = [name for name, one in context.opened.items() if PAIR[0] in one.roles and isinstance(one, TableSource)]
        allowed = f"before it stand: {', '.join(named) or 'none'}"
        context.fault("beside", f"'{self.beside}' is no source of kind parallel that stands before it", allowed)
        return None


def _numbers(texts: Sequence[str], table: TextTable) -> list[int]:
    """Numbers of the texts that the run has."""
    return [number for text in texts if (number := table.number(text)) != MISSING]


class NonparallelSource:
    """Sentences by language, drawn to suit the pairs of the same step; see `NonparallelKind`.

    A batch is smaller than wanted where too few sentences suit.
    """

    def __init__(
        self,
        context: SourceContext,
        numbers: Ids,
        groups: Ids,
        names: Sequence[str],
        options: NonparallelKind,
        batch: int,
        meanings: Meanings,
        beside: TableSource | None,
    ) -> None:
        self.name = context.name
        self.groups = groups
        self.group_names = tuple(names)
        self.rows = len(numbers)
        self.batch = batch
        self.roles: dict[str, Role] = {ROLE: options.encode_as}
        self._numbers = numbers
        self._options = options
        self._meanings = meanings
        self._beside = beside
        self._seed = (context.seed, context.index, 6)
        self._families = meanings.of(numbers)
        self._members = [np.flatnonzero(groups == group) for group in range(len(self.group_names))]

    def numbers(self, role: str) -> Ids:
        """Numbers of all texts that may come in a role, ascending."""
        return unique_numbers([self._numbers] if role == ROLE else [])

    def draw(self, step: int) -> Drawn:
        """The sentences of a step."""
        generator = np.random.default_rng((*self._seed, step))
        taken, paired, families = self._pairs(step)
        chances = self._chances(taken, paired)
        if not chances.any():
            return Drawn({ROLE: self._numbers[:0]}, self.groups[:0])
        wanted = np.bincount(generator.choice(len(chances), size=self.batch, p=chances), minlength=len(chances))
        # Spares stand in for sentences that turn out to translate something.
        spares = [
            generator.choice(members, size=min(2 * int(count) + 8, len(members)), replace=False)
            for members, count in zip(self._members, wanted, strict=True)
            if count
        ]
        chosen: list[int] = []
        for candidates, count in zip(spares, wanted[wanted > 0].tolist(), strict=True):
            chosen.extend(self._suitable(candidates, count, families))
        rows = np.asarray(chosen, dtype=np.int64)
        return Drawn({ROLE: self._numbers[rows]}, self.groups[rows])

    def _suitable(self, candidates: Ids, count: int, families: set[int]) -> list[int]:
        """The first candidates that translate nothing in the batch; their meanings join those of the batch."""
        found: list[int] = []
        for row, family in zip(candidates.tolist(), self._families[candidates].tolist(), strict=True):
            if len(found) == count:
                break
            if family not in families:
                families.add(family)
                found.append(row)
        return found

    def _pairs(self, step: int) -> tuple[set[str], set[str], set[int]]:
        """Languages that the pairs of a step are in, those of any pairs, and the meanings of the step's pairs."""
        if self._beside is None:
            return set(), set(), set()
        drawn = self._beside.draw(step)
        languages = [set(pair) - {"en"} for pair in self._beside.group_languages]
        taken = {language for group in np.unique(drawn.groups).tolist() for language in languages[group]}
        paired = {language for pair in languages for language in pair}
        return taken, paired, set(self._meanings.of(np.concatenate([drawn.columns[role] for role in PAIR])).tolist())

    def _chances(self, taken: set[str], paired: set[str]) -> Numbers:
        """Chance of each language in a step."""
        sizes = np.asarray([len(members) for members in self._members], dtype=np.float64)
        sizes[[name in taken for name in self.group_names]] = 0
        unpaired = np.where([name in paired for name in self.group_names], 0, sizes)
        if self._options.prefer_unpaired and unpaired.any():
            sizes = unpaired
        weights = np.zeros_like(sizes)
        weights[sizes > 0] = sizes[sizes > 0] ** self._options.language_exponent
        return weights / (float(weights.sum()) or 1.0)
