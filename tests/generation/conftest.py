"""A tiny encoder-decoder, made in memory, and rows in three languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.worlds import LANGUAGES, PASSAGES, QUERIES, write_lines


def labelled(count: int = 3) -> list[dict]:
    """Rows with the passages of the other two questions as negatives."""
    return [
        {
            "query": QUERIES[language][place],
            "positive": PASSAGES[language][place],
            "lang": language,
            "negative_passages": [PASSAGES[language][other] for other in range(3) if other != place],
        }
        for language in LANGUAGES
        for place in range(count)
    ]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "rows.jsonl", labelled())


@pytest.fixture
def generator():
    """A fresh generator with dropout, random weights and a tokenizer over the tiny texts."""
    from isogloss.generation.generator import QueryGenerator
    from isogloss.generation.new_model import new_model, new_tokenizer
    from isogloss.generation.prompts import Prompt
    from isogloss.generation.settings import NewGeneratorSettings

    texts = [text for language in LANGUAGES for text in (*PASSAGES[language], *QUERIES[language])]
    tokenizer = new_tokenizer(texts, 150)
    settings = NewGeneratorSettings(dimension=16, layers=1, heads=2, feed_forward=24, dropout=0.3, seed=5)
    return QueryGenerator(new_model(settings, tokenizer), tokenizer, Prompt(), max_source_tokens=64)
