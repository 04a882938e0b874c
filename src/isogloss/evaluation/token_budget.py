"""R@2kt, R@5kt and the like: is an answer within the first 2,000 or 5,000 tokens of what was found?

Ranked passages are cut into word tokens, put together until the budget is full, cut there, and joined by single spaces;
a question is a hit if one of its answers is a case-sensitive substring of that text. The measure is the share of hits
among ALL questions: one that is missing from the run counts 0 (XOR-Retrieve's own scorer goes through the predictions,
so that a missing question leaves the denominator unnoticed). Answers "yes" and "no" never count. Source: Asai et al.
2021 (2010.11856) and its scorer.

`nltk` is that scorer's tokenizer, NLTK's `word_tokenize`, which needs the package and its data. `words` needs nothing:
runs of letters and digits, and single signs. It is ours, counts slightly differently, and its values are comparable
among themselves alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from isogloss.errors import DataError, Fault, MissingExtraError, UsageError, raise_faults
from isogloss.indexing.ranking import ranked_passages
from isogloss.records import Run

Tokenize = Callable[[str], list[str]]
TOKENIZERS = ("nltk", "words")
UNCOUNTED = ("yes", "no")
_NAME = re.compile(r"^R@(?:(\d+)kt|(\d+)t)$")
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class TokenBudget:
    """Share of questions with an answer within a budget of tokens.

    Attributes:
        name: As it is written: `R@2kt` is 2,000 tokens, `R@500t` is 500.
        tokens: The budget.
    """

    name: str
    tokens: int


@dataclass(frozen=True)
class AnswerRecall:
    """Hits of one run.

    Attributes:
        hits: Measure name to question id to 1 or 0, for every question.
        missing: Questions without results; they count 0.
        underfilled: Measure name to the questions whose results end before the budget is full and hold no answer.
        without_answer: Questions that have no answer that counts; they can only be 0.
    """

    hits: Mapping[str, Mapping[str, float]]
    missing: tuple[str, ...]
    underfilled: Mapping[str, tuple[str, ...]]
    without_answer: tuple[str, ...]

    def means(self) -> dict[str, float]:
        """Share of hits among all questions."""
        return {name: sum(hits.values()) / len(hits) for name, hits in self.hits.items()}


def token_budgets(names: str | Iterable[str]) -> list[TokenBudget]:
    """Measures by name, as a list or joined by commas.

    Raises:
        UsageError: With all names that are none.

    Examples:
        >>> [budget.tokens for budget in token_budgets("R@2kt,R@5kt,R@500t")]
        [2000, 5000, 500]
    """
    listed = [name.strip() for name in (names.split(",") if isinstance(names, str) else names)]
    found, faults = [], []
    for name in listed:
        match = _NAME.match(name)
        tokens = int(match[1]) * 1000 if match and match[1] else int(match[2]) if match else 0
        if tokens:
            found.append(TokenBudget(name, tokens))
        else:
            faults.append(Fault("measures", f"'{name}' is no measure over tokens", "such as R@2kt, R@5kt or R@500t"))
    raise_faults(UsageError, "Measures", faults)
    return found


def tokenizer(name: str) -> Tokenize:
    """A word tokenizer: `nltk` or `words`.

    Raises:
        UsageError: If there is no such one, or NLTK lacks its data.
        MissingExtraError: If NLTK is not installed.
    """
    if name == "words":
        return _WORD.findall
    if name != "nltk":
        raise UsageError(f"'{name}' is no tokenizer (allowed: {', '.join(TOKENIZERS)})")
    try:
        from nltk.tokenize import word_tokenize
    except ModuleNotFoundError as missing:
        raise MissingExtraError("NLTK's word_tokenize", "xor") from missing
    try:
        word_tokenize("One. Two.")
    except LookupError as error:
        raise UsageError(
            "NLTK has no data for word_tokenize here",
            next_step="Fetch them: python -m nltk.downloader punkt_tab; or take the tokenizer 'words'.",
        ) from error
    tokenize: Tokenize = word_tokenize
    return tokenize


def answer_recall(
    run: Run,
    passages: Mapping[str, str],
    answers: Mapping[str, Sequence[str]],
    measures: str | Iterable[str] = ("R@2kt", "R@5kt"),
    *,
    tokenize: Tokenize,
) -> AnswerRecall:
    """Which questions have an answer within the budgets.

    Args:
        run: Question id to passage id to score; equal scores follow trec_eval's order.
        passages: Passage id to text, titles included where they shall count.
        answers: Gold answers of every question of the set, the whole denominator.
        measures: Names such as `R@2kt`.
        tokenize: Cuts a passage into tokens.

    Raises:
        DataError: If the run holds questions or passages that are unknown, or there is no question.
        UsageError: If a measure is none.
    """
    budgets = token_budgets(measures)
    _check(run, passages, answers)
    counted = {name: tuple(a for a in given if a.strip() and a not in UNCOUNTED) for name, given in answers.items()}
    hits: dict[str, dict[str, float]] = {budget.name: {} for budget in budgets}
    underfilled: dict[str, list[str]] = {budget.name: [] for budget in budgets}
    largest = max(budget.tokens for budget in budgets)
    cut = _once(tokenize)
    for question in sorted(answers):
        tokens = _tokens(ranked_passages(run.get(question, {})), passages, cut, largest)
        for budget in budgets:
            text = " ".join(tokens[: budget.tokens])
            hit = any(answer in text for answer in counted[question])
            hits[budget.name][question] = float(hit)
            if not hit and len(tokens) < budget.tokens:
                underfilled[budget.name].append(question)
    return AnswerRecall(
        hits=hits,
        missing=tuple(sorted(question for question in answers if not run.get(question))),
        underfilled={name: tuple(questions) for name, questions in underfilled.items()},
        without_answer=tuple(sorted(question for question, given in counted.items() if not given)),
    )


def _tokens(ranking: Sequence[str], passages: Mapping[str, str], tokenize: Tokenize, most: int) -> list[str]:
    tokens: list[str] = []
    for passage in ranking:
        if len(tokens) >= most:
            break
        tokens += tokenize(passages[passage])
    return tokens[:most]


def _once(tokenize: Tokenize) -> Tokenize:
    """The tokenizer, with the passages that it has seen; the same ones come under many questions."""
    seen: dict[str, list[str]] = {}

    def cut(text: str) -> list[str]:
        if text not in seen:
            seen[text] = tokenize(text)
        return seen[text]

    return cut


def _check(run: Run, passages: Mapping[str, str], answers: Mapping[str, Sequence[str]]) -> None:
    faults = [
        Fault(f"question '{name}'", "is in the run and not among the questions")
        for name in sorted(run)
        if name not in answers
    ]
    unknown = sorted({passage for found in run.values() for passage in found if passage not in passages})
    faults += [Fault(f"passage '{name}'", "is in the run and not in the corpus") for name in unknown]
    if not answers:
        faults.append(Fault("questions", "there are none"))
    raise_faults(DataError, "The run does not fit", faults, "Give the run, questions and corpus of one set.")
