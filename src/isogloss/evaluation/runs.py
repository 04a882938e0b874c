"""The runs of one system, from whatever made them: files or folders in TREC's form, tables, dictionaries.

Which query language and which passage language a run is of is read from its name (`bm25.de-en.trec`, `de-mixed.trec`),
and from its content where the name does not say it: results in one language are a pair, results in several are the
mixed pool. Runs with a name are read when they are asked for, so that hundreds of them need the memory of one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isogloss.errors import DataError, Fault, FileError, UsageError, raise_faults
from isogloss.evaluation.pairs import LISTED, MIXED, Pair, parse_pairs, with_languages
from isogloss.evaluation.tables import is_table, run_of_table
from isogloss.files import check_file, read_json, read_run
from isogloss.records import EvalSet, Run

RUNS = "runs"
SCORES = "scores.json"
_ENDINGS = (".trec", ".run", ".res", ".txt", ".tsv")
_CUTS = re.compile(r"[-._ ]")
RunSource = str | os.PathLike[str] | Mapping[str, Any] | Any


@dataclass
class SystemRuns:
    """What one system found, by pair.

    Attributes:
        name: Name of the system, for tables.
        readers: Gives the run of a pair; called when the run is needed.
        notes: What was inferred, and what does not belong to the set.
    """

    name: str
    readers: dict[Pair, Callable[[], Run]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def get(self, pair: Pair) -> Run | None:
        """The run of a pair, None where there is none."""
        reader = self.readers.get(pair)
        return reader() if reader else None


def collect_runs(sources: RunSource | Sequence[RunSource], eval_set: EvalSet, *, name: str = "") -> SystemRuns:
    """The runs of one system.

    Args:
        sources: A folder that `evaluate` wrote, a folder of runs, a run file, a table, a run in memory (scores by query
            id and passage id), runs in memory by the name of their pair, or a list of any of these.
        eval_set: What the runs were made for; it tells the languages of ids.
        name: Name of the system; taken from the first source where it is empty.

    Raises:
        FileError: A path does not exist, or a folder has no runs.
        DataError: A run is broken, two are of the same pair, or none of its queries is of the set.
    """
    eval_set = with_languages(eval_set)
    listed = list(sources) if isinstance(sources, (list, tuple)) else [sources]
    if not listed:
        raise UsageError("No runs were given", next_step="Give a run file, or a folder of them.")
    collector = _Collector(eval_set, SystemRuns(name or _system_name(listed[0])))
    for source in listed:
        collector.add(source)
    raise_faults(DataError, "Runs", collector.faults, "Give each pair of languages one run; nothing was measured.")
    return collector.found


class _Collector:
    def __init__(self, eval_set: EvalSet, found: SystemRuns) -> None:
        self.found = found
        self.faults: list[Fault] = []
        self._set = eval_set
        self._query_language = {text.id: str(text.language) for text in eval_set.queries}
        self._passage_language = {text.id: str(text.language) for text in eval_set.passages}

    def add(self, source: RunSource) -> None:
        """Adds one source of any kind."""
        if is_table(source):
            self._add_run(run_of_table(source), "a table")
        elif isinstance(source, Mapping):
            self._add_mapping(source)
        else:
            for file in run_files(Path(source)):
                pair = self._named_pair(file)
                if pair is None:
                    self._add_run(read_run(file), file.name)
                else:
                    self._set_reader(pair, lambda file=file: read_run(file), file.name)  # type: ignore[misc]

    def _add_mapping(self, source: Mapping[str, Any]) -> None:
        """A run, or runs by pair: the values of a run are scores by passage."""
        inner: Any = next((value for value in source.values() if value), {})
        if not any(isinstance(value, Mapping) for value in inner.values()):
            self._add_run(source, "a run in memory")
            return
        for name, run in source.items():
            pair = self._pair(name)
            if pair is None:
                self.faults.append(Fault(name, "is no pair of languages of the set", "such as de-en or de-mixed"))
            else:
                self._set_reader(pair, lambda run=run: run, name)  # type: ignore[misc]

    def _add_run(self, run: Run, origin: str) -> None:
        """Splits a run without a name by its query languages and says which pairs it holds."""
        parts: dict[str, dict[str, Mapping[str, float]]] = {}
        for query_id, scores in run.items():
            language = self._query_language.get(query_id)
            if language is not None:
                parts.setdefault(language, {})[query_id] = scores
        if not parts:
            some = next(iter(run), "none at all")
            self.faults.append(Fault(origin, f"none of its queries is in {self._set.name}; its first is '{some}'"))
            return
        strangers = len(run) - sum(map(len, parts.values()))
        if strangers:
            self.found.notes.append(f"{origin}: {strangers} of {len(run)} queries are not in the set and do not count.")
        for language, part in parts.items():
            pair = Pair(language, self._searched(part, origin))
            self._set_reader(pair, lambda part=part: part, origin)  # type: ignore[misc]
        pairs = ", ".join(sorted(str(pair) for pair in self.found.readers if pair.query_language in parts))
        self.found.notes.append(f"{origin}: taken for {pairs}, from the languages of its results.")

    def _searched(self, part: Run, origin: str) -> str:
        """The language of all results, or the mixed pool where there are several."""
        ids = {passage_id for scores in part.values() for passage_id in scores}
        languages = {self._passage_language[passage_id] for passage_id in ids if passage_id in self._passage_language}
        strangers = sum(passage_id not in self._passage_language for passage_id in ids)
        if strangers:
            self.found.notes.append(
                f"{origin}: {strangers} of {len(ids)} passages are not in the set; they count as not relevant."
            )
        return languages.pop() if len(languages) == 1 else MIXED

    def _set_reader(self, pair: Pair, reader: Callable[[], Run], origin: str) -> None:
        if pair in self.found.readers:
            self.faults.append(Fault(origin, f"is a second run for {pair}"))
        self.found.readers.setdefault(pair, reader)

    def _named_pair(self, file: Path) -> Pair | None:
        """The pair that a file's name ends in, such as `bm25.de-en.trec.gz`; None where it names none."""
        parts = _CUTS.split(_stem(file))
        return next((pair for start in range(len(parts)) if (pair := self._pair("-".join(parts[start:])))), None)

    def _pair(self, name: str) -> Pair | None:
        """The pair of a name, if both its languages are in the set."""
        if not re.fullmatch(r"[A-Za-z]{2,3}(?:-[A-Za-z]{2,8}){1,3}", name):
            return None
        try:
            (group,) = parse_pairs([name], self._set)
        except UsageError:
            return None
        pair = group.pairs[0]
        if group.name != LISTED:  # such as to-en, which is several
            return None
        known = pair.passage_language == MIXED or pair.passage_language in self._set.passage_languages
        return pair if known and pair.query_language in self._set.query_languages else None


def run_files(place: Path) -> list[Path]:
    """The run files at a path: itself, those of an evaluation's folder, or those of a plain folder.

    Raises:
        FileError: If there is nothing, or a folder without runs.
    """
    if not place.is_dir():
        return [check_file(place)]
    folder = place / RUNS if (place / RUNS).is_dir() else place
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and _is_run(file)]
    if not files:
        raise FileError(f"{place} has no runs", next_step=f"Runs are files that end in {', '.join(_ENDINGS)}, or .gz.")
    return files


def _is_run(file: Path) -> bool:
    return not file.name.startswith(".") and file.name.removesuffix(".gz").endswith(_ENDINGS)


def _stem(file: Path) -> str:
    name = file.name.removesuffix(".gz")
    return next((name.removesuffix(ending) for ending in _ENDINGS if name.endswith(ending)), name)


def _system_name(source: RunSource) -> str:
    """What an evaluation's folder calls its system, else the name of the file or folder."""
    if is_table(source) or isinstance(source, Mapping):
        return "run"
    place = Path(source)
    if (place / SCORES).is_file():
        scores = read_json(place / SCORES)
        named = scores.get("system") if isinstance(scores, dict) else None
        return f"{named} ({place.name})" if named and named != place.name else place.name
    return _stem(place)
