"""A tower in float64 with dropout, and batches of made-up texts: what the step is compared on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isogloss.engines.torch_tower import Tokens
from isogloss.losses import TERMS, required_roles
from isogloss.training.encoders import ComputedVectors
from isogloss.training.objective import BoundTerm, Objective
from isogloss.training.sources import Drawn
from isogloss.training.sources.base import ENCODED_AS, Numbers, ragged, ragged_values
from isogloss.training.step import Batch
from isogloss.training.texts import MISSING, Ids, TextTable

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
    given |= _other_roles(add, rows)
    parallel = {"parallel_source": np.array(sources), "parallel_target": np.array(targets)}
    sentences = [add(f"sentence {'k' * (3 * row)}") for row in range(rows - 1)] + [targets[0]]
    drawn = {
        "rows": Drawn(given, groups, _values(negatives)),
        "parallel": Drawn(parallel, groups),
        "sentences": Drawn({"nonparallel_sentence": np.array(sentences)}, groups),
    }
    roles = {name: {role: ENCODED_AS[role] for role in one.columns} for name, one in drawn.items()}
    return texts, Batch(drawn, roles)


def _other_roles(add: Callable[[str], int], rows: int) -> dict[str, Ids]:
    """Translated, generated and negative queries; some rows lack them, or have fewer."""
    translated = [add(f"frage {'lang ' * (row % 4)}{row}") if row != 2 else MISSING for row in range(rows)]
    generated = [add(f"swali {'refu ' * (row % 3)}{row}") if row != 4 else MISSING for row in range(rows)]
    queries = [[add(f"gegenfrage {row} {'x' * place}") for place in range((row + 1) % 3)] for row in range(rows)]
    return {
        "translated_query": np.array(translated),
        "generated_query": np.array(generated),
        "negative_queries": ragged(queries, 2),
    }


def _values(negatives: Sequence[Sequence[int]]) -> dict[str, Numbers]:
    """A teacher's scores of each row's candidates, none for the last row, and weights of generated queries."""
    random = np.random.default_rng(8)
    scores = [random.normal(size=1 + len(row)).tolist() for row in negatives[:-1]]
    weights = random.random(len(negatives))
    return {"teacher_scores": ragged_values([*scores, []]), "generated_weight": weights}


def teacher(texts: TextTable) -> ComputedVectors:
    """A teacher of random vectors."""
    vectors = np.random.default_rng(5).normal(size=(len(texts), DIMENSION)).astype(np.float32)
    return ComputedVectors(lambda numbers: vectors[numbers])


# Options under which a term's gradient is large enough to show something; a term that is not named has its defaults.
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "triplet": {"triplet": {"margin": 0.6}},
    "infonce": {
        f"infonce_{mode}": {"temperature": 0.2, "mode": mode}
        for mode in ("in_batch", "in_batch_own", "in_batch_all", "own_only")
    },
    "semantic_contrastive": {
        "semantic_cross": {"temperature": 0.2},
        "semantic_all": {"temperature": 0.2, "denominator": "all"},
    },
    "embedding_match": {"match_cosine": {}, "match_mse": {"distance": "mse"}},
    "language_contrastive": {"language_contrastive": {"temperature": 0.1}, "k_only": {"lang_grad": "k_only"}},
    "clear": {"clear": {"scale": 5.0}, "clear_without_kl": {"scale": 5.0, "kl": False}},
    "distillation": {"distillation": {"temperature": 0.5}},
    "margin_mse": {"margin_mse": {}},
    "alignment": {"alignment": {"temperature": 0.2}, "to_both": {"align_target": "both", "weighted": True}},
}


NESTED = ("infonce_in_batch_all", "triplet", "clear")


def every_objective() -> dict[str, Objective]:
    """Each loss of the registry alone in its options, and all of them together: a new one cannot stay out."""
    terms = {
        variant: BoundTerm(variant, cls(**options), _sources(cls(**options)), weight=1.0 + len(variant) / 10)
        for name, cls in TERMS.items()
        for variant, options in VARIANTS.get(name, {name: {}}).items()
    }
    alone = {name: Objective([term]) for name, term in terms.items()}
    together = list(terms.values())
    nested = {6: 1.0, 4: 0.5, 2: 0.25}
    alone |= {f"{name}_nested": Objective([terms[name]], dimensions=nested) for name in NESTED}
    return {
        **alone,
        "all_together": Objective(together),
        "all_nested": Objective(together, dimensions=nested),
    }


def _sources(term: Any) -> tuple[str, ...]:
    """The made-up sources whose rows have a role that the term needs."""
    _, batch = made_up_batch()
    return tuple(name for name, one in batch.drawn.items() if one.columns.keys() & set(required_roles(term)))
