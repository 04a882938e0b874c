"""What a model's tokenizers lose of each language's texts before any retrieval begins."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isogloss.records import EvalSet, Role, Text


@dataclass(frozen=True)
class TextHealth:
    """Texts of one language in one role.

    Attributes:
        role: `query` or `passage`.
        language: Their language.
        texts: How many there are.
        truncated: How many are longer than the model reads.
        tokens: Tokens before anything is cut, prompts included.
        unknown: How many of the tokens the vocabulary does not have; None where the tokenizer does not tell.
    """

    role: Role
    language: str
    texts: int
    truncated: int
    tokens: int
    unknown: int | None

    @property
    def truncated_share(self) -> float:
        """Share of the texts of which the model does not see the end."""
        return self.truncated / self.texts

    @property
    def unknown_share(self) -> float | None:
        """Share of the tokens that stand for something the vocabulary does not have."""
        return None if self.unknown is None else self.unknown / max(1, self.tokens)


def text_health(retriever: Any, eval_set: EvalSet) -> tuple[TextHealth, ...]:
    """Counts for every language of the queries and of the passages; nothing is encoded.

    Args:
        retriever: A `Retriever`.
        eval_set: A set in which every text has a language.
    """
    rows = []
    roles: Mapping[Role, Sequence[Text]] = {"query": eval_set.queries, "passage": eval_set.passages}
    for role, texts in roles.items():
        tower = retriever.tower(role)
        by_language: dict[str, list[str]] = defaultdict(list)
        for text in texts:
            by_language[str(text.language)].append(tower.whole_text(text))
        rows += [_counted(tower, role, language, found) for language, found in sorted(by_language.items())]
    return tuple(rows)


def _counted(tower: Any, role: Role, language: str, texts: list[str]) -> TextHealth:
    counts = tower.engine.count_tokens(texts)
    limit = tower.max_length
    return TextHealth(
        role=role,
        language=language,
        texts=len(texts),
        truncated=0 if limit is None else sum(count > limit for count in counts),
        tokens=sum(counts),
        unknown=_unknown_tokens(tower.engine, texts),
    )


def _unknown_tokens(engine: Any, texts: list[str]) -> int | None:
    """Tokens that are the tokenizer's unknown one; None where it has none to tell, as byte-level ones have not."""
    tokenizer: Any = getattr(engine, "tokenizer", None) or getattr(getattr(engine, "tower", None), "tokenizer", None)
    tokenizer = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(tokenizer, "encode_batch"):
        return None
    unknown = _unknown_id(tokenizer)
    if unknown is None:
        return None
    encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    parts = [part for encoding in encodings for part in (encoding, *encoding.overflowing)]
    return sum(list(part.ids).count(unknown) for part in parts)


def _unknown_id(tokenizer: Any) -> int | None:
    """Id of the unknown token, by its name, or by its number where the model has that (Unigram)."""
    name = getattr(tokenizer.model, "unk_token", None)
    number: Any = tokenizer.token_to_id(name) if name else json.loads(tokenizer.to_str())["model"].get("unk_id")
    return number if isinstance(number, int) else None
