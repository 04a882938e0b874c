"""`isogloss answers`: R@2kt and R@5kt of a run, over questions with gold answers."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text as Line

from isogloss.cli.output import JsonFlag, Reporter, reported_errors
from isogloss.errors import DataError, Fault, raise_faults


def answers(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A TREC run; 100 passages a question or more.")],
    questions: Annotated[
        Path, typer.Option("--questions", metavar="FILE", help="JSON lines: _id, answers, lang; the whole set.")
    ],
    corpus: Annotated[str, typer.Option("--corpus", metavar="CORPUS", help="A BEIR folder, or a corpus.jsonl[.gz].")],
    measures: Annotated[str, typer.Option("--measures", help="R@<n>kt or R@<n>t, joined by commas.")] = "R@2kt,R@5kt",
    tokenizer: Annotated[
        str, typer.Option("--tokenizer", help="nltk, as XOR-Retrieve has it, or words, which needs nothing.")
    ] = "nltk",
    as_json: JsonFlag = False,
) -> None:
    """Measure whether an answer is within the first tokens of what was found; every question counts."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.datasets import open_corpus
        from isogloss.evaluation import token_budget
        from isogloss.files import read_run

        cut = token_budget.tokenizer(tokenizer)
        gold, languages = _questions(questions)
        passages = {text.id: f"{text.title} {text.text}".strip() for text in open_corpus(corpus)}
        found = token_budget.answer_recall(read_run(run), passages, gold, measures, tokenize=cut)
        groups = defaultdict(list)
        for question, language in languages.items():
            groups[language].append(question)
        by_language = {
            language: {name: sum(hits[one] for one in group) / len(group) for name, hits in found.hits.items()}
            for language, group in sorted(groups.items())
        }
        macro = {name: sum(row[name] for row in by_language.values()) / len(by_language) for name in found.hits}
        table = Table("language", "questions", *found.hits, title=f"{run}, tokens by {tokenizer}")
        for language, row in by_language.items():
            table.add_row(language, f"{len(groups[language]):,}", *(f"{value:.4f}" for value in row.values()))
        table.add_row(f"mean of {len(by_language)}", f"{len(gold):,}", *(f"{value:.4f}" for value in macro.values()))
        reporter.show(table)
        short = ", ".join(f"{name} {len(found.underfilled[name]):,}" for name in found.hits)
        missing = f"{len(found.missing):,} questions have no results and count 0; "
        reporter.show(Line(f"{missing}results that end before the budget, without an answer: {short}."))
        reporter.result(
            {
                "tokenizer": tokenizer,
                "languages": by_language,
                "mean_of_languages": macro,
                "questions": len(gold),
                "missing": list(found.missing),
                "underfilled": {name: len(names) for name, names in found.underfilled.items()},
                "without_answer": list(found.without_answer),
            }
        )


def _questions(path: Path) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Answers and language of each question.

    Raises:
        DataError: With all questions that lack an id or answers, or stand twice.
    """
    from isogloss.files import read_jsonl

    faults: list[Fault] = []
    gold: dict[str, list[str]] = {}
    languages: dict[str, str] = {}
    for line, record in read_jsonl(path, faults=faults):
        identifier = str(record.get("_id") or record.get("id") or "")
        given = record.get("answers")
        if not identifier or identifier in gold:
            faults.append(Fault(f"{path}:{line}", f"id '{identifier}' is missing or stands twice"))
        elif not isinstance(given, list) or not all(isinstance(answer, str) for answer in given):
            faults.append(Fault(f"{path}:{line}", "'answers' is no list of strings"))
        else:
            gold[identifier] = given
            languages[identifier] = str(record.get("lang") or "?")
    raise_faults(DataError, str(path), faults, "Every question of the set has a line with _id and answers.")
    return gold, languages
