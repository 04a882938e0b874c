"""Round trips: a query stays only if a searcher finds its passage again.

The retriever must rank the passage among its k best of the whole pool. The generator, a second searcher, must give the
passage the best f_qg among the row's candidates; its softmax there is the weight w(q′) = T(p⁺|q′). Source: QuiCK
(2303.14991), scheduled sampling by quality; its form is ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from isogloss.errors import UsageError
from isogloss.generation.filters import Candidate, Tally
from isogloss.indexing.exact import VectorTable, search
from isogloss.records import Row, Text

if TYPE_CHECKING:
    from isogloss.generation.scoring import Scorer
    from isogloss.models.retriever import Retriever

ROUND_TRIP = "round trip"
TEACHER_ROUND_TRIP = "teacher round trip"


def found_again(
    candidates: Sequence[Candidate],
    passages: Sequence[Text],
    retriever: Retriever,
    *,
    k: int,
    tally: Tally,
    progress: bool = False,
) -> list[Candidate]:
    """The candidates whose passage the retriever has among its k best; the rank is noted.

    Args:
        candidates: The queries.
        passages: The pool that is searched, ids unique; it holds every candidate's passage.
        retriever: The searcher.
        k: Ranks that count.
        tally: Where drops are counted.
        progress: Whether bars are shown.
    """
    if not candidates:
        return []
    table = VectorTable([passage.id for passage in passages], retriever.encode_passage(passages, progress=progress))
    texts = [Text(str(place), candidate.text, candidate.task.language) for place, candidate in enumerate(candidates)]
    run = search(retriever.encode_query(texts, progress=progress), [text.id for text in texts], table, k=k)
    kept = []
    for place, candidate in enumerate(candidates):
        ranking = list(run[str(place)])
        if candidate.task.passage.id in ranking:
            kept.append(candidate.noting(round_trip_rank=1 + ranking.index(candidate.task.passage.id)))
        else:
            tally.drop(candidate.task.language, ROUND_TRIP)
    return kept


def teacher_distribution(scores: Sequence[float], temperature: float = 1.0) -> list[float]:
    """T(p|q): softmax over candidates of f_qg / τ_T.

    Examples:
        >>> [round(value, 6) for value in teacher_distribution([-1.0, -2.0, -3.0])]
        [0.665241, 0.244728, 0.090031]
    """
    highest = max(scores)
    weights = [math.exp((score - highest) / temperature) for score in scores]
    return [weight / sum(weights) for weight in weights]


def judged_by_teacher(
    candidates: Sequence[Candidate],
    rows: Mapping[str, Row],
    scorer: Scorer,
    *,
    weigh: bool,
    must_be_first: bool,
    tally: Tally,
    progress: bool = False,
) -> list[Candidate]:
    """The candidates with f_qg noted, weighted by T(p⁺|q′), those that rank another passage first left out.

    Args:
        candidates: The queries.
        rows: Passage id to a row with its negative passages.
        scorer: Scores pairs, or finds them in its cache.
        weigh: Whether T(p⁺|q′) becomes the weight.
        must_be_first: Whether the passage must have the best score.
        tally: Where drops are counted.
        progress: Whether a bar is shown.

    Raises:
        UsageError: If a passage has no negatives to be compared with.
    """
    needs_negatives = weigh or must_be_first
    pairs = []
    for candidate in candidates:
        row = rows[candidate.task.passage.id]
        if needs_negatives and not row.negative_passages:
            raise UsageError(
                f"weight: teacher and teacher_round_trip compare passages, and row {row.row_id} has no negatives",
                next_step="Mine them (isogloss mine), or switch both off.",
            )
        found = scorer.candidates(candidate.text, candidate.task.language, row)
        pairs.append(found if needs_negatives else found[:1])
    scores = scorer.scores([pair for found in pairs for pair in found], show=progress)
    kept = []
    for candidate, found in zip(candidates, pairs, strict=True):
        values = [scores[pair] for pair in found]
        if must_be_first and values[0] <= max(values[1:]):
            tally.drop(candidate.task.language, TEACHER_ROUND_TRIP)
            continue
        noted = candidate.noting(f_qg=round(values[0], 6))
        weight = teacher_distribution(values)[0] if weigh else candidate.weight
        kept.append(Candidate(noted.task, noted.text, weight, noted.provenance))
    return kept
