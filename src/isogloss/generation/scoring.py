"""`score_rows`: the generator's scores of every row's candidates, the passage first, then its negatives in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from isogloss.datasets import read_rows, row_record
from isogloss.errors import DataError, Fault, FileError, raise_faults
from isogloss.files import write_jsonl
from isogloss.generation.generator import QueryGenerator
from isogloss.generation.likelihood import Likelihood, log_likelihoods
from isogloss.generation.rows import language_of
from isogloss.generation.score_cache import ScoreCache, open_cache, score_key
from isogloss.generation.settings import ScoreSettings
from isogloss.progress import progress_bar
from isogloss.records import Row


@dataclass(frozen=True)
class ScoreReport:
    """What scoring did.

    Attributes:
        out: The file of scored rows.
        generator: Digest of the generator.
        rows: Rows with negative passages, by language of the query.
        first: Rows whose passage scores above all its negatives, by language.
        pairs: Scores that the rows need, equal pairs once.
        computed: Scores that were computed now; the rest were in the cache.
    """

    out: Path
    generator: str
    rows: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    pairs: int = 0
    computed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**{name: getattr(self, name) for name in self.__dataclass_fields__}, "out": str(self.out)}


@dataclass(frozen=True)
class Pair:
    """A query with the rendered prompt that it is scored under."""

    source: str
    query: str


class Scorer:
    """Scores pairs, each once: what the cache has is not computed again.

    Args:
        generator: The generator.
        cache: Where scores are kept.
        settings: Length normalisation and the size of a batch.
    """

    def __init__(self, generator: QueryGenerator, cache: ScoreCache, settings: ScoreSettings) -> None:
        self._generator = generator
        self._cache = cache
        self._settings = settings
        self.computed = 0

    def candidates(self, query: str, language: str, row: Row) -> list[Pair]:
        """The pairs of a query in a language with a row's candidates, the passage first."""
        render = self._generator.prompt.render
        sources = [render(row.passage, language, title=row.title)]
        sources += [render(passage, language) for passage in row.negative_passages]
        return [Pair(source, query) for source in sources]

    def scores(self, pairs: Sequence[Pair], *, show: bool = False) -> dict[Pair, float]:
        """f_qg of each pair, in nats.

        Raises:
            UsageError: If a query has no token.
        """
        unique = list(dict.fromkeys(pairs))
        if not unique:
            return {}
        sources = self._generator.source_ids([pair.source for pair in unique])
        queries = self._generator.query_ids([pair.query for pair in unique])
        checkpoint = self._generator.checkpoint
        keys = [score_key(checkpoint, source, query) for source, query in zip(sources, queries, strict=True)]
        found = self._cache.find(keys)
        wanted = [place for place, key in enumerate(keys) if key not in found]
        with progress_bar("Scoring", len(wanted), show=show) as advance:

            def keep(places: Any, likelihoods: list[Likelihood]) -> None:
                entries = [
                    (keys[wanted[place]], entry) for place, entry in zip(places.tolist(), likelihoods, strict=True)
                ]
                self._cache.add(entries)
                found.update(entries)
                advance(len(entries))

            log_likelihoods(
                self._generator,
                [unique[place].source for place in wanted],
                [unique[place].query for place in wanted],
                batch_tokens=self._settings.batch_tokens,
                found=keep,
            )
        self.computed += len(wanted)
        norm, end = self._settings.length_norm, self._generator.count_eos
        return {pair: found[key].score(length_norm=norm, count_eos=end) for pair, key in zip(unique, keys, strict=True)}


def score_rows(
    rows: str | Path,
    out: str | Path,
    *,
    generator: str | Path | QueryGenerator,
    cache: Path | None = None,
    settings: ScoreSettings | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> ScoreReport:
    """Fills `teacher_scores` of rows.

    Args:
        rows: File of rows with negative passages.
        out: File of the scored rows, compressed where its name ends in `.gz`.
        generator: Folder of the generator, or an open one.
        cache: File that keeps the scores; `OUT.scores.sqlite` where it is None. A stopped run goes on from it.
        settings: Length normalisation and the like.
        overwrite: Whether an existing `out` is replaced.
        progress: Whether a bar is shown.

    Raises:
        DataError: If rows are faulty or have no language.
        FileError: If `out` exists, or cannot be written.
        ModelError: If there is no such generator.
    """
    chosen = settings or ScoreSettings()
    place = Path(out)
    if place.exists() and not overwrite:
        raise FileError(f"cannot write {place}: it exists already", next_step="Choose another name, or --overwrite.")
    read = _readable(Path(rows), chosen)
    teacher = generator if isinstance(generator, QueryGenerator) else QueryGenerator.load(generator).on_best_device()
    with open_cache(cache or place.with_name(f"{place.name}.scores.sqlite")) as opened:
        scorer = Scorer(teacher, opened, chosen)
        pairs = [scorer.candidates(row.query, language_of(row), row) for row in read]
        scores = scorer.scores([pair for row_pairs in pairs for pair in row_pairs], show=progress)
    scored = [
        replace(row, teacher_scores=tuple(scores[pair] for pair in row_pairs))
        for row, row_pairs in zip(read, pairs, strict=True)
    ]
    write_jsonl(place, map(row_record, scored), overwrite=overwrite)
    compared = [row for row in scored if row.negative_passages]
    first = Counter(language_of(row) for row in compared if row.teacher_scores[0] > max(row.teacher_scores[1:]))
    return ScoreReport(
        out=place,
        generator=teacher.checkpoint,
        rows=dict(sorted(Counter(map(language_of, compared)).items())),
        first=dict(sorted(first.items())),
        pairs=len(scores),
        computed=scorer.computed,
    )


def _readable(path: Path, settings: ScoreSettings) -> list[Row]:
    rows = []
    faults = []
    for row in read_rows(path):
        if not row.query_language:
            faults.append(Fault(row.row_id, "its query has no language, which the prompt must name"))
        most = settings.negatives
        kept, ids = row.negative_passages[:most], row.negative_passage_ids[:most]
        rows.append(replace(row, negative_passages=kept, negative_passage_ids=ids, teacher_scores=()))
    if not any(row.negative_passages for row in rows):
        faults.append(Fault("negative_passages", "no row has any: a passage alone has nothing to be compared with"))
    raise_faults(DataError, str(path), faults, "Name the languages (lang), mine negatives (isogloss mine).")
    return rows
