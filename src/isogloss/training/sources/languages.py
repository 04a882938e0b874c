"""The languages that a source takes, counted as they come."""

from __future__ import annotations

from collections.abc import Sequence

from isogloss.errors import UnknownLanguageError, did_you_mean
from isogloss.languages import normalize
from isogloss.recipe import SourceSettings
from isogloss.training.sources.base import SourceContext

NO_LANGUAGE = "und"


class Languages:
    """Groups rows by language (or pair of languages) and notes what a recipe asks for in vain.

    Args:
        context: Where faults go.
        wanted: Languages that are taken, in any spelling; all where it is None.
        exclude: Languages that are not taken.
        option: Name of the option that lists the wanted ones, for messages.
    """

    def __init__(
        self,
        context: SourceContext,
        wanted: Sequence[str] | None,
        exclude: Sequence[str],
        *,
        option: str = "languages",
    ) -> None:
        self._context = context
        self._option = option
        self._wanted = None if wanted is None else self._normal(option, wanted)
        self._excluded = set(self._normal("exclude", exclude))
        self._groups: dict[str, int] = {}
        self._pairs: dict[str, tuple[str, str]] = {}
        self._seen: set[str] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the groups, by number."""
        return tuple(self._groups)

    @property
    def pairs(self) -> tuple[tuple[str, ...], ...]:
        """Languages of the groups, by number."""
        return tuple(self._pairs.get(name, (name,)) for name in self._groups)

    def group(self, language: str | None) -> int | None:
        """Number of a row's group, or None where the row is not taken."""
        name = language or NO_LANGUAGE
        self._seen.add(name)
        return self._number(name) if self._takes(name) else None

    def pair_group(self, source: str, target: str) -> int | None:
        """Number of a pair's group, or None where the pair is not taken; a wanted list must hold its other language."""
        self._seen.update((source, target))
        others = [language for language in (source, target) if language != "en"] or [source]
        taken = all(self._takes(language) for language in others)
        if not taken:
            return None
        name = f"{source}-{target}"
        self._pairs[name] = (source, target)
        return self._number(name)

    def check(self, rows: int, settings: SourceSettings) -> None:
        """Notes wanted languages that no row has, and sources without rows."""
        self.check_seen()
        if not rows:
            files = ", ".join(settings.paths) or "no file"
            self._context.fault("path", f"{files} gave no row that is taken")

    def check_seen(self) -> None:
        """Notes wanted languages that no row has."""
        for language in self._wanted or ():
            if language not in self._seen:
                has = ", ".join(sorted(self._seen)[:40]) or "none"
                hint = did_you_mean(language, self._seen)
                self._context.fault(self._option, f"'{language}' is in none of its files{hint}", f"they have: {has}")

    def _takes(self, language: str) -> bool:
        return (self._wanted is None or language in self._wanted) and language not in self._excluded

    def _number(self, name: str) -> int:
        return self._groups.setdefault(name, len(self._groups))

    def _normal(self, option: str, tags: Sequence[str]) -> list[str]:
        normal = []
        for tag in tags:
            try:
                normal.append(normalize(tag))
            except UnknownLanguageError as error:
                self._context.fault(option, error.message)
        return normal
