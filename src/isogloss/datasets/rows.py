"""Training rows in the forms in use, each to `Row`. The form is told by the keys of each line.

    ours                   {"query", "positive" or "passage", "lang"?, "positive_lang"?, "title"?, "negative_passages"?}
    sentence-transformers  {"anchor", "positive", "negative" or "negative_1" … "negative_n"}
    FlagEmbedding          {"query", "pos": […], "neg": […]}
    Tevatron               {"query_id", "query", "positive_passages": [{"docid", "title", "text"}], "negative_passages"}

A line with several positives gives a row for each. Texts carry no prompts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from isogloss.datasets.collecting import MEND, Languages, read_string
from isogloss.datasets.frames import as_file, is_table
from isogloss.errors import DataError, Fault, raise_faults
from isogloss.files import read_jsonl
from isogloss.records import GeneratedQuery, Row

KEYS_OF_ROWS = frozenset(("positive", "passage", "positive_passages", "pos"))
_NEGATIVE = re.compile(r"negative(?:_(\d+))?$")
_ALLOWED = "query + positive, anchor + positive, query + pos, or query + positive_passages"


@dataclass(frozen=True)
class _Passage:
    text: str
    identifier: str = ""
    title: str = ""

    def with_title(self) -> str:
        """A negative has no title of its own in a row: it stands before the text, as the title template has it."""
        return f"{self.title} {self.text}".strip()


@dataclass(frozen=True)
class _Source:
    """What all lines of one file share."""

    languages: Languages
    query_language: str | None
    passage_language: str | None
    name: str


def read_rows(
    path: Any,
    *,
    language: str | None = None,
    passage_language: str | None = None,
    source: str | None = None,
) -> list[Row]:
    """Reads training rows from a JSON-lines file, or from a table in memory.

    Args:
        path: The file, compressed where its name ends in `.gz`; or a data set of Hugging Face, a data frame, or a list
            of objects with the same keys.
        language: Language of queries whose line names none.
        passage_language: Language of passages whose line names none; by default that of their query.
        source: Name recorded in each row; by default the file's name.

    Returns:
        The rows, in the order of the file.

    Raises:
        FileError: If the file cannot be read.
        DataError: With all broken lines, empty texts and unknown languages.
    """
    if is_table(path):
        with as_file(path, source or "table") as written:
            return read_rows(written, language=language, passage_language=passage_language, source=source)
    place = Path(path)
    faults: list[Fault] = []
    languages = Languages(faults)
    name = source if source is not None else place.name.removesuffix(".gz").removesuffix(".jsonl")
    defaults = (languages.read(language, "language"), languages.read(passage_language, "passage_language"))
    shared = _Source(languages, *defaults, name)
    rows: list[Row] = []
    for line, record in read_jsonl(place, faults=faults):
        rows.extend(_rows(record, f"{place}:{line}", line, shared))
    raise_faults(DataError, str(place), faults, MEND)
    if not rows:
        raise DataError(f"{place} has no rows", next_step=f"Each line needs {_ALLOWED}.")
    return rows


def row_record(row: Row) -> dict[str, Any]:
    """The line of a JSON-lines file in our form that `read_rows` reads as this row; empty fields are left out."""
    names = {"query_language": "lang", "passage": "positive", "passage_language": "positive_lang"}
    values = {names.get(field.name, field.name): getattr(row, field.name) for field in fields(row)}
    values |= values.pop("values")
    values["generated_queries"] = [
        {**asdict(query), "provenance": dict(query.provenance)} for query in row.generated_queries
    ]
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value}


def _rows(record: dict[str, Any], where: str, line: int, source: _Source) -> Iterator[Row]:
    faults = source.languages.faults
    before = len(faults)
    form = _form(record)
    if form is None:
        has = ", ".join(map(str, record)) or "nothing"
        faults.append(Fault(where, f"no form of training rows has these keys: {has}", f"expected {_ALLOWED}"))
        return
    query = read_string(record, ("query", "anchor"), where, faults)
    positives, negatives = form(record, where, faults)
    for text, role in [(query, "query"), *((p.text, "passage") for p in (*positives, *negatives)), *_queries(record)]:
        if text is not None and not text.strip():
            faults.append(Fault(where, f"a {role} is empty"))
    if not positives and len(faults) == before:
        faults.append(Fault(where, "the row has no positive passage"))
    others = _other_fields(record, where, source)
    if query is None or len(faults) > before:
        return
    identifier = str(record.get("row_id") or record.get("query_id") or record.get("_id") or f"{source.name}:{line}")
    scores = len(others["teacher_scores"])
    if scores and (len(positives) > 1 or scores != 1 + len(negatives)):
        counts = f"{scores} teacher_scores for {len(positives)} passages and {len(negatives)} negatives"
        faults.append(Fault(where, counts, "one for the passage, then one per negative passage"))
        return
    for number, positive in enumerate(positives):
        yield Row(
            query=query,
            passage=positive.text,
            passage_id=positive.identifier,
            title=positive.title,
            row_id=identifier if len(positives) == 1 else f"{identifier}#{number}",
            negative_passages=tuple(negative.with_title() for negative in negatives),
            negative_passage_ids=tuple(n.identifier for n in negatives) if all(n.identifier for n in negatives) else (),
            **others,
        )


def _queries(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The negative queries of a line, for the check that none is empty."""
    found = record.get("negative_queries")
    yield from ((text, "negative query") for text in found or () if isinstance(found, list) and isinstance(text, str))


def _other_fields(record: dict[str, Any], where: str, source: _Source) -> dict[str, Any]:
    read = source.languages.read
    query_language = read(record.get("query_language", record.get("lang")), where) or source.query_language
    passage_language = read(record.get("passage_language", record.get("positive_lang")), where)
    others: dict[str, Any] = {
        "query_language": query_language,
        "passage_language": passage_language or source.passage_language or query_language,
        "translated_query": _translated(record, where, source.languages.faults),
        "translated_query_language": read(record.get("translated_query_language"), where),
        "negative_queries": tuple(_strings(record, "negative_queries", where, source.languages.faults)),
        "source": str(record.get("source") or source.name),
        "answers": _answers(record),
        "teacher_scores": _numbers(record, "teacher_scores", where, source.languages.faults),
        "generated_queries": tuple(_generated(record, where, source.languages)),
        "values": _values(record),
    }
    if isinstance(record.get("task_type"), str):
        others["task_type"] = record["task_type"]
    return others


def _translated(record: dict[str, Any], where: str, faults: list[Fault]) -> str | None:
    text = record.get("translated_query")
    if text is not None and (not isinstance(text, str) or not text.strip()):
        faults.append(Fault(where, "'translated_query' is empty or no string"))
        return None
    return text


def _values(record: dict[str, Any]) -> dict[str, tuple[float, ...]]:
    """Numbers under names of the user's own: a term may ask for them."""
    known = {field.name for field in fields(Row)}
    return {
        name: tuple(map(float, value))
        for name, value in record.items()
        if name not in known and isinstance(value, list) and value and all(map(_is_number, value))
    }


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _answers(record: dict[str, Any]) -> tuple[str, ...]:
    """Short answers: a string, a list, or a list under `text` as in SQuAD."""
    found = record.get("answers")
    found = found.get("text") if isinstance(found, dict) else found
    listed = found if isinstance(found, list) else [found]
    return tuple(answer for answer in listed if isinstance(answer, str) and answer.strip())


def _generated(record: dict[str, Any], where: str, languages: Languages) -> Iterator[GeneratedQuery]:
    for entry in _list(record, "generated_queries", where, languages.faults):
        language = languages.read(entry.get("language"), where) if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not str(entry.get("text") or "").strip() or language is None:
            allowed = "an object with text and language"
            languages.faults.append(Fault(where, "a generated query has no text or no language", allowed))
            continue
        weight, provenance = entry.get("weight", 1.0), entry.get("provenance") or {}
        if not isinstance(weight, (int, float)) or not 0 <= weight <= 1 or not isinstance(provenance, dict):
            allowed = "a weight from 0 to 1, and an object"
            languages.faults.append(Fault(where, "weight or provenance of a generated query", allowed))
            continue
        yield GeneratedQuery(str(entry["text"]), language, float(weight), provenance)


def _numbers(record: dict[str, Any], key: str, where: str, faults: list[Fault]) -> tuple[float, ...]:
    values = _list(record, key, where, faults)
    if all(map(_is_number, values)):
        return tuple(map(float, values))
    faults.append(Fault(where, f"'{key}' holds something else than finite numbers"))
    return ()


_Sides = tuple[list[_Passage], list[_Passage]]


def _form(record: dict[str, Any]) -> Callable[[dict[str, Any], str, list[Fault]], _Sides] | None:
    if "positive_passages" in record:
        return _tevatron
    if "pos" in record:
        return _flag_embedding
    if "anchor" in record:
        return _sentence_transformers
    return _ours if "positive" in record or "passage" in record else None


def _ours(record: dict[str, Any], where: str, faults: list[Fault]) -> _Sides:
    text = read_string(record, ("passage", "positive"), where, faults)
    title = record.get("title") or ""
    positive = [] if text is None else [_Passage(text, str(record.get("passage_id") or ""), str(title))]
    texts = _strings(record, "negative_passages", where, faults)
    ids = _strings(record, "negative_passage_ids", where, faults) or [""] * len(texts)
    if len(ids) != len(texts):
        faults.append(Fault(where, f"{len(texts)} negative_passages but {len(ids)} negative_passage_ids"))
        return positive, []
    numbered = _numbered_negatives(record, where, faults)
    return positive, [*(_Passage(text, name) for text, name in zip(texts, ids, strict=True)), *numbered]


def _sentence_transformers(record: dict[str, Any], where: str, faults: list[Fault]) -> _Sides:
    text = read_string(record, ("positive",), where, faults)
    return [] if text is None else [_Passage(text)], _numbered_negatives(record, where, faults)


def _numbered_negatives(record: dict[str, Any], where: str, faults: list[Fault]) -> list[_Passage]:
    numbered = {key: int(match[1] or 0) for key in record if (match := _NEGATIVE.match(key))}
    found = [read_string(record, (key,), where, faults) for key in sorted(numbered, key=numbered.__getitem__)]
    return [_Passage(text) for text in found if text is not None]


def _flag_embedding(record: dict[str, Any], where: str, faults: list[Fault]) -> _Sides:
    positives, negatives = (_strings(record, key, where, faults) for key in ("pos", "neg"))
    return [_Passage(text) for text in positives], [_Passage(text) for text in negatives]


def _tevatron(record: dict[str, Any], where: str, faults: list[Fault]) -> _Sides:
    sides: list[list[_Passage]] = []
    for key in ("positive_passages", "negative_passages"):
        side = []
        for entry in _list(record, key, where, faults):
            if not isinstance(entry, dict):
                faults.append(Fault(where, f"'{key}' holds {type(entry).__name__}", "objects with docid, title, text"))
                continue
            text = read_string(entry, ("text",), f"{where} {key}", faults)
            if text is not None:
                side.append(_Passage(text, str(entry.get("docid") or ""), str(entry.get("title") or "")))
        sides.append(side)
    return sides[0], sides[1]


def _list(record: dict[str, Any], key: str, where: str, faults: list[Fault]) -> list[Any]:
    value = record.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        faults.append(Fault(where, f"'{key}' is no list but {type(value).__name__}"))
        return []
    return value


def _strings(record: dict[str, Any], key: str, where: str, faults: list[Fault]) -> list[str]:
    values = _list(record, key, where, faults)
    wrong = [value for value in values if not isinstance(value, str)]
    if wrong:
        faults.append(Fault(where, f"'{key}' holds {type(wrong[0]).__name__}", "a list of strings"))
    return [value for value in values if isinstance(value, str)]
