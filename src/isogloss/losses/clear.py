"""CLEAR: English passages compete for a query, target-language queries compete for an English passage, both alike.

    F[i,(m,j)] = s · cos(q_i, p_j^m)        R[i,(m,j)] = s · cos(p_i^0, t_j^m)        candidate (m,j): column m·B + j
    L_fwd = −(1/B) Σ_i log softmax_c(F[i,:])[(0,i)]                L_rev likewise on R
    L_KL  = (1/B) Σ_i KL( softmax_c R[i,:] ‖ softmax_c F[i,:] )    through both of which gradient flows
    L     = (1 − α − β)·L_fwd + α·L_rev + β·L_KL     with KL       L = (1 − α)·L_fwd + α·L_rev     without

p^0 and t^0 are a row's passage and translated query, p^m and t^m (m ≥ 1) its negatives. In the KL candidate (m,j) of
one side meets candidate (m,j) of the other; where either side has none, neither counts there (ours).
Source: Lee et al. 2026 (2604.05821) and the authors' code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from isogloss.losses.masks import hidden_candidates
from isogloss.losses.scores import kl_divergence
from isogloss.losses.terms import Embeddings, at_least_float32, hidden_share, term

KlDirection = Literal["reverse_forward", "forward_reverse"]


def clear(
    query: Tensor,
    passage: Tensor,
    negative_passages: Tensor,
    translated_query: Tensor,
    negative_queries: Tensor,
    *,
    scale: float = 20.0,
    alpha: float = 0.4,
    beta: float = 0.2,
    kl: bool = True,
    kl_direction: KlDirection = "reverse_forward",
    passage_mask: Tensor | None = None,
    query_mask: Tensor | None = None,
) -> Tensor:
    """Scalar loss of rows (query, passage, n negative passages, translated query, n negative queries).

    Args:
        query: Shape (rows, dim), English.
        passage: Shape (rows, dim), English; row i answers query i.
        negative_passages: Shape (rows, n, dim).
        translated_query: Shape (rows, dim); query i in the target language.
        negative_queries: Shape (rows, n, dim): what passage i does not answer.
        scale: s.
        alpha: α, weight of the reverse loss.
        beta: β, weight of the KL, which `kl` switches; without it β counts nowhere.
        kl: See there.
        kl_direction: `reverse_forward` is KL(R ‖ F), `forward_reverse` the other way round.
        passage_mask: True hides a candidate of F: shape (rows, (n + 1) · rows) in the order above, or (rows, n) for
            places without a negative. A row's own passage is never hidden.
        query_mask: The same for R.

    Raises:
        ValueError: If shapes, counts of negatives, weights or the direction do not fit.
    """
    _check(query, passage, negative_passages, translated_query, negative_queries)
    _check_weights(alpha, beta if kl else 0.0, kl_direction, scale)
    n = negative_passages.shape[1]
    forward = _cosines(query, passage, negative_passages) * scale
    reverse = _cosines(passage, translated_query, negative_queries) * scale
    hidden_forward, hidden_reverse = _hidden(passage_mask, forward, n), _hidden(query_mask, reverse, n)
    own = torch.arange(len(query), device=forward.device)
    loss_forward = F.cross_entropy(forward.masked_fill(hidden_forward, -torch.inf), own)
    loss_reverse = F.cross_entropy(reverse.masked_fill(hidden_reverse, -torch.inf), own)
    if not kl:
        return (1 - alpha) * loss_forward + alpha * loss_reverse
    divergence = _divergence(forward, reverse, hidden_forward | hidden_reverse, kl_direction)
    return (1 - alpha - beta) * loss_forward + alpha * loss_reverse + beta * divergence


def _divergence(forward: Tensor, reverse: Tensor, hidden: Tensor, kl_direction: KlDirection) -> Tensor:
    """Mean KL between the distributions over the candidates that both directions have."""
    of_forward = forward.masked_fill(hidden, -torch.inf).log_softmax(dim=-1)
    of_reverse = reverse.masked_fill(hidden, -torch.inf).log_softmax(dim=-1)
    both = (of_reverse, of_forward) if kl_direction == "reverse_forward" else (of_forward, of_reverse)
    return kl_divergence(*both).mean()


def _cosines(anchors: Tensor, answers: Tensor, negatives: Tensor) -> Tensor:
    """Cosines of anchors with candidates in blocks: all answers, all first negatives, and so on."""
    candidates = torch.cat([answers[:, None], negatives.to(answers)], dim=1).transpose(0, 1).flatten(0, 1)
    return F.normalize(at_least_float32(anchors), dim=-1) @ F.normalize(at_least_float32(candidates), dim=-1).T


def _hidden(mask: Tensor | None, scores: Tensor, n: int) -> Tensor:
    """The mask in the shape and order of the scores, with the rows' own answers never hidden."""
    rows = len(scores)
    hidden = torch.zeros_like(scores, dtype=torch.bool)
    if mask is not None:
        if mask.dtype != torch.bool or mask.shape not in (scores.shape, (rows, n)):
            shapes = f"{tuple(scores.shape)} or {(rows, n)}"
            raise ValueError(f"mask is {mask.dtype} {tuple(mask.shape)}; it must be bool {shapes}")
        if mask.shape == scores.shape:
            hidden |= mask.to(scores.device)
        else:
            hidden[:, rows:] = mask.T.flatten().to(scores.device)
    hidden[:, :rows] &= ~torch.eye(rows, dtype=torch.bool, device=scores.device)
    return hidden


def _check(query: Tensor, passage: Tensor, passages: Tensor, translated: Tensor, queries: Tensor) -> None:
    if query.dim() != 2 or not query.shape == passage.shape == translated.shape:
        shapes = ", ".join(str(tuple(one.shape)) for one in (query, passage, translated))
        raise ValueError(f"query, passage and translated_query must have one shape (rows, dim); they have {shapes}")
    for name, negatives in (("negative_passages", passages), ("negative_queries", queries)):
        if negatives.dim() != 3 or negatives.shape[::2] != query.shape:
            wanted = f"(rows, n, dim) = ({len(query)}, n, {query.shape[1]})"
            raise ValueError(f"{name} {tuple(negatives.shape)} must have the shape {wanted}")
    if passages.shape[1] != queries.shape[1]:
        raise ValueError(f"{passages.shape[1]} negative_passages but {queries.shape[1]} negative_queries a row")


def _check_weights(alpha: float, beta: float, kl_direction: str, scale: float) -> None:
    if alpha < 0 or beta < 0 or alpha + beta > 1:
        raise ValueError(f"alpha {alpha} and beta {beta} must be 0 or more, and 1 or less together")
    if kl_direction not in get_args(KlDirection):
        raise ValueError(f"kl_direction '{kl_direction}' is unknown; allowed are {', '.join(get_args(KlDirection))}")
    if not scale > 0:
        raise ValueError(f"scale {scale} must be above 0")


@term(
    "clear",
    roles=("query", "passage", "translated_query"),
    optional_roles=("negative_passages", "negative_queries"),
)
@dataclass(frozen=True)
class Clear:
    """Term of `clear`; rows without a translated query are left out.

    Attributes:
        scale: s.
        alpha: α.
        beta: β.
        kl: Whether the KL is on.
        kl_direction: `reverse_forward` or `forward_reverse`.
        mask_duplicates: Hides candidates that are a row's answer once more.
        mask_false_negatives: Hides candidates that answer the same anchor in another row: several questions share a
            passage, and each of them is then no negative of the others.
    """

    scale: float = 20.0
    alpha: float = 0.4
    beta: float = 0.2
    kl: bool = True
    kl_direction: KlDirection = "reverse_forward"
    mask_duplicates: bool = True
    mask_false_negatives: bool = True

    def __post_init__(self) -> None:
        """Checks the weights, so that a recipe is refused before anything starts."""
        _check_weights(self.alpha, self.beta if self.kl else 0.0, self.kl_direction, self.scale)

    def negatives(self, rows: int, given: int) -> int:
        """Negatives of each row and direction."""
        return (given + 1) * rows - 1

    def __call__(self, e: Embeddings) -> Tensor:
        """Scalar loss of one step."""
        whole, e = e, e.complete("query", "passage", "translated_query")
        if not len(e.query):
            return whole.nothing()
        passages, queries = self._negatives(e)
        passage_mask, query_mask = self._masks(e)
        return clear(
            e.query,
            e.passage,
            passages,
            e.translated_query,
            queries,
            scale=self.scale,
            alpha=self.alpha,
            beta=self.beta,
            kl=self.kl,
            kl_direction=self.kl_direction,
            passage_mask=passage_mask,
            query_mask=query_mask,
        )

    def masked_share(self, e: Embeddings) -> float:
        """Share of the candidates of both directions that the masks hide."""
        e = e.complete("query", "passage", "translated_query")
        rows = len(e.query)
        own = torch.eye(rows, dtype=torch.bool, device=e.query.device)
        masks = [mask.clone() for mask in self._masks(e)]
        for mask in masks:
            mask[:, :rows] &= ~own
        return hidden_share(torch.stack(masks), 2 * rows * (masks[0].shape[1] - 1)) if rows else 0.0

    def _negatives(self, e: Embeddings) -> tuple[Tensor, Tensor]:
        """Negatives of both sides with one width; what is filled up is hidden by the masks."""
        width = _width(e)
        none = e.passage.new_zeros((len(e.passage), 0, e.passage.shape[1]))
        found = [e.vectors(role) if role in e else none for role in ("negative_passages", "negative_queries")]
        passages, queries = (F.pad(one, (0, 0, 0, width - one.shape[1])) for one in found)
        return passages, queries

    def _masks(self, e: Embeddings) -> tuple[Tensor, Tensor]:
        passage_ids = _blocks(e, "passage", "negative_passages")
        query_ids = _blocks(e, "translated_query", "negative_queries")
        rows = len(e.query)
        anchors = e.text_ids("query")
        options = {"duplicates": self.mask_duplicates, "false_negatives": self.mask_false_negatives}
        if anchors is None:
            anchors = torch.arange(rows, device=e.query.device)
        forward = hidden_candidates(anchors, passage_ids[:rows], passage_ids, **options)
        reverse = hidden_candidates(passage_ids[:rows], query_ids[:rows], query_ids, **options)
        return forward, reverse


def _width(e: Embeddings) -> int:
    return max((e.vectors(role).shape[1] for role in ("negative_passages", "negative_queries") if role in e), default=0)


def _blocks(e: Embeddings, answer: str, negatives: str) -> Tensor:
    """Text ids of the candidates in the order of the loss; made up, all different, where ids are unknown."""
    rows, width = len(e.query), _width(e)
    ids = torch.full((rows, width + 1), -1, dtype=torch.int64, device=e.query.device)
    known = e.text_ids(answer)
    ids[:, 0] = torch.arange(rows) if known is None else known
    if negatives in e:
        found = e.text_ids(negatives)
        n = e.vectors(negatives).shape[1]
        ids[:, 1 : n + 1] = rows + torch.arange(rows * n).reshape(rows, n) if found is None else found
    return ids.T.flatten()
