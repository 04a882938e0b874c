"""Judgements and runs in the forms of TREC and BEIR.

Ties are ordered as trec_eval does it: score descending in single precision, then passage id descending.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from isogloss.errors import DataError, Fault, raise_faults
from isogloss.files.reading import open_binary, read_lines, shorten
from isogloss.files.system import file_errors
from isogloss.files.writing import writing_text
from isogloss.records import Qrels, Run

QRELS_HEADER = ("query-id", "corpus-id", "score")
_QRELS_COLUMNS = "query-id<TAB>corpus-id<TAB>score, or TREC's: query-id 0 passage-id grade"
_RUN_COLUMNS = "query-id Q0 passage-id rank score tag"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = re.compile(r"\s")
_GRADE_HEADERS = ("score", "grade", "rel", "relevance")


def read_qrels(path: str | os.PathLike[str], *, faults: list[Fault] | None = None) -> dict[str, dict[str, int]]:
    """Reads judgements: BEIR's three columns, with or without its header, or TREC's four.

    Args:
        path: The file, compressed where its name ends in `.gz`.
        faults: Where to add broken lines; with None they are raised together.

    Returns:
        Grades by query id and passage id, in the order of the file.

    Raises:
        FileError: If the file cannot be read.
        DataError: If lines are broken and `faults` is None.
    """
    return {query: grades for query, grades, _ in located_qrels(path, faults=faults)}


def located_qrels(
    path: str | os.PathLike[str], *, faults: list[Fault] | None = None
) -> list[tuple[str, dict[str, int], dict[str, int]]]:
    """Judgements as in `read_qrels`, with the line of each: (query id, grade by passage id, line by passage id)."""
    own: list[Fault] = []
    found = own if faults is None else faults
    judged = collect_grades(path, _written_grades(path, found), found)
    raise_faults(DataError, str(path), own, "Mend these lines; nothing was kept of this file.")
    return judged


def collect_grades(
    path: str | os.PathLike[str], written: Iterable[tuple[int, str, str, str]], faults: list[Fault]
) -> list[tuple[str, dict[str, int], dict[str, int]]]:
    """Judgements as `located_qrels` gives them.

    Args:
        path: Their file, for messages.
        written: (line, query id, passage id, grade as it is written).
        faults: Where to add grades that are no whole numbers, and pairs judged twice.
    """
    qrels: dict[str, tuple[dict[str, int], dict[str, int]]] = {}
    for number, query, passage, written_grade in written:
        where = f"{path}:{number}"
        grade = _grade(written_grade)
        if grade is None:
            faults.append(Fault(where, f"grade {written_grade!r} is no whole number"))
            continue
        grades, lines = qrels.setdefault(query, ({}, {}))
        if grades.setdefault(passage, grade) != grade:
            message = (
                f"'{query}' and '{passage}' are judged twice: {grades[passage]} on line {lines[passage]}, now {grade}"
            )
            faults.append(Fault(where, message))
        lines.setdefault(passage, number)
    return [(query, grades, lines) for query, (grades, lines) in qrels.items()]


def _written_grades(path: str | os.PathLike[str], faults: list[Fault]) -> Iterator[tuple[int, str, str, str]]:
    for position, (number, line) in enumerate(read_lines(path, faults=faults)):
        columns = _qrels_columns(line)
        if columns is None:
            message = f"{_count(line)}: {shorten(line)}"
            faults.append(Fault(f"{path}:{number}", message, f"expected {_QRELS_COLUMNS}"))
        elif position or columns[2].strip().lower() not in _GRADE_HEADERS:
            yield number, *columns


def _fields(line: str) -> list[str]:
    return [field.strip() for field in line.split("\t")] if "\t" in line else line.split()


def _count(line: str) -> str:
    count = len(_fields(line))
    return f"{count} column{'' if count == 1 else 's'}"


def _qrels_columns(line: str) -> tuple[str, str, str] | None:
    columns = _fields(line)
    if len(columns) == 4:
        columns = [columns[0], *columns[2:]]
    return (columns[0], columns[1], columns[2]) if len(columns) == 3 and all(columns) else None


def _grade(written: str) -> int | None:
    try:
        return int(written)
    except ValueError:
        pass
    try:
        value = float(written)
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


def write_qrels(path: str | os.PathLike[str], qrels: Qrels, *, form: Literal["beir", "trec"] = "beir") -> None:
    """Writes judgements, whole or not at all.

    Args:
        path: Compressed where its name ends in `.gz`.
        qrels: Grades by query id and passage id.
        form: BEIR's three columns with a header, or TREC's four without.

    Raises:
        FileError: If the system refuses.
        DataError: If an id holds a space or is empty.
    """
    _refuse_spaces(path, qrels)
    with writing_text(path) as stream:
        if form == "beir":
            stream.write("\t".join(QRELS_HEADER) + "\n")
        for query, grades in qrels.items():
            for passage, grade in grades.items():
                line = f"{query}\t{passage}\t{grade}\n" if form == "beir" else f"{query} 0 {passage} {grade}\n"
                stream.write(line)


def read_run(path: str | os.PathLike[str], *, faults: list[Fault] | None = None) -> dict[str, dict[str, float]]:
    """Reads a TREC run.

    Args:
        path: Six columns with spaces or tabs between; compressed where its name ends in `.gz`.
        faults: Where to add broken lines; with None they are raised together.

    Returns:
        Scores by query id and passage id, in the order of the file. The rank column is not used, as in trec_eval.

    Raises:
        FileError: If the file cannot be read.
        DataError: If lines are broken and `faults` is None.
    """
    plain = _plain_run(path)
    if plain is not None:
        return plain
    own: list[Fault] = []
    found = own if faults is None else faults
    run: dict[str, dict[str, float]] = {}
    for number, line in read_lines(path, faults=found):
        columns = line.split()
        if len(columns) != 6:
            found.append(Fault(f"{path}:{number}", f"{_count(line)}: {shorten(line)}", f"expected {_RUN_COLUMNS}"))
            continue
        query, _, passage, _, written, _ = columns
        scores = run.setdefault(query, {})
        score = _score(written)
        if score is None:
            found.append(Fault(f"{path}:{number}", f"score {written!r} is no number"))
        elif passage in scores:
            found.append(Fault(f"{path}:{number}", f"passage '{passage}' stands twice under query '{query}'"))
        else:
            scores[passage] = score
    raise_faults(DataError, str(path), own, "Mend these lines; nothing was kept of this file.")
    return run


def _plain_run(path: str | os.PathLike[str]) -> dict[str, dict[str, float]] | None:
    """The run of a file without any fault, read at one go and so twice as fast; None where lines must be looked at."""
    with file_errors(path, "read"), open_binary(path) as stream:
        content = stream.read()
    run: dict[str, dict[str, float]] = {}
    try:
        lines = content.decode("utf-8").rstrip("\n").split("\n")
        for line in lines:
            query, _, passage, _, written, _ = line.split()
            if query not in run:
                run[query] = {}
            run[query][passage] = float(written)
    except ValueError:  # also raised by bytes that are no UTF-8
        return None
    found = [score for scores in run.values() for score in scores.values()]
    whole = len(found) == len(lines) and not any(map(math.isnan, found))
    return run if whole and not content.startswith(_BYTE_ORDER_MARK) else None


def _score(written: str) -> float | None:
    try:
        score = float(written)
    except ValueError:
        return None
    return None if math.isnan(score) else score


def write_run(path: str | os.PathLike[str], run: Run, tag: str = "isogloss") -> None:
    """Writes a TREC run, ranked from 1, whole or not at all.

    Scores keep the nine digits that single precision has, so that ties stay ties.

    Args:
        path: Compressed where its name ends in `.gz`.
        run: Scores by query id and passage id.
        tag: Name of the system, the last column.

    Raises:
        FileError: If the system refuses.
        DataError: If an id or the tag holds a space or is empty, or a score is not a number.
    """
    _refuse_spaces(path, run, tag=tag)
    faults = [
        Fault(f"query '{query}'", f"score of passage '{passage}' is {score}")
        for query, scores in run.items()
        for passage, score in scores.items()
        if math.isnan(score)
    ]
    raise_faults(DataError, f"cannot write {path}", faults, "Nothing was written.")
    with writing_text(path) as stream:
        for query, scores in run.items():
            for rank, (score, passage) in enumerate(_ranked(scores), start=1):
                stream.write(f"{query} Q0 {passage} {rank} {score:.9g} {tag}\n")


def _ranked(scores: Mapping[str, float]) -> list[tuple[float, str]]:
    single = np.fromiter(scores.values(), dtype=np.float32, count=len(scores)).tolist()
    return sorted(zip(single, scores, strict=True), reverse=True)


def _refuse_spaces(
    path: str | os.PathLike[str], table: Mapping[str, Mapping[str, float]] | Qrels, *, tag: str = "-"
) -> None:
    names = {"tag": {tag}, "query id": set(table), "passage id": {passage for row in table.values() for passage in row}}
    faults = [
        Fault(kind, f"'{name}' is empty or holds a space, which this format cannot carry")
        for kind, values in names.items()
        for name in sorted(values)
        if not name or _SPACE.search(name)
    ]
    raise_faults(DataError, f"cannot write {Path(path)}", faults, "Rename them; nothing was written.")
