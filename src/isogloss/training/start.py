"""A model to begin from, where there is none: the vocabulary is made from the recipe's texts, the vectors are random.

It is made once, in the folder of the run, and found there again when the run is resumed.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from isogloss.datasets import read_rows
from isogloss.engines.static import StaticEngine
from isogloss.errors import UsageError
from isogloss.files import atomic_folder, read_json, write_json
from isogloss.languages import normalize
from isogloss.models.retriever import Retriever, Tower
from isogloss.models.static_start import piece_counts, static_start
from isogloss.models.vocabulary import balanced_shares, build_tokenizer, count_words
from isogloss.recipe import NewModelSettings
from isogloss.training.sources.multiway_files import read_multiway_files
from isogloss.training.sources.reading import expand, file_hashes

START = "start"
NOTE = "start.json"
Texts = Mapping[str, Sequence[Sequence[str]]]


def start_model(settings: NewModelSettings, folder: Path, announce: Callable[[str], None]) -> Retriever:
    """The model to begin from, made where `folder` does not have it yet.

    Args:
        settings: The recipe's `model.new`.
        folder: Folder of the run.
        announce: Takes what is being done.

    Raises:
        UsageError: If the folder has the start of another run.
        DataError: If the texts are faulty.
    """
    place = folder / START
    digest = _digest(settings)
    if (place / NOTE).is_file():
        if read_json(place / NOTE).get("digest") != digest:
            raise UsageError(f"{place} was made for another recipe or other texts", next_step="Choose another folder.")
        return Retriever.load(place / "model")
    announce("Counting words …")
    counts = {language: [count_words(texts) for texts in files] for language, files in _texts(settings).items()}
    shares = balanced_shares(counts, settings.weights(), least_count=settings.least_count)
    announce(f"Making a vocabulary from {len(shares):,} words in {len(counts)} languages …")
    tokenizer = build_tokenizer(shares, whole_words=settings.whole_words, pieces=settings.pieces)
    vectors = static_start(piece_counts(tokenizer, shares), dimension=settings.dimension, seed=settings.seed)
    with atomic_folder(place) as partial:
        engine = StaticEngine(vectors, tokenizer)
        Retriever(Tower("query", engine), Tower("passage", engine)).save(partial / "model")
        write_json(partial / NOTE, {"digest": digest, "languages": _sizes(counts), "pieces": len(vectors)})
    return Retriever.load(place / "model")


def _digest(settings: NewModelSettings) -> str:
    content = [settings.model_dump(mode="json"), file_hashes([*settings.parallel, *settings.rows])]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _texts(settings: NewModelSettings) -> Texts:
    """Language to the sampled texts of each file that has it."""
    wanted = {normalize(language) for language in settings.languages}
    generator = np.random.default_rng(settings.seed)
    found: dict[str, list[list[str]]] = defaultdict(list)
    files = read_multiway_files(settings.parallel, takes=wanted.__contains__, synonyms=False, longest=settings.longest)
    for file in files:
        for language, column in file.columns.items():
            found[language].append(_sampled([text for text in column if text], settings, generator))
    for path in expand(settings.rows) if settings.rows else ():
        for language, texts in _row_texts(path, settings.longest):
            if language in wanted:
                found[language].append(_sampled(texts, settings, generator))
    return {language: [texts for texts in files if texts] for language, files in sorted(found.items())}


def _row_texts(path: str, longest: int) -> Iterator[tuple[str, list[str]]]:
    by_language: dict[str, dict[str, None]] = defaultdict(dict)
    for row in read_rows(path):
        by_language[row.query_language or ""][row.query[:longest]] = None
        by_language[row.passage_language or ""][row.passage[:longest]] = None
    for language, texts in by_language.items():
        yield language, list(texts)


def _sampled(texts: list[str], settings: NewModelSettings, generator: np.random.Generator) -> list[str]:
    """Random texts of at most so many characters together."""
    chosen: list[str] = []
    size = 0
    for place in generator.permutation(len(texts)).tolist():
        if size >= settings.characters_per_file:
            break
        chosen.append(texts[place])
        size += len(texts[place])
    return chosen


def _sizes(counts: Mapping[str, Sequence[Counter[str]]]) -> dict[str, int]:
    return {language: sum(file.total() for file in files) for language, files in counts.items()}
