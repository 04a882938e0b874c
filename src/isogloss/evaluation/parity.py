"""Whether two models give the same vectors and the same results, language by language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogloss.errors import Fault, ParityError, UsageError, raise_faults
from isogloss.evaluation.measures import mean, score_run
from isogloss.indexing.exact import VectorTable, search
from isogloss.models.retriever import Retriever
from isogloss.records import EvalSet, Text

MEASURE = "nDCG@10"
REFUSED = (
    "Export it in a higher precision: without --int8, and for OpenVINO with --set precision=float32. Or, if the "
    "languages named can bear the difference, allow it: --set least_cosine=… or --set largest_change=…."
)
UNKNOWN_LANGUAGE = "unknown"


@dataclass(frozen=True)
class ParityLimits:
    """What a copy may differ from its original by, in every language.

    Attributes:
        least_cosine: Least cosine of any text's two vectors.
        largest_change: Most that nDCG@10 may change, up or down.
    """

    least_cosine: float = 0.9999
    largest_change: float = 0.002

    def __post_init__(self) -> None:
        faults = [
            Fault(name, f"{value}", "between 0 and 1")
            for name, value in asdict(self).items()
            if not 0 <= value <= 1  # also where it is not a number
        ]
        raise_faults(UsageError, "Limits of parity", faults)


@dataclass(frozen=True)
class LanguageParity:
    """One language of a comparison.

    Attributes:
        language: Its tag.
        texts: Queries and passages compared.
        least_cosine: Least cosine of a text's two vectors.
        mean_cosine: Their mean.
        queries: Queries with a relevant passage.
        before: nDCG@10 of the original over the passages of the language, None without such queries.
        after: nDCG@10 of the copy.
    """

    language: str
    texts: int
    least_cosine: float
    mean_cosine: float
    queries: int
    before: float | None
    after: float | None

    @property
    def change(self) -> float:
        """Change of nDCG@10; 0 where it is not measured."""
        return 0.0 if self.before is None or self.after is None else self.after - self.before


@dataclass(frozen=True)
class ParityReport:
    """What a comparison found.

    Attributes:
        data: Name of the set.
        limits: What was allowed.
        languages: One entry per language, sorted.
    """

    data: str
    limits: ParityLimits
    languages: Sequence[LanguageParity]

    @property
    def faults(self) -> list[Fault]:
        """Every language beyond a limit."""
        found = []
        for row in self.languages:
            if not row.least_cosine >= self.limits.least_cosine:
                allowed = f"at least {self.limits.least_cosine}"
                found.append(Fault(row.language, f"a text has cosine {row.least_cosine:.5f}", allowed))
            if not abs(row.change) <= self.limits.largest_change:
                allowed = f"at most {self.limits.largest_change}"
                found.append(Fault(row.language, f"{MEASURE} changes by {row.change:+.4f}", allowed))
        return found

    def require(self, subject: str) -> None:
        """Checks that every language is within the limits.

        Raises:
            ParityError: With all languages that are not.
        """
        raise_faults(ParityError, f"{subject} differs from its original on {self.data}", self.faults, REFUSED)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "data": self.data,
            "passed": not self.faults,
            "limits": asdict(self.limits),
            "languages": {row.language: {**_without_name(row), "change": row.change} for row in self.languages},
        }


def compare_retrievers(
    original: Retriever, copy: Retriever, eval_set: EvalSet, *, limits: ParityLimits | None = None
) -> ParityReport:
    """Compares the vectors of all texts of a set, and the results of its queries within their language.

    Args:
        original: The model as it was.
        copy: The model that shall stand for it.
        eval_set: Queries, passages and judgements with their languages.
        limits: What is allowed.
    """
    texts: tuple[Sequence[Text], Sequence[Text]] = (eval_set.queries, eval_set.passages)
    pairs = [(model.encode_query(texts[0]), model.encode_passage(texts[1])) for model in (original, copy)]
    cosines: dict[str, list[float]] = defaultdict(list)
    for role, of_role in enumerate(texts):
        products = np.einsum("ij,ij->i", pairs[0][role].astype(np.float64), pairs[1][role].astype(np.float64))
        for text, cosine in zip(of_role, products.tolist(), strict=True):
            cosines[text.language or UNKNOWN_LANGUAGE].append(cosine)
    before, after = (_scores_by_language(eval_set, *vectors) for vectors in pairs)
    rows = [
        LanguageParity(
            language,
            texts=len(found),
            least_cosine=float(np.min(found)),
            mean_cosine=mean(found),
            queries=len(before.get(language, ())),
            before=mean(before[language]) if language in before else None,
            after=mean(after[language]) if language in after else None,
        )
        for language, found in sorted(cosines.items())
    ]
    return ParityReport(eval_set.name, limits or ParityLimits(), rows)


def _scores_by_language(
    eval_set: EvalSet, queries: NDArray[np.float32], passages: NDArray[np.float32]
) -> dict[str, list[float]]:
    """nDCG@10 of each query, over the passages of its language where it has an answer there, else over all."""
    if not np.isfinite(queries).all() or not np.isfinite(passages).all():
        return {}
    places = {text.id: row for row, text in enumerate(eval_set.queries)}
    rows = {text.id: row for row, text in enumerate(eval_set.passages)}
    found = {}
    for language in eval_set.query_languages or (None,):
        part = _part(eval_set, language)
        table = VectorTable([text.id for text in part.passages], passages[[rows[text.id] for text in part.passages]])
        asked = [text.id for text in part.queries]
        run = search(queries[[places[id_] for id_ in asked]], asked, table, k=10)
        scores = score_run({id_: part.qrels[id_] for id_ in asked}, run, [MEASURE]).values[MEASURE]
        if scores:
            found[language or UNKNOWN_LANGUAGE] = list(scores.values())
    return found


def _part(eval_set: EvalSet, language: str | None) -> EvalSet:
    if language is None:
        return eval_set
    if language in eval_set.passage_languages:
        part = eval_set.pair(language, language)
        if part.queries:
            return part
    return eval_set.select(query_languages=[language])


def _without_name(row: LanguageParity) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name != "language"}
