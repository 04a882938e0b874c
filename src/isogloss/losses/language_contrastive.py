"""Language contrast: both members of a translation pair should be equally near to any other sentence.

    ℓ(i,j,k) = −log[ e^{s_ik} / (e^{s_ik} + e^{s_jk}) ] − log[ e^{s_jk} / (e^{s_ik} + e^{s_jk}) ]
             = softplus(δ) + softplus(−δ),   δ = s_ik − s_jk        L = (1/(N·M)) Σ_{(i,j)} Σ_k ℓ(i,j,k)

with s = cos/τ. The softmax is over the two members of the pair, k fixed. The floor is 2 ln 2, not 0, and constant
embeddings reach it: this loss is for use beside `semantic_contrastive`. Source: Hu et al. 2023 (2210.06633) for the
idea; the form is ours, the simplest that fits it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from isogloss.losses.terms import Embeddings, at_least_float32, same_text, term

Reduction = Literal["mean", "sum", "half"]
Similarity = Literal["cosine", "dot"]
FLOOR = 2 * math.log(2)


def language_contrastive(
    source: Tensor,
    target: Tensor,
    nonparallel: Tensor,
    *,
    temperature: float = 1.0,
    reduction: Reduction = "mean",
    similarity: Similarity = "cosine",
    mask: Tensor | None = None,
) -> Tensor:
    """Scalar loss over all triples of a translation pair and another sentence.

    Args:
        source: Shape (pairs, dim).
        target: Shape (pairs, dim); row n translates row n of `source`.
        nonparallel: Shape (sentences, dim).
        temperature: τ, above 0. A small one saturates the gradient tanh(δ/2).
        reduction: `mean` over the triples, `sum`, or `half`, which is half the mean.
        similarity: `cosine` or `dot`.
        mask: True hides a triple, shape (pairs, sentences).

    Raises:
        ValueError: If shapes, options or the temperature do not fit.
    """
    _check(source, target, nonparallel, temperature, reduction, similarity, mask)
    vectors = [at_least_float32(one) for one in (source, target, nonparallel)]
    if similarity == "cosine":
        vectors = [F.normalize(one, dim=-1) for one in vectors]
    pair_source, pair_target, others = vectors
    delta = (pair_source @ others.T - pair_target @ others.T) / temperature
    triples = F.softplus(delta) + F.softplus(-delta)
    if mask is not None:
        triples = triples[~mask]
    if reduction == "sum" or not triples.numel():
        return triples.sum()
    return triples.mean() / (2 if reduction == "half" else 1)


def _check(
    source: Tensor,
    target: Tensor,
    nonparallel: Tensor,
    temperature: float,
    reduction: str,
    similarity: str,
    mask: Tensor | None,
) -> None:
    if source.dim() != 2 or source.shape != target.shape:
        raise ValueError(
            f"source {tuple(source.shape)} and target {tuple(target.shape)} must have one shape (pairs, dim)"
        )
    if nonparallel.dim() != 2 or nonparallel.shape[1] != source.shape[1]:
        raise ValueError(f"nonparallel {tuple(nonparallel.shape)} must have the shape (sentences, {source.shape[1]})")
    if not temperature > 0:
        raise ValueError(f"temperature {temperature} must be above 0")
    if reduction not in get_args(Reduction):
        raise ValueError(f"reduction '{reduction}' is unknown; allowed are {', '.join(get_args(Reduction))}")
    if similarity not in get_args(Similarity):
        raise ValueError(f"similarity '{similarity}' is unknown; allowed are {', '.join(get_args(Similarity))}")
    triples = (len(source), len(nonparallel))
    if mask is not None and (mask.shape != triples or mask.dtype != torch.bool):
        raise ValueError(f"mask is {mask.dtype} {tuple(mask.shape)}; it must be bool {triples}")


@term("language_contrastive", roles=("parallel_source", "parallel_target", "nonparallel_sentence"))
@dataclass(frozen=True)
class LanguageContrastive:
    """Term of `language_contrastive`; a sentence that is a member of a pair does not meet that pair.

    Attributes:
        temperature: τ.
        reduction: `mean`, `sum` or `half`.
        similarity: `cosine` or `dot`.
        lang_grad: `all` moves pairs and sentences, `k_only` the sentences alone.
        force: Allows it without `semantic_contrastive`, where it may collapse.
    """

    needs_beside: ClassVar[str] = "semantic_contrastive"

    temperature: float = 1.0
    reduction: Reduction = "mean"
    similarity: Similarity = "cosine"
    lang_grad: Literal["all", "k_only"] = "all"
    force: bool = False

    def __call__(self, e: Embeddings) -> Tensor:
        """Scalar loss of one step."""
        source, target = e.parallel_source, e.parallel_target
        if self.lang_grad == "k_only":
            source, target = source.detach(), target.detach()
        return language_contrastive(
            source,
            target,
            e.nonparallel_sentence,
            temperature=self.temperature,
            reduction=self.reduction,
            similarity=self.similarity,
            mask=self.mask(e),
        )

    def mask(self, e: Embeddings) -> Tensor | None:
        """Triples whose sentence is in its pair, shape (pairs, sentences), or None where the ids are unknown."""
        ids = [e.text_ids(role) for role in ("parallel_source", "parallel_target", "nonparallel_sentence")]
        source, target, sentences = ids
        if source is None or target is None or sentences is None:
            return None
        return same_text(source, sentences) | same_text(target, sentences) | (sentences < 0)[None, :]

    def measurements(self, e: Embeddings) -> Mapping[str, float]:
        """How far the mean over the triples is above its floor: the loss itself never comes near 0."""
        mean = language_contrastive(
            e.parallel_source.detach(),
            e.parallel_target.detach(),
            e.nonparallel_sentence.detach(),
            temperature=self.temperature,
            similarity=self.similarity,
            mask=self.mask(e),
        )
        return {"excess": max(float(mean) - FLOOR, 0.0)}
