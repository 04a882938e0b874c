"""InfoNCE over queries and passages: a query should find its passage among the candidates of its row.

    L = −(1/B) Σ_i log [ exp(s(q_i, p_i)/τ) / Σ_{c ∈ C_i} exp(s(q_i, c)/τ) ]          C_i = {p_i} ∪ N_i

    mode          N_i
    in_batch      passages of the other rows
    in_batch_own  … and the row's own negative passages
    in_batch_all  … and everyone's negative passages
    own_only      the row's own negative passages alone

Sources: van den Oord et al. 2018 (1807.03748) for the form; english-query-tuning (2407.00923) and retrofit (2510.14274)
for its use here. The modes and masks are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from isogloss.losses.blockwise import diagonal_cross_entropy
from isogloss.losses.masks import hidden_candidates
from isogloss.losses.terms import Embeddings, at_least_float32, term

Mode = Literal["in_batch", "in_batch_own", "in_batch_all", "own_only"]
Similarity = Literal["dot", "cosine"]


def infonce(
    queries: Tensor,
    passages: Tensor,
    negatives: Tensor | None = None,
    *,
    temperature: float,
    mode: Mode = "in_batch_all",
    mask: Tensor | None = None,
    similarity: Similarity = "dot",
) -> Tensor:
    """Scalar loss of rows (query, passage, n negative passages).

    Args:
        queries: Shape (rows, dim).
        passages: Shape (rows, dim); row i answers query i.
        negatives: Shape (rows, n, dim), or None.
        temperature: τ, above 0.
        mode: Which candidates are a row's negatives, see above.
        mask: True hides a candidate. Shape (rows, rows + rows · n), the columns being all passages and then
            all negatives row by row; or shape (rows, n), True where a row has no such negative. The positive is never
            hidden.
        similarity: `dot` for unit vectors (the towers give them), `cosine` normalises first.

    Raises:
        ValueError: If shapes, mode, similarity or temperature do not fit.
    """
    _check(queries, passages, negatives, temperature, mode, similarity)
    queries, passages = at_least_float32(queries), at_least_float32(passages)
    candidates = passages if negatives is None else torch.cat([passages, at_least_float32(negatives).flatten(0, 1)])
    if similarity == "cosine":
        queries, candidates = F.normalize(queries, dim=-1), F.normalize(candidates, dim=-1)
    rows, n = len(queries), 0 if negatives is None else negatives.shape[1]
    hidden = candidate_mask(rows, n, mode, mask, device=queries.device)
    return diagonal_cross_entropy(queries, candidates, hidden, temperature=temperature)


def candidate_mask(rows: int, n: int, mode: Mode, mask: Tensor | None, *, device: torch.device | None = None) -> Tensor:
    """Hidden candidates of each row, shape (rows, rows + rows · n): by mode and by `mask`, never the positive."""
    hidden = torch.zeros((rows, rows + rows * n), dtype=torch.bool, device=device)
    if mode == "own_only":
        hidden[:, :rows] = True
    if mode == "in_batch":
        hidden[:, rows:] = True
    elif mode != "in_batch_all":
        hidden[:, rows:] = True
        hidden.scatter_(1, _own_columns(rows, n, device), False)
    if mask is not None:
        hidden |= _full_mask(mask.to(hidden.device), rows, n)
    hidden[:, :rows].fill_diagonal_(False)
    return hidden


def _own_columns(rows: int, n: int, device: torch.device | None) -> Tensor:
    """Where a row's own negatives stand among its candidates, shape (rows, n)."""
    return rows + torch.arange(rows * n, device=device).reshape(rows, n)


def _full_mask(mask: Tensor, rows: int, n: int) -> Tensor:
    if mask.dtype != torch.bool:
        raise ValueError(f"mask has the type {mask.dtype}; it must be bool, True hiding a candidate")
    if mask.shape == (rows, rows + rows * n):
        return mask
    if mask.shape != (rows, n):
        raise ValueError(
            f"mask has the shape {tuple(mask.shape)}; allowed are {(rows, rows + rows * n)} and {(rows, n)}"
        )
    nothing = torch.zeros((rows, rows), dtype=torch.bool, device=mask.device)
    return torch.cat([nothing, mask.reshape(1, -1).expand(rows, -1)], dim=1)


def _check(
    queries: Tensor, passages: Tensor, negatives: Tensor | None, temperature: float, mode: str, similarity: str
) -> None:
    if queries.dim() != 2 or queries.shape != passages.shape:
        raise ValueError(
            f"queries {tuple(queries.shape)} and passages {tuple(passages.shape)} must have one shape (rows, dim)"
        )
    if negatives is not None and (negatives.dim() != 3 or negatives.shape[::2] != queries.shape):
        raise ValueError(
            f"negatives {tuple(negatives.shape)} must have the shape (rows, n, dim) = {tuple(queries.shape)}"
        )
    if mode not in get_args(Mode):
        raise ValueError(f"mode '{mode}' is unknown; allowed are {', '.join(get_args(Mode))}")
    if similarity not in get_args(Similarity):
        raise ValueError(f"similarity '{similarity}' is unknown; allowed are {', '.join(get_args(Similarity))}")
    if not temperature > 0:
        raise ValueError(f"temperature {temperature} must be above 0")
    if mode == "own_only" and negatives is None:
        raise ValueError("mode 'own_only' needs negatives")


@term("infonce", roles=("query", "passage"), optional_roles=("negative_passages",))
@dataclass(frozen=True)
class InfoNCE:
    """Term of `infonce`.

    Attributes:
        temperature: τ.
        mode: Which candidates are a row's negatives.
        mask_duplicates: Hides candidates that are the positive once more.
        mask_false_negatives: Hides candidates that another row of the batch labels as an answer to the same query.
        reverse_weight: Weight of the same loss from passages to queries (in the batch), 0 for none.
        similarity: `dot` or `cosine`.
    """

    temperature: float = 0.05
    mode: Mode = "in_batch_all"
    mask_duplicates: bool = True
    mask_false_negatives: bool = True
    reverse_weight: float = 0.0
    similarity: Similarity = "dot"

    @property
    def chosen_roles(self) -> tuple[str, ...]:
        """Roles that its sources must have with these options."""
        return ("query", "passage", "negative_passages") if self.mode == "own_only" else ("query", "passage")

    @property
    def chosen_optional_roles(self) -> tuple[str, ...]:
        """Roles that it uses with these options where rows have them."""
        return () if self.mode == "in_batch" else ("negative_passages",)

    def __call__(self, e: Embeddings) -> Tensor:
        """Scalar loss of one step."""
        negatives = e.negative_passages if "negative_passages" in e and self.mode != "in_batch" else None
        mask = self.mask(e, with_negatives=negatives is not None)
        options = {"temperature": self.temperature, "similarity": self.similarity}
        loss = infonce(e.query, e.passage, negatives, mode=self.mode, mask=mask, **options)  # type: ignore[arg-type]
        if self.reverse_weight:
            rows = len(e.query)
            reverse = None if mask is None else mask[:, :rows].T
            back = infonce(e.passage, e.query, mode="in_batch", mask=reverse, **options)  # type: ignore[arg-type]
            loss = loss + self.reverse_weight * back
        return loss

    def mask(self, e: Embeddings, *, with_negatives: bool) -> Tensor | None:
        """Candidates to hide, shape (rows, candidates), or None where the texts' ids are unknown."""
        query_ids, passage_ids = e.text_ids("query"), e.text_ids("passage")
        if query_ids is None or passage_ids is None:
            return None
        negative_ids = e.text_ids("negative_passages") if with_negatives else None
        flat_negatives = passage_ids[:0] if negative_ids is None else negative_ids.flatten()
        return hidden_candidates(
            query_ids,
            passage_ids,
            torch.cat([passage_ids, flat_negatives]),
            duplicates=self.mask_duplicates,
            false_negatives=self.mask_false_negatives,
        )

    def negatives(self, rows: int, given: int) -> int:
        """Negatives of each row of a batch of `rows` with `given` negative passages a row."""
        others = 0 if self.mode == "own_only" else rows - 1
        return others + {"in_batch": 0, "in_batch_all": rows * given}.get(self.mode, given)

    def masked_share(self, e: Embeddings) -> float:
        """Share of the candidates of this step's rows that duplicate, false-negative and padding masks hide."""
        with_negatives = "negative_passages" in e and self.mode != "in_batch"
        mask = self.mask(e, with_negatives=with_negatives)
        if mask is None:
            return 0.0
        rows = len(e.query)
        n = e.negative_passages.shape[1] if with_negatives else 0
        candidates = rows * self.negatives(rows, n)
        return self._hidden(mask, rows, n) / candidates if candidates else 0.0

    def _hidden(self, mask: Tensor, rows: int, n: int) -> int:
        """How many of the mode's candidates a mask hides, the positive of each row left out."""
        # `sum` would hold the mask in eight bytes a place.
        others = torch.count_nonzero(mask[:, :rows]) - torch.count_nonzero(mask.diagonal())
        if self.mode == "in_batch":
            return int(others)
        if self.mode == "in_batch_all":
            return int(others + torch.count_nonzero(mask[:, rows:]))
        own = torch.count_nonzero(mask.gather(1, _own_columns(rows, n, mask.device)))
        return int(own if self.mode == "own_only" else others + own)
