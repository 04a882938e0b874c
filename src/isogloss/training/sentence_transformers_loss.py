"""Our losses in the trainer of sentence-transformers.

    loss = as_sentence_transformers_loss(model, InfoNCE(temperature=0.05))
    SentenceTransformerTrainer(model=model, train_dataset=rows, loss=loss).train()

Columns of the data set are roles in the order that the loss is told: by default (query, passage, negative passages …)
or (parallel_source, parallel_target). Memory is that of the whole batch; `isogloss train` has no such bound.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isogloss.errors import Fault, UsageError, raise_faults
from isogloss.losses import Embeddings, Term, optional_roles, required_roles
from isogloss.recipe import Recipe
from isogloss.training.assembly import bind_objective, load_training_recipe
from isogloss.training.objective import BoundTerm

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Column = str | tuple[str, ...]
_RETRIEVAL: tuple[Column, ...] = ("query", "passage", "negative_passages")
_PARALLEL: tuple[Column, ...] = ("parallel_source", "parallel_target")
_SEVERAL = "negative_passages"  # the role that takes all further columns


def as_sentence_transformers_loss(
    model: SentenceTransformer,
    recipe_or_terms: str | Recipe | Term | Sequence[Term] | Mapping[str, tuple[Term, float]],
    *,
    source: str | None = None,
    columns: Sequence[Column] | None = None,
) -> IsoglossLoss:
    """A loss for `SentenceTransformerTrainer`.

    Args:
        model: The model that is trained.
        recipe_or_terms: Name or path of a recipe, a recipe, a term, several (each of weight 1), or terms with weights
            by name: `{"ranking": (InfoNCE(), 1.0), "alignment": (SemanticContrastive(), 0.1)}`.
        source: Of a recipe, the source whose terms are meant; it may be left out where all terms read the same.
        columns: Roles of the data set's columns in their order, several for a column that has several; the last column
            stands for all that follow where it is `negative_passages`. Not needed where the terms leave no choice.

    Raises:
        RecipeError: If the recipe is faulty.
        UsageError: If the source is unknown, or terms need roles that no column has.
    """
    terms = _terms(recipe_or_terms, source)
    chosen = tuple(columns) if columns is not None else _usual_columns(terms)
    roles = {role for column in chosen for role in _roles(column)}
    faults = []
    for bound in terms:
        missing = [role for role in (*required_roles(bound.term), *bound.teacher_roles) if role not in roles]
        faults += [Fault(bound.name, f"needs '{role}', which no column has") for role in missing]
    if len({role for bound in terms for role in bound.teacher_roles}) > 1:
        faults.append(Fault("teacher", "vectors of several roles are wanted", "the data set has one column of labels"))
    raise_faults(UsageError, "columns", faults, "Name the role of each column: columns=('query', 'passage').")
    return IsoglossLoss(model, terms, chosen)


class IsoglossLoss(nn.Module):
    """A weighted sum of terms over the columns of a batch; made by `as_sentence_transformers_loss`.

    The value of each term is logged by its name where there are several. A term that matches a teacher takes the
    teacher's vectors from the data set's column of labels.
    """

    def __init__(self, model: SentenceTransformer, terms: Sequence[BoundTerm], columns: Sequence[Column]) -> None:
        super().__init__()
        self.model = model
        self.terms = tuple(terms)
        self.columns = tuple(columns)

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Tensor | None = None) -> Any:
        """Value of the loss, or the weighted value of each term, which the trainer sums.

        Args:
            sentence_features: Model inputs of each column.
            labels: The teacher's vectors, shape (rows, dim), where a term wants them.

        Raises:
            UsageError: If the data set has not the columns that were named, or lacks the teacher's vectors.
        """
        features = list(sentence_features)
        by_role = self._by_role(len(features))
        keys = [_text_keys(column) for column in features]
        numbers: dict[tuple[int, ...], int] = {}
        ids = [[numbers.setdefault(key, len(numbers)) for key in column] for column in keys]
        vectors = [F.normalize(self.model(column)["sentence_embedding"], dim=-1) for column in features]
        device = vectors[0].device
        embeddings = Embeddings(
            {role: _stacked([vectors[place] for place in places], role) for role, places in by_role.items()},
            text_ids={
                role: _stacked([torch.tensor(ids[place], device=device) for place in places], role)
                for role, places in by_role.items()
            },
            teacher=self._taught(labels),
        )
        values = {bound.name: bound.weight * bound.term(embeddings) for bound in self.terms}
        return values if len(values) > 1 else next(iter(values.values()))

    def get_config_dict(self) -> dict[str, Any]:
        """The terms and their options, for the model card that sentence-transformers writes."""
        return {
            "columns": [list(_roles(column)) for column in self.columns],
            "terms": [
                {"name": bound.name, "weight": bound.weight, **dataclasses.asdict(bound.term)}  # type: ignore[call-overload]
                for bound in self.terms
            ],
        }

    def _by_role(self, count: int) -> dict[str, list[int]]:
        """Places of the columns of each role in a batch of `count` columns."""
        named = list(self.columns)
        open_ended = bool(named) and named[-1] == _SEVERAL
        optional = open_ended and not any(_SEVERAL in required_roles(bound.term) for bound in self.terms)
        least = len(named) - 1 if optional else len(named)
        if count < least or (count > len(named) and not open_ended):
            listed = ", ".join("+".join(_roles(column)) for column in named)
            raise UsageError(
                f"the data set has {count} columns of text, and the loss expects: {listed}",
                next_step="Remove columns, or name the roles of all: columns=(…).",
            )
        places: dict[str, list[int]] = {}
        for place in range(count):
            for role in _roles(named[min(place, len(named) - 1)]):
                places.setdefault(role, []).append(place)
        return places

    def _taught(self, labels: Tensor | None) -> dict[str, Tensor]:
        roles = {role for bound in self.terms for role in bound.teacher_roles}
        if roles and (labels is None or labels.dim() != 2):
            raise UsageError(
                "a term matches a teacher, and the data set has no vectors of it",
                next_step="Add a column 'label' with the teacher's vector of each row.",
            )
        return {role: labels for role in roles if labels is not None}


def _terms(
    given: str | Recipe | Term | Sequence[Term] | Mapping[str, tuple[Term, float]], source: str | None
) -> tuple[BoundTerm, ...]:
    if isinstance(given, str):
        given = load_training_recipe(given)
    if isinstance(given, Recipe):
        return _of_source(bind_objective(given).terms, source)
    if source is not None:
        raise UsageError("source is for recipes only", next_step="Leave it out.")
    if isinstance(given, Mapping):
        pairs = {name: value if isinstance(value, tuple) else None for name, value in given.items()}
        raise_faults(
            UsageError,
            "terms",
            [Fault(name, "is no term with its weight", "(InfoNCE(), 1.0)") for name, pair in pairs.items() if not pair],
        )
        return tuple(BoundTerm(name, pair[0], (), float(pair[1])) for name, pair in pairs.items() if pair)
    terms: list[Any] = list(given) if isinstance(given, Sequence) else [given]
    if not terms:
        raise UsageError("there are no terms", next_step="Give one, such as InfoNCE(temperature=0.05).")
    names = [term.name for term in terms]
    return tuple(
        BoundTerm(name if names.count(name) == 1 else f"{name}#{number}", term, ())
        for number, (name, term) in enumerate(zip(names, terms, strict=True), start=1)
    )


def _of_source(terms: Sequence[BoundTerm], source: str | None) -> tuple[BoundTerm, ...]:
    sources = sorted({name for bound in terms for name in bound.sources})
    if source is None and len(sources) > 1:
        raise UsageError(
            f"the terms of this recipe read several sources: {', '.join(sources)}",
            next_step="Make a loss for each with source='…', and give the trainer data sets and losses by name.",
        )
    chosen = tuple(bound for bound in terms if source is None or source in bound.sources)
    if not chosen:
        raise UsageError(f"no term reads the source '{source}'", next_step=f"Sources are: {', '.join(sources)}.")
    return chosen


def _usual_columns(terms: Sequence[BoundTerm]) -> tuple[Column, ...]:
    needed = {role for bound in terms for role in (*required_roles(bound.term), *bound.teacher_roles)}
    used = needed | {role for bound in terms for role in optional_roles(bound.term)}
    if needed <= set(_PARALLEL):
        return _PARALLEL
    if needed <= set(_RETRIEVAL):
        return _RETRIEVAL if _SEVERAL in used else _RETRIEVAL[:2]
    raise UsageError(
        f"the terms read {', '.join(sorted(needed))}: which columns are these?",
        next_step="Name the roles in the order of the columns: columns=('query', 'passage', 'parallel_target').",
    )


def _roles(column: Column) -> tuple[str, ...]:
    return (column,) if isinstance(column, str) else tuple(column)


def _stacked(parts: Sequence[Tensor], role: str) -> Tensor:
    """One tensor of a role: with an axis for its columns where a row has several such texts."""
    return torch.stack(list(parts), dim=1) if role == _SEVERAL else parts[0]


def _text_keys(features: Mapping[str, Any]) -> list[tuple[int, ...]]:
    """The tokens of each text, by which equal texts of a batch are known whatever their padding."""
    ids = features["input_ids"]
    if "offsets" in features:  # texts of a static model stand one after another
        ends = [*features["offsets"].tolist(), len(ids)]
        flat = ids.tolist()
        return [tuple(flat[start:end]) for start, end in pairwise(ends)]
    mask = features.get("attention_mask")
    kept = torch.ones_like(ids) if mask is None else mask
    return [tuple(row[keep.bool()].tolist()) for row, keep in zip(ids, kept, strict=True)]
