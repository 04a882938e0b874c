"""Questions with short answers over a collection of passages: XOR-Retrieve and MKQA.

    xor_dev_retrieve_eng_span_v1_1.jsonl   {"id", "question", "lang", "answers": […]}
    mkqa.jsonl.gz                          {"example_id", "queries": {"ar": …}, "answers": {"en": [{"type", "text"}]}}
    psgs_w100.tsv                          id, text, title (DPR's); or corpus.jsonl with _id, title, text

Neither has judgements of passages: a passage is relevant that contains an answer, the case counting, as in DPR and in
the official scorer of XOR-Retrieve, whose R@2kt and R@5kt count tokens and read the answers in `metadata`. What the
official scripts leave to chance is fixed here, and stated in `notes`:

- yes and no are no answers that a passage could be searched for: questions with no other are left out;
- so are those without any answer, and MKQA's unanswerable and long ones; all others are the denominator;
- the passages are English, therefore MKQA's answers are the English ones, with their aliases, in all languages.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from isogloss.datasets.collecting import MEND, Languages, Texts, read_id, read_string
from isogloss.errors import DataError, Fault, FileError, raise_faults
from isogloss.files import file_errors, read_jsonl, read_lines
from isogloss.records import EvalSet, Text

ANSWERS = "answers"  # key of a query's metadata
_NO_ANSWERS = frozenset(("yes", "no"))
_QUESTION_FILES = re.compile(r"(?:xor_\w+|mkqa)[\w.-]*\.jsonl(?:\.gz)?$")
_PASSAGE_FILES = re.compile(r"(?:psgs_w100|\w*_w100|corpus)\.(?:tsv|jsonl)(?:\.gz)?$")
_SPLIT = re.compile(r"xor_(?P<split>train|dev|test)")
_WORD = re.compile(r"\w+")


def open_answer_files(path: Path) -> tuple[list[Path], list[Path]]:
    """Files of questions and of passages in a folder; both empty where it holds no such questions."""
    if not path.is_dir():
        return [], []
    with file_errors(path, "read"):
        names = sorted(place for place in path.iterdir() if place.is_file())
    questions = [place for place in names if _QUESTION_FILES.match(place.name)]
    return questions, [place for place in names if questions and _PASSAGE_FILES.match(place.name)]


def read_open_answers(path: Path, *, split: str | None = None) -> EvalSet:
    """Reads questions and passages, and finds the passages that contain an answer.

    Args:
        path: The folder.
        split: Of XOR-Retrieve; `dev` by default, for the answers of its test part are not public.

    Raises:
        FileError: If questions or passages are missing, or there is no such split.
        DataError: With all faults of all files, or if no question can be answered.
    """
    questions, collections = open_answer_files(path)
    questions = _of_split(path, questions, split)
    if not collections:
        raise FileError(f"{path} has no passages", next_step="Put psgs_w100.tsv or corpus.jsonl beside the questions.")
    faults: list[Fault] = []
    queries, passages, left_out = Texts("query", faults), Texts("passage", faults), Counter[str]()
    for place in questions:
        _add_questions(queries, place, Languages(faults), left_out)
    for place in collections:
        for text, where in _passages(place, faults):
            passages.add(text, where)
    raise_faults(DataError, str(path), faults, MEND)
    qrels = passages_with_answers(queries.found, passages.found)
    if not qrels:
        raise DataError(f"{path}: no passage contains an answer", next_step="Check that questions and passages belong.")
    left_out["questions have no passage with an answer: left out here, 0 in R@kt"] = len(queries.found) - len(qrels)
    notes = ["a passage is relevant that contains an answer; there are no judgements"]
    notes += [f"{count:,} {reason}" for reason, count in left_out.items() if count]
    kept = tuple(queries.found.values())
    all_qrels = {text.id: qrels.get(text.id, {}) for text in kept}
    return EvalSet(path.resolve().name, kept, tuple(passages.found.values()), all_qrels, notes=tuple(notes))


def passages_with_answers(queries: Mapping[str, Text], passages: Mapping[str, Text]) -> dict[str, dict[str, int]]:
    """Grade 1 for each passage that contains an answer of a query, by query id; queries without one are left out.

    Answers are looked up by their first word, so that the work grows with the passages and not with both.
    """
    starts: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for query in queries.values():
        for answer in (query.metadata or {}).get(ANSWERS, ()):
            word = _WORD.search(answer)
            starts[word[0] if word else ""][answer].append(query.id)
    qrels: dict[str, dict[str, int]] = {}
    for passage in passages.values():
        for word in {"", *_WORD.findall(passage.text)} & starts.keys():
            for answer, asking in starts[word].items():
                if answer in passage.text:
                    for query_id in asking:
                        qrels.setdefault(query_id, {})[passage.id] = 1
    return qrels


def _of_split(path: Path, questions: list[Path], split: str | None) -> list[Path]:
    named = {place: match["split"] for place in questions if (match := _SPLIT.match(place.name))}
    splits = sorted(set(named.values()))
    wanted = split or ("dev" if "dev" in splits else next(iter(splits), None))
    chosen = [place for place in questions if named.get(place, wanted) == wanted]
    if not chosen or (split is not None and split not in splits):
        has = f"It has: {', '.join(splits)}." if splits else "It has no splits."
        raise FileError(f"{path} has no questions of the split '{split}'", next_step=has)
    return chosen


def _add_questions(queries: Texts, place: Path, languages: Languages, left_out: Counter[str]) -> None:
    for line, record in read_jsonl(place, faults=queries.faults):
        where = f"{place}:{line}"
        form = _mkqa if "queries" in record else _xor
        for text, found in form(record, where, languages):
            answers = list(dict.fromkeys(answer for answer in found if answer.strip()))
            named = [answer for answer in answers if answer.lower() not in _NO_ANSWERS]
            if named:
                metadata = {ANSWERS: tuple(named)}
                queries.add(
                    Text(text.id, text.text, text.language, parallel_id=text.parallel_id, metadata=metadata), where
                )
            else:
                left_out[f"questions are left out: {'yes or no' if answers else 'no short answer'}"] += 1


def _xor(record: dict[str, Any], where: str, languages: Languages) -> Iterator[tuple[Text, list[str]]]:
    identifier = read_id(record, ("id",), where, languages.faults)
    question = read_string(record, ("question",), where, languages.faults)
    answers = record.get("answers")
    if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
        languages.faults.append(Fault(where, "'answers' is no list of strings"))
    elif identifier is not None and question is not None:
        yield Text(identifier, question, languages.read(record.get("lang"), where)), answers


def _mkqa(record: dict[str, Any], where: str, languages: Languages) -> Iterator[tuple[Text, list[str]]]:
    identifier = read_id(record, ("example_id",), where, languages.faults)
    english = record["answers"].get("en") if isinstance(record.get("answers"), dict) else None
    asked = record["queries"]
    if not isinstance(english, list) or not isinstance(asked, dict):
        languages.faults.append(Fault(where, "no 'queries' by language, or no 'answers' in 'en'"))
    elif identifier is not None:
        answers = [text for answer in english if isinstance(answer, dict) for text in _written(answer)]
        for written, question in asked.items():
            # zh_hk and zh_tw are one tag: the source's own code keeps the ids apart.
            language = languages.read(written, where)
            yield Text(f"{identifier}.{written}", str(question), language, parallel_id=identifier), answers


def _written(answer: dict[str, Any]) -> list[str]:
    if answer.get("type") in ("unanswerable", "long_answer"):
        return []
    aliases = answer.get("aliases") or []
    return [text for text in (answer.get("text"), *aliases) if isinstance(text, str)]


def _passages(place: Path, faults: list[Fault]) -> Iterator[tuple[Text, str]]:
    if ".jsonl" in place.name:
        for line, record in read_jsonl(place, faults=faults):
            where = f"{place}:{line}"
            identifier, text = (
                read_id(record, ("_id", "id", "docid"), where, faults),
                read_string(record, ("text",), where, faults),
            )
            if identifier is not None and text is not None:
                yield Text(identifier, text, "en", title=str(record.get("title") or "")), where
        return
    for line, row in read_lines(place, faults=faults):
        columns = row.split("\t")
        if columns[:2] == ["id", "text"]:
            continue
        if len(columns) != 3:
            faults.append(Fault(f"{place}:{line}", f"{len(columns)} columns", "id, text, title"))
        else:
            yield Text(columns[0], columns[1].strip('"'), "en", title=columns[2]), f"{place}:{line}"
