"""Prompts by role, and the model families that were trained with prompts their folders often do not record.

Sources are the model cards of the families. A family's prompts are used where a folder records none, with a warning:
a model queried without the prompts of its training loses points silently.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass

from isogloss.errors import UsageError
from isogloss.records import Role

LOGGER = logging.getLogger("isogloss")

QUERY_KEYS = ("query",)
PASSAGE_KEYS = ("document", "passage", "corpus")
RETRIEVAL_TASK = "Given a web search query, retrieve relevant passages that answer the query"


@dataclass(frozen=True)
class Family:
    """Models trained with the same prompts.

    Attributes:
        name: Name of the family.
        pattern: Regular expression that finds the family in the name of a model, lower-cased.
        query: Prompt of queries.
        passage: Prompt of passages.
        pooling: Pooling of the family, for a checkpoint that does not record it.
    """

    name: str
    pattern: str
    query: str = ""
    passage: str = ""
    pooling: str = "mean"


# The first match counts, so a family comes before those whose names are part of its own.
FAMILIES = (
    Family("multilingual-e5-instruct", r"e5.*-instruct", f"Instruct: {RETRIEVAL_TASK}\nQuery: "),
    Family("e5-mistral", r"e5-mistral", f"Instruct: {RETRIEVAL_TASK}\nQuery: ", pooling="lasttoken"),
    Family("e5", r"(^|[/_-])(multilingual-)?e5-(small|base|large)", "query: ", "passage: "),
    Family("bge-m3", r"bge-m3", pooling="cls"),
    Family("bge-zh", r"bge-(small|base|large)-zh", "为这个句子生成表示以用于检索相关文章：", pooling="cls"),
    Family(
        "bge-en",
        r"bge-(small|base|large)-en",
        "Represent this sentence for searching relevant passages: ",
        pooling="cls",
    ),
    Family("gte-multilingual", r"gte-multilingual", pooling="cls"),
    Family("gte-qwen", r"gte-qwen", f"Instruct: {RETRIEVAL_TASK}\nQuery: ", pooling="lasttoken"),
    Family("gte-modernbert", r"gte-modernbert", pooling="cls"),
    Family("gte", r"(^|[/_-])gte-(small|base|large)"),
    Family("snowflake-arctic-2", r"snowflake-arctic-embed-[ml]-v2", "query: ", pooling="cls"),
    Family(
        "snowflake-arctic",
        r"snowflake-arctic-embed",
        "Represent this sentence for searching relevant passages: ",
        pooling="cls",
    ),
    Family("nomic", r"nomic-embed-text", "search_query: ", "search_document: "),
    Family(
        "mxbai",
        r"mxbai-embed-(large|xsmall)",
        "Represent this sentence for searching relevant passages: ",
        pooling="cls",
    ),
    Family(
        "jina-v3",
        r"jina-embeddings-v3",
        "Represent the query for retrieving evidence documents: ",
        "Represent the document for retrieval: ",
    ),
    Family("jina", r"jina-embeddings-v2"),
    Family("granite-multilingual", r"granite-embedding-.*multilingual", pooling="cls"),
    Family("embeddinggemma", r"embeddinggemma", "task: search result | query: ", "title: none | text: "),
    Family("qwen3", r"qwen3-embedding", f"Instruct: {RETRIEVAL_TASK}\nQuery:", pooling="lasttoken"),
)


def family_of(names: tuple[str, ...]) -> Family | None:
    """The family that one of the names of a model belongs to."""
    for name in names:
        for family in FAMILIES:
            if re.search(family.pattern, name.lower()):
                return family
    return None


def prompt_for(role: Role, recorded: Mapping[str, str], default_name: str | None) -> str:
    """The prompt of a role among the prompts of a folder, by the names that sentence-transformers uses.

    Args:
        role: `query` or `passage`.
        recorded: Prompts by name.
        default_name: Name of the prompt of texts whose role has none.
    """
    for key in QUERY_KEYS if role == "query" else PASSAGE_KEYS:
        if key in recorded:
            return recorded[key] or ""
    return (recorded.get(default_name) or "") if default_name else ""


def resolve_prompts(
    recorded: Mapping[str, str],
    default_name: str | None,
    names: tuple[str, ...],
    given: Mapping[str, str] | None = None,
) -> dict[Role, str]:
    """Prompt by role: those given, else those of the folder, else those of the family, with a warning.

    Args:
        recorded: Prompts of the folder, by name.
        default_name: Name of the folder's default prompt.
        names: What the model is called: hub name, folder, base model.
        given: What the caller wants, by role; an empty prompt is none, and silences the warning.

    Raises:
        UsageError: If `given` names something else than the roles.
    """
    if given is not None:
        unknown = sorted(set(given) - {"query", *PASSAGE_KEYS})
        if unknown:
            raise UsageError(f"prompts: '{unknown[0]}' is no role (allowed: query, passage)")
        return {"query": prompt_for("query", given, None), "passage": prompt_for("passage", given, None)}
    prompts: dict[Role, str] = {
        "query": prompt_for("query", recorded, default_name),
        "passage": prompt_for("passage", recorded, default_name),
    }
    family = family_of(names)
    if any(recorded.values()) or family is None or not (family.query or family.passage):
        return prompts
    LOGGER.warning(
        "%s records no prompts, but models of the family %s are trained with them: using query prompt %r and passage "
        "prompt %r. To use others, load it with prompts={'query': …, 'passage': …}.",
        names[0],
        family.name,
        family.query,
        family.passage,
    )
    return {"query": family.query, "passage": family.passage}
