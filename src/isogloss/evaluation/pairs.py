"""Which query language meets which passage language: the words of a `pairs` option and what they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from isogloss.errors import Fault, UnknownLanguageError, UsageError, did_you_mean, raise_faults
from isogloss.languages import normalize
from isogloss.records import EvalSet, Text

MIXED = "mixed"
UNDETERMINED = "und"
LISTED = "listed"
_FORMS = "same, all, mixed, to-en, from-en, or a pair such as de-en (query language first)"


@dataclass(frozen=True, order=True)
class Pair:
    """A query language and a passage language; `mixed` stands for passages of all languages together."""

    query_language: str
    passage_language: str

    def __str__(self) -> str:
        return f"{self.query_language}-{self.passage_language}"


@dataclass(frozen=True)
class PairGroup:
    """Pairs that are averaged together, under the word that asked for them."""

    name: str
    pairs: tuple[Pair, ...]


def with_languages(eval_set: EvalSet) -> EvalSet:
    """The set in which a text without a language has the tag `und`, so that it is not left out unseen.

    Raises:
        UsageError: If it is no set; every measurement begins here.
    """
    if not isinstance(eval_set, EvalSet):
        raise UsageError(
            f"eval_set: {eval_set!r:.60} is no evaluation set but {type(eval_set).__name__}",
            next_step="Load it first: isogloss.datasets.load('isogloss-demo'), or with the path of a folder.",
        )
    return replace(eval_set, queries=_tagged(eval_set.queries), passages=_tagged(eval_set.passages))


def default_pairs(eval_set: EvalSet) -> str:
    """Same language, to English and from English, as far as the set has them; all pairs where it has none of these."""
    queries, passages = set(eval_set.query_languages), set(eval_set.passage_languages)
    words = ["same"] if queries & passages else []
    words += ["to-en"] if "en" in passages and queries - {"en"} else []
    words += ["from-en"] if "en" in queries and passages - {"en"} else []
    return ",".join(words) or "all"


def parse_pairs(pairs: str | Sequence[str], eval_set: EvalSet) -> tuple[PairGroup, ...]:
    """Groups of language pairs.

    Args:
        pairs: Words joined by commas or as a list: `same` (each language with itself), `all`, `mixed` (each query
            language over passages of all languages), `to-xx` and `from-xx` (every other language with xx), or `de-en`.
        eval_set: A set in which every text has a language.

    Raises:
        UsageError: Words that mean nothing, or languages that the set does not have; all of them at once.
    """
    words = pairs.split(",") if isinstance(pairs, str) else list(pairs)
    groups: dict[str, list[Pair]] = {}
    faults = []
    for word in dict.fromkeys(word.strip() for word in words if word.strip()):
        try:
            name, found = _pairs_of(word, eval_set)
        except (UsageError, UnknownLanguageError) as error:
            faults.append(Fault("pairs", error.message))
            continue
        groups.setdefault(name, []).extend(pair for pair in found if pair not in groups.get(name, []))
    if not groups and not faults:
        faults.append(Fault("pairs", "none given", _FORMS))
    raise_faults(UsageError, f"Language pairs of {eval_set.name}", faults, _languages_of(eval_set))
    return tuple(PairGroup(name, tuple(found)) for name, found in groups.items())


def _pairs_of(word: str, eval_set: EvalSet) -> tuple[str, list[Pair]]:
    queries, passages = eval_set.query_languages, eval_set.passage_languages
    if word == "same":
        return word, [Pair(language, language) for language in sorted({*queries, *passages})]
    if word == "all":
        return word, [Pair(query, passage) for query in queries for passage in passages]
    if word == MIXED:
        return word, [Pair(query, MIXED) for query in queries]
    start, _, rest = word.partition("-")
    if start == "to" and rest:
        target = _known(rest, passages, "passages")
        return f"to-{target}", [Pair(query, target) for query in queries if query != target]
    if start == "from" and rest:
        origin = _known(rest, queries, "queries")
        return f"from-{origin}", [Pair(origin, passage) for passage in passages if passage != origin]
    return LISTED, [_listed_pair(word, eval_set)]


def _known(tag: str, languages: Sequence[str], role: str) -> str:
    language = tag if tag in languages else normalize(tag)
    if language not in languages:
        raise UsageError(f"there are no {role} in '{language}'{did_you_mean(language, languages)}")
    return language


def _listed_pair(word: str, eval_set: EvalSet) -> Pair:
    """A pair from `de-en`; tags have hyphens themselves, so that every cut is tried and the set decides."""
    parts = word.split("-")
    possible = []
    for cut in range(1, len(parts)):
        try:
            pair = Pair(_tag("-".join(parts[:cut])), _tag("-".join(parts[cut:])))
        except UnknownLanguageError:
            continue
        here = (pair.query_language in eval_set.query_languages) + (pair.passage_language in eval_set.passage_languages)
        possible.append((here, pair))
    if not possible:
        raise UsageError(f"'{word}' is no pair of languages; write {_FORMS}")
    return max(possible)[1]


def _tag(tag: str) -> str:
    return tag if tag in (UNDETERMINED, MIXED) else normalize(tag)


def _tagged(texts: tuple[Text, ...]) -> tuple[Text, ...]:
    return tuple(text if text.language else replace(text, language=UNDETERMINED) for text in texts)


def _languages_of(eval_set: EvalSet) -> str:
    return f"Queries are in {', '.join(eval_set.query_languages)}; passages in {', '.join(eval_set.passage_languages)}."
