"""Small sets and retrievers, made in memory."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from isogloss.records import EvalSet, Text

WORDS = {
    "de": ["Fluss", "Meer", "Brot", "Nacht", "Schiff", "Turm", "Wald", "Stein", "Vogel", "Regen", "Feuer", "Salz"],
    "en": ["river", "sea", "bread", "night", "ship", "tower", "forest", "stone", "bird", "rain", "fire", "salt"],
    "th": ["แม่น้ำ", "ทะเล", "ขนมปัง", "กลางคืน", "เรือ", "หอคอย", "ป่า", "หิน", "นก", "ฝน", "ไฟ", "เกลือ"],
}


class HashingRetriever:
    """Unit vectors from the trigrams of a text; it counts what it encodes."""

    dimension = 48

    def __init__(self, *, constant: bool = False, blind: bool = False) -> None:
        self.encoded: list[str] = []
        self._constant = constant
        self._blind = blind

    def encode_query(self, texts: Sequence[Text], *, progress: bool = False) -> NDArray[np.float32]:
        """Vectors of queries; a blind retriever sees only their first letter."""
        return self._encode(texts, [text.text[:1] * 3 if self._blind else text.text for text in texts])

    def encode_passage(self, texts: Sequence[Text], *, progress: bool = False) -> NDArray[np.float32]:
        """Vectors of passages."""
        return self._encode(texts, [text.text for text in texts])

    def _encode(self, texts: Sequence[Text], seen: Sequence[str]) -> NDArray[np.float32]:
        self.encoded += [text.id for text in texts]
        vectors = np.ones((len(texts), self.dimension), dtype=np.float32)
        if not self._constant:
            for row, text in enumerate(seen):
                for start in range(len(text) - 2):
                    vectors[row, zlib.crc32(text[start : start + 3].encode()) % self.dimension] += 3
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def parallel_set(languages: Sequence[str] = ("de", "en", "th"), *, passages: int = 30, queries: int = 20) -> EvalSet:
    """Passages of six words and queries of two, in parallel in each language."""
    generator = np.random.default_rng(5)
    picks = [generator.choice(12, size=6, replace=False) for _ in range(passages)]
    asked = [(number % passages, generator.choice(6, size=2, replace=False)) for number in range(queries)]
    found = [
        Text(
            f"p{number}.{language}",
            " ".join(WORDS[language][word] for word in pick),
            language,
            parallel_id=f"p{number}",
        )
        for language in languages
        for number, pick in enumerate(picks)
    ]
    questions, qrels = [], {}
    for language in languages:
        for number, (passage, words) in enumerate(asked):
            text = " ".join(WORDS[language][picks[passage][word]] for word in words)
            questions.append(Text(f"q{number}.{language}", text, language))
            qrels[f"q{number}.{language}"] = {f"p{passage}.{language}": 1}
    return EvalSet("small", tuple(questions), tuple(found), qrels)
