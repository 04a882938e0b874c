"""A tower in float64 with dropout, and batches of made-up texts: what the step is compared on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isogloss.engines.torch_tower import Tokens
from isogloss.losses import EmbeddingMatch, InfoNCE, SemanticContrastive, Triplet
from isogloss.training.encoders import ComputedVectors
from isogloss.training.objective import BoundTerm, Objective
from isogloss.training.sources import Drawn
from isogloss.training.sources.base import ENCODED_AS, ragged
from isogloss.training.step import Batch
from isogloss.training.texts import TextTable

DIMENSION = 6


class DoubleTower(nn.Module):
    """Characters, embedded, dropped out, mixed and averaged, all in float64."""

    def __init__(self, *, dropout: float = 0.3, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.table = nn.Embedding(64, DIMENSION).double()
            self.mix = nn.Linear(DIMENSION, DIMENSION).double()
        self.dropout = nn.Dropout(dropout)
        self.dimension = DIMENSION

    @property
    def device(self) -> torch.device:
        return self.mix.weight.device

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        ids = [[1 + ord(letter) % 63 for letter in text] for text in texts]
        return Tokens({"input_ids": ids}, [len(row) for row in ids], [False] * len(ids))

    def collate(self, tokens: Tokens, rows: Sequence[int]) -> dict[str, Tensor]:
        ids = [tokens.columns["input_ids"][row] for row in rows]
        width = max(map(len, ids))
        return {"input_ids": torch.tensor([row + [0] * (width - len(row)) for row in ids])}

    def features(self, texts: Sequence[str]) -> dict[str, Tensor]:
        return self.collate(self.tokenize(texts), range(len(texts)))

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        ids = features["input_ids"]
        there = (ids > 0).unsqueeze(-1).double()
        hidden = torch.tanh(self.mix(self.dropout(self.table(ids)))) * there
        return F.normalize(hidden.sum(1) / there.sum(1), dim=-1)


def made_up_batch(rows: int = 7) -> tuple[TextTable, Batch]:
    """Rows and translation pairs whose texts have many lengths, with duplicates and ragged negatives."""
    texts = TextTable()
    add = texts.add
    queries = [add(f"query {'long ' * (row % 3)}{row % (rows - 1)}") for row in range(rows)]
    passages = [add(f"passage {'longer ' * (row % 4)}{row % (rows - 2)}") for row in range(rows)]
    negatives = [[add(f"negative {row} {place}") for place in range(1 + row % 3)] for row in range(rows)]
    sources = [add(f"source {'s' * row}") for row in range(rows)]
    targets = [add(f"ziel {'z' * (row % 5)}{row}") for row in range(rows)]
    groups = np.zeros(rows, dtype=np.int64)
    given = {"query": np.array(queries), "passage": np.array(passages), "negative_passages": ragged(negatives, 3)}
    parallel = {"parallel_source": np.array(sources), "parallel_target": np.array(targets)}
    drawn = {"rows": Drawn(given, groups), "parallel": Drawn(parallel, groups)}
    roles = {name: {role: ENCODED_AS[role] for role in one.columns} for name, one in drawn.items()}
    return texts, Batch(drawn, roles)


def teacher(texts: TextTable) -> ComputedVectors:
    """A teacher of random vectors."""
    vectors = np.random.default_rng(5).normal(size=(len(texts), DIMENSION)).astype(np.float32)
    return ComputedVectors(lambda numbers: vectors[numbers])


def every_objective() -> dict[str, Objective]:
    """Each loss alone in its options, and all of them together."""
    rows, parallel = ("rows",), ("parallel",)
    terms = {
        "triplet": BoundTerm("triplet", Triplet(margin=0.6), rows),
        "semantic_cross": BoundTerm("semantic_cross", SemanticContrastive(temperature=0.2), parallel),
        "semantic_all": BoundTerm("semantic_all", SemanticContrastive(temperature=0.2, denominator="all"), parallel),
        "match_cosine": BoundTerm("match_cosine", EmbeddingMatch(), parallel),
        "match_mse": BoundTerm("match_mse", EmbeddingMatch(distance="mse"), parallel, weight=3.0),
    }
    for mode in ("in_batch", "in_batch_own", "in_batch_all", "own_only"):
        terms[f"infonce_{mode}"] = BoundTerm(f"infonce_{mode}", InfoNCE(temperature=0.2, mode=mode), rows)
    alone = {name: Objective([term]) for name, term in terms.items()}
    return {**alone, "all_together": Objective(list(terms.values()))}
