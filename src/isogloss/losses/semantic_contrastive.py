"""Semantic contrast: the two members of a translation pair find each other among the other sentences.

    L = −(1/2N) Σ_n [ log( e^{s(i_n,j_n)} / Σ_m e^{s(i_n,j_m)} ) + log( e^{s(i_n,j_n)} / Σ_m e^{s(i_m,j_n)} ) ]

with s = cos/τ. `cross` takes the candidates from the other side, as above; `all` sets each of the 2N sentences against
the other 2N − 1.
Source: Hu et al. 2023 (2210.06633); its denominator is not known, both forms are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from isogloss.losses.terms import Embeddings, at_least_float32, hidden_share, same_text, term

Denominator = Literal["cross", "all"]


def semantic_contrastive(
    source: Tensor,
    target: Tensor,
    *,
    temperature: float,
    denominator: Denominator = "cross",
    mask: Tensor | None = None,
) -> Tensor:
    """Scalar loss of translation pairs.

    Args:
        source: Shape (pairs, dim).
        target: Shape (pairs, dim); row n translates row n of `source`.
        temperature: τ, above 0.
        denominator: `cross` or `all`, see above.
        mask: Shape (pairs, pairs); True at (n, m) hides the sentences of pair m from those of pair n and the reverse.

    Raises:
        ValueError: If shapes, denominator or temperature do not fit.
    """
    if source.dim() != 2 or source.shape != target.shape:
        raise ValueError(
            f"source {tuple(source.shape)} and target {tuple(target.shape)} must have one shape (pairs, dim)"
        )
    if denominator not in get_args(Denominator):
        raise ValueError(f"denominator '{denominator}' is unknown; allowed are {', '.join(get_args(Denominator))}")
    if not temperature > 0:
        raise ValueError(f"temperature {temperature} must be above 0")
    pairs = len(source)
    own = torch.eye(pairs, dtype=torch.bool, device=source.device)
    hidden = _symmetric(mask, pairs).to(source.device) & ~own if mask is not None else torch.zeros_like(own)
    source, target = F.normalize(at_least_float32(source), dim=-1), F.normalize(at_least_float32(target), dim=-1)
    answer = torch.arange(pairs, device=source.device)
    if denominator == "cross":
        logits = (source @ target.T / temperature).masked_fill(hidden, -torch.inf)
        return (F.cross_entropy(logits, answer) + F.cross_entropy(logits.T, answer)) / 2
    sentences = torch.cat([source, target])
    within = hidden | own
    hidden_all = torch.cat([torch.cat([within, hidden], dim=1), torch.cat([hidden, within], dim=1)])
    logits = (sentences @ sentences.T / temperature).masked_fill(hidden_all, -torch.inf)
    return F.cross_entropy(logits, torch.cat([answer + pairs, answer]))


def _symmetric(mask: Tensor, pairs: int) -> Tensor:
    if mask.dtype != torch.bool or mask.shape != (pairs, pairs):
        raise ValueError(f"mask is {mask.dtype} {tuple(mask.shape)}; it must be bool {(pairs, pairs)}")
    return mask | mask.T


@term("semantic_contrastive", roles=("parallel_source", "parallel_target"))
@dataclass(frozen=True)
class SemanticContrastive:
    """Term of `semantic_contrastive`.

    Attributes:
        temperature: τ.
        denominator: `cross` or `all`.
        mask_duplicates: Hides pairs from each other that share a sentence: lexicons repeat their words.
    """

    temperature: float = 0.05
    denominator: Denominator = "cross"
    mask_duplicates: bool = True

    def __call__(self, e: Embeddings) -> Tensor:
        """Scalar loss of one step."""
        return semantic_contrastive(
            e.parallel_source,
            e.parallel_target,
            temperature=self.temperature,
            denominator=self.denominator,
            mask=self.mask(e),
        )

    def mask(self, e: Embeddings) -> Tensor | None:
        """Pairs that share a sentence, shape (pairs, pairs), or None where the texts' ids are unknown."""
        source_ids, target_ids = e.text_ids("parallel_source"), e.text_ids("parallel_target")
        if not self.mask_duplicates or source_ids is None or target_ids is None:
            return None
        return (
            same_text(source_ids, source_ids)
            | same_text(target_ids, target_ids)
            | same_text(source_ids, target_ids)
            | same_text(target_ids, source_ids)
        )

    def negatives(self, rows: int, given: int) -> int:
        """Negatives of each sentence in a batch of `rows` pairs."""
        return rows - 1 if self.denominator == "cross" else 2 * (rows - 1)

    def masked_share(self, e: Embeddings) -> float:
        """Share of the other pairs that the mask hides."""
        mask = self.mask(e)
        pairs = len(e.parallel_source)
        if mask is None:
            return 0.0
        return hidden_share(mask & ~torch.eye(pairs, dtype=torch.bool, device=mask.device), pairs * (pairs - 1))
