"""One step of a generator's training: the generation loss, or the ranking loss with a share of it.

    L_gen  = −(1/|q|) Σ_t log P(q_t | q_<t, x(p⁺, ℓ))                         mean over rows
    L_rank = −log [ exp f_qg(q, p⁺) / Σ_{p ∈ D_q} exp f_qg(q, p) ]            mean over rows, plus λ · L_gen

D_q is the passage and the row's negative passages. Source: QuiCK (2303.14991), equations 2 and 3; the use of the
ranking stage and λ are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from isogloss.generation.generator import QueryGenerator
from isogloss.generation.likelihood import MOST_TEXTS, token_log_probabilities
from isogloss.generation.rows import language_of
from isogloss.generation.settings import GeneratorTrainSettings
from isogloss.records import Row
from isogloss.training.objective import Evaluated
from isogloss.training.step import Batch
from isogloss.training.texts import Ids, chunks_by_budget

SOURCE = "rows"


def ranking_loss(scores: Tensor) -> Tensor:
    """L_rank of each row from f_qg of its candidates, shape (rows, candidates), the passage first; −∞ hides one.

    Examples:
        >>> round(float(ranking_loss(torch.tensor([[-0.2, -0.9, -1.4]], dtype=torch.float64))), 6)
        0.586552
    """
    return torch.logsumexp(scores, dim=-1) - scores[..., 0]


@dataclass(frozen=True)
class TokenRow:
    """A row in tokens: the query, and the prompt of each candidate passage, the positive first."""

    query: list[int]
    sources: list[list[int]]

    @property
    def tokens(self) -> int:
        """Tokens of all candidates with the query after each, as long as the longest."""
        return len(self.sources) * (max(map(len, self.sources)) + len(self.query))


def token_rows(generator: QueryGenerator, rows: Sequence[Row], negatives: int) -> list[TokenRow]:
    """Rows in tokens, with at most so many negative passages each."""
    sources: list[str] = []
    counts = []
    for row in rows:
        language = language_of(row)
        sources.append(generator.prompt.render(row.passage, language, title=row.title))
        chosen = row.negative_passages[:negatives]
        sources += [generator.prompt.render(passage, language) for passage in chosen]
        counts.append(1 + len(chosen))
    ids = iter(generator.source_ids(sources))
    queries = generator.query_ids([row.query for row in rows])
    return [TokenRow(query, [next(ids) for _ in range(count)]) for query, count in zip(queries, counts, strict=True)]


class GenerationStep:
    """Value and gradients for the rows of a batch, in mini-batches whose sizes change neither.

    Args:
        generator: The generator that is trained.
        rows: All training rows.
        settings: The recipe's `train`.
        autocast: Makes the context of each forward pass.
    """

    gradient_divisor = 1.0

    def __init__(
        self,
        generator: QueryGenerator,
        rows: Sequence[TokenRow],
        settings: GeneratorTrainSettings,
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._generator = generator
        self._rows = rows
        self._settings = settings
        self._autocast = autocast

    def __call__(self, batch: Batch, *, measure: bool = False) -> Evaluated:
        """Adds the gradients of a batch to the parameters."""
        numbers = batch.drawn[SOURCE].columns["row"].tolist()
        return self._run([self._rows[number] for number in numbers], backward=True)

    @torch.no_grad()
    def value(self, rows: Sequence[TokenRow]) -> float:
        """Loss over rows, without gradients and without dropout."""
        was_training = self._generator.model.training
        self._generator.model.eval()
        try:
            return float(self._run(rows, backward=False).loss)
        finally:
            self._generator.model.train(was_training)

    def _run(self, rows: Sequence[TokenRow], *, backward: bool) -> Evaluated:
        sums: dict[str, Tensor] = {}
        for places in self._chunks(rows):
            chunk = [rows[place] for place in places.tolist()]
            with self._autocast():
                terms = self._terms(chunk)
            # Each chunk weighs by its rows, so that the ragged last one changes neither value nor gradient.
            shares = {name: values.sum() / len(rows) for name, values in terms.items()}
            if backward:
                self._weighted(shares).backward()  # type: ignore[no-untyped-call]
            for name, share in shares.items():
                sums[name] = sums.get(name, share.new_zeros(())) + share.detach()
        return Evaluated(self._weighted(sums), sums)

    def _weighted(self, terms: dict[str, Tensor]) -> Tensor:
        if self._settings.stage == "generation":
            return terms["generation"]
        extra = self._settings.generation_weight * terms["generation"] if "generation" in terms else 0.0
        return terms["ranking"] + extra

    def _terms(self, rows: Sequence[TokenRow]) -> dict[str, Tensor]:
        """Losses of each row: shape (rows,)."""
        ranking = self._settings.stage == "ranking"
        counts = [len(row.sources) if ranking else 1 for row in rows]
        sources = [source for row, count in zip(rows, counts, strict=True) for source in row.sources[:count]]
        queries = [row.query for row, count in zip(rows, counts, strict=True) for _ in range(count)]
        values, mask = token_log_probabilities(self._generator, sources, queries)
        # The end is always learnt, or the generator never stops; whether it counts in f_qg is a choice.
        generation = -(values.sum(-1) / mask.sum(-1))
        if not ranking:
            return {"generation": generation}
        counted = mask if self._generator.count_eos else mask * (mask.cumsum(-1) < mask.sum(-1, keepdim=True))
        flat = (values * counted).sum(-1) / counted.sum(-1)
        taken = (torch.arange(max(counts))[None, :] < torch.tensor(counts)[:, None]).to(flat.device)
        scores = flat.new_full(taken.shape, -torch.inf).masked_scatter(taken, flat)
        terms = {"ranking": ranking_loss(scores)}
        if self._settings.generation_weight > 0:
            terms["generation"] = generation[torch.cumsum(taken.sum(-1), 0) - taken.sum(-1)]
        return terms

    def _chunks(self, rows: Sequence[TokenRow]) -> list[Ids]:
        ranking = self._settings.stage == "ranking"
        sizes = [row.tokens if ranking else len(row.sources[0]) + len(row.query) for row in rows]
        budget = self._settings.mini_batch_tokens
        return chunks_by_budget(np.asarray(sizes, dtype=np.int64), budget=budget, size=MOST_TEXTS, padded=True)
