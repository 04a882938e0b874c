"""The log-likelihood of a query given a passage, f_qg, exact whatever else is in the batch.

    f_qg(q, p) = (1/|q|) Σ_t log P(q_t | q_<t, x(p, ℓ_q))              length_norm on
    f_qg(q, p) =         Σ_t log P(q_t | q_<t, x(p, ℓ_q))              length_norm off

A library's loss is a mean over all tokens of a batch and therefore never f_qg. |q| is the true number of tokens of each
query; the end-of-sequence token is one of them where `count_eos` is on. Source: QuiCK (2303.14991), equation 3; the
normalisation and the end token are ours, as named fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from isogloss.generation.generator import IGNORED_LABEL
from isogloss.training.texts import Ids, chunks_by_budget

if TYPE_CHECKING:
    from isogloss.generation.generator import QueryGenerator

MOST_TEXTS = 1024


@dataclass(frozen=True)
class Likelihood:
    """Log-likelihood of one query, with and without its end.

    Attributes:
        tokens: Sum over the query's own tokens, in nats.
        end: Log-probability of the end after them.
        count: Number of its own tokens.
    """

    tokens: float
    end: float
    count: int

    def score(self, *, length_norm: bool, count_eos: bool) -> float:
        """f_qg in nats: per token with `length_norm`, else of the whole query."""
        total = self.tokens + (self.end if count_eos else 0.0)
        return total / (self.count + int(count_eos)) if length_norm else total


def token_log_probabilities(
    generator: QueryGenerator, sources: Sequence[Sequence[int]], queries: Sequence[Sequence[int]]
) -> tuple[Tensor, Tensor]:
    """Log-probability of each token of each query, shape (rows, longest query), and the mask of true tokens.

    Differentiable; dropout is as the model's mode has it. Padding has 0.
    """
    source_ids, source_mask = generator.padded(sources)
    labels, mask = generator.padded(queries)
    logits = generator.model(
        input_ids=source_ids,
        attention_mask=source_mask,
        labels=labels.masked_fill(mask == 0, IGNORED_LABEL),
        use_cache=False,
    ).logits.float()
    # Cross-entropy of each place is −log P and never holds a second table of log-probabilities.
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)
    return -losses * mask, mask


def batches(sources: Sequence[Sequence[int]], queries: Sequence[Sequence[int]], budget: int) -> list[Ids]:
    """Places of pairs in batches of at most `budget` tokens, each pair counted as long as the longest of its batch.

    A pair that is longer than the budget is a batch by itself.
    """
    lengths = np.asarray(
        [len(source) + len(query) for source, query in zip(sources, queries, strict=True)], dtype=np.int64
    )
    return chunks_by_budget(lengths, budget=budget, size=MOST_TEXTS, padded=True)


def log_likelihoods(
    generator: QueryGenerator,
    sources: Sequence[str],
    queries: Sequence[str],
    *,
    batch_tokens: int = 8192,
    found: Callable[[Ids, list[Likelihood]], None] | None = None,
) -> list[Likelihood]:
    """Likelihoods of queries given rendered prompts, pair by pair, without dropout and without gradient.

    Args:
        generator: The generator.
        sources: Rendered prompts.
        queries: One query for each.
        batch_tokens: Most tokens of a forward pass, padding counted.
        found: Told of each finished batch: its places and its likelihoods.

    Raises:
        UsageError: If a query has no token.
    """
    source_ids, query_ids = generator.source_ids(sources), generator.query_ids(queries)
    results: list[Likelihood | None] = [None] * len(query_ids)
    was_training = generator.model.training
    generator.model.eval()
    try:
        for places in batches(source_ids, query_ids, batch_tokens):
            chosen = places.tolist()
            done = _of_batch(generator, [source_ids[place] for place in chosen], [query_ids[place] for place in chosen])
            for place, likelihood in zip(chosen, done, strict=True):
                results[place] = likelihood
            if found is not None:
                found(places, done)
    finally:
        generator.model.train(was_training)
    return [likelihood for likelihood in results if likelihood is not None]


@torch.no_grad()
def _of_batch(
    generator: QueryGenerator, sources: Sequence[Sequence[int]], queries: Sequence[Sequence[int]]
) -> list[Likelihood]:
    values, _ = token_log_probabilities(generator, sources, queries)
    listed = values.double().cpu().tolist()
    return [
        Likelihood(tokens=sum(row[: len(query) - 1]), end=row[len(query) - 1], count=len(query) - 1)
        for row, query in zip(listed, queries, strict=True)
    ]
