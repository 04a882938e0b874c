"""The files that the pages' commands read, under their names and in their layouts, with few texts of the demo set.

The demo set has eight languages; where a page names another one, the text of a language of the set, or a sentence with
a number, stands in. What the commands print is therefore compared only where it does not depend on the texts.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from isogloss.datasets import demo_rows, load

SUBJECTS = 12
STANDS_FOR = {"el": "de", "ro": "es", "tr": "de", "vi": "es", "pt": "es", "id": "de", "fr": "es", "sw": "de"}
FURTHER = {"bn": "জল জীবন, অংশ {}।", "sw": "Maji ni uhai, sehemu ya {}.", "ur": "پانی زندگی ہے، حصہ {}۔"}
AFRICAN = ("bem", "ha", "ig")


def make_world(folder: Path) -> Path:
    """Writes everything; returns the folder."""
    passages, questions = _texts()
    data = folder / "data"
    subjects = list(passages)[:SUBJECTS]
    xquad = ("ar", "de", "en", "th", "zh")
    _beir(data / "retrieval" / "xquad", passages, questions, subjects, {tag: tag for tag in xquad})
    _beir(data / "retrieval" / "iapp-th", passages, questions, subjects, {"th": "th"})
    _beir(data / "retrieval" / "afriqa", passages, questions, subjects, {tag: "en" for tag in AFRICAN})
    _write(folder / "corpus.jsonl", _corpus(passages, subjects, xquad))
    english = [{"query": row.query, "positive": row.passage, "lang": "en"} for row in demo_rows()[:48]]
    for name in ("en-medquad", "en-squad-sentences", "en-nq-qed"):
        _write(data / "train" / f"{name}.jsonl.gz", english)
    for name, tag in {"th-iapp": "th", "pt-faquad": "pt", "id-tydiqa": "id"}.items():
        _write(data / "train" / f"{name}.jsonl.gz", _rows(passages, questions, subjects, tag, tag))
    african = [row for tag in ("en", *AFRICAN) for row in _rows(passages, questions, subjects, tag, "en")]
    _write(data / "train" / "xx-afriqa.jsonl.gz", african)
    for tag in AFRICAN:
        pairs = [f"{_in(questions[one], 'en')}\t{_african(questions[one], tag)}\n" for one in subjects]
        _text(data / "parallel" / "afriqa-questions" / f"en-{tag}.tsv.gz", "".join(pairs))
    _write(data / "parallel" / "tico19.jsonl.gz", _multiway(questions, subjects))
    mixed = [row for tag in ("id", "en", "pt") for row in _rows(passages, questions, subjects, tag, tag)]
    _write(folder / "rows.jsonl", mixed)
    return folder


def _texts() -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
    """Passages and questions of the demo set: subject, language, text."""
    whole = load("isogloss-demo")
    found = []
    for texts in (whole.passages, whole.queries):
        side: dict[str, dict[str, str]] = defaultdict(dict)
        for text in texts:
            side[text.id.rpartition(".")[0]][text.language] = text.text
        found.append(dict(side))
    return found[0], found[1]


def _in(texts: Mapping[str, str], language: str) -> str:
    return texts[language if language in texts else STANDS_FOR[language]]


def _african(texts: Mapping[str, str], language: str) -> str:
    return f"{texts['es']} ({language})"


def _question(texts: Mapping[str, str], language: str) -> str:
    return _african(texts, language) if language in AFRICAN else _in(texts, language)


def _corpus(
    passages: Mapping[str, Mapping[str, str]], subjects: list[str], tags: Iterable[str]
) -> list[dict[str, str]]:
    return [
        {"_id": f"para{number:03}.{tag}", "title": "", "text": _in(passages[subject], tag), "lang": tag}
        for tag in tags
        for number, subject in enumerate(subjects)
    ]


def _beir(
    folder: Path,
    passages: Mapping[str, Mapping[str, str]],
    questions: Mapping[str, Mapping[str, str]],
    subjects: list[str],
    languages: Mapping[str, str],
) -> None:
    """A BEIR folder; `languages` says in which language the questions of each language are answered."""
    queries, judged = [], ["query-id\tcorpus-id\tscore\n"]
    for tag, answered in languages.items():
        for number, subject in enumerate(subjects):
            queries.append({"_id": f"q{number:03}.{tag}", "text": _question(questions[subject], tag), "lang": tag})
            judged.append(f"q{number:03}.{tag}\tpara{number:03}.{answered}\t1\n")
    _write(folder / "corpus.jsonl.gz", _corpus(passages, subjects, dict.fromkeys(languages.values())))
    _write(folder / "queries.jsonl.gz", queries)
    _text(folder / "qrels" / "test.tsv", "".join(judged))


def _rows(
    passages: Mapping[str, Mapping[str, str]],
    questions: Mapping[str, Mapping[str, str]],
    subjects: list[str],
    asked: str,
    answered: str,
) -> list[dict[str, str]]:
    return [
        {
            "query": _question(questions[subject], asked),
            "positive": _in(passages[subject], answered),
            "lang": asked,
            "positive_lang": answered,
        }
        for subject in subjects
    ]


def _multiway(questions: Mapping[str, Mapping[str, str]], subjects: list[str]) -> list[dict[str, str]]:
    lines = []
    for number, subject in enumerate(subjects):
        further = {tag: sentence.format(number) for tag, sentence in FURTHER.items()}
        lines.append({"_id": subject, **questions[subject], **further})
    return lines


def _write(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    _text(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
