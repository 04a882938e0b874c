"""A model to begin from, where there is none: its vocabulary and its first vectors are made from the recipe's texts.

It is made once, in the folder of the run, and found there again when the run is resumed; so is its vocabulary, when the
run is stopped between the two.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from isogloss.datasets import read_rows
from isogloss.engines.static import StaticEngine
from isogloss.errors import UsageError
from isogloss.files import atomic_folder, read_json, write_json
from isogloss.languages import normalize
from isogloss.models.associations import Translations, associate, piece_incidence
from isogloss.models.retriever import Retriever, Tower
from isogloss.models.static_start import (
    Vectors,
    piece_counts,
    random_directions,
    static_start,
    with_teacher,
    with_translations,
)
from isogloss.models.vocabulary import WORD_START, balanced_shares, build_tokenizer, count_words
from isogloss.recipe import NewModelSettings
from isogloss.training.sources.apart import Apart
from isogloss.training.sources.multiway_files import MultiwayFile, read_multiway_files
from isogloss.training.sources.reading import expand, file_hashes

START = "start"
NOTE = "start.json"
VOCABULARY = "vocabulary"
PARTS = frozenset({START, VOCABULARY})  # of a run's folder, there before its first step
TOKENIZER_FILE = "tokenizer.json"
COUNTS_FILE = "counts.npy"
LEAST_ENGLISH = 3
LONGEST_ENTRY = 200
ENGLISH = "en"
Texts = Mapping[str, Sequence[Sequence[str]]]
Announce = Callable[[str], None]


def start_model(settings: NewModelSettings, folder: Path, announce: Announce, apart: Apart | None = None) -> Retriever:
    """The model to begin from, made where `folder` does not have it yet.

    Args:
        settings: The recipe's `model.new`.
        folder: Folder of the run.
        announce: Takes what is being done.
        apart: Texts of evaluation sets, which are left out.

    Raises:
        UsageError: If the folder has the start of another run.
        DataError: If the texts are faulty.
    """
    place = folder / START
    apart = apart or Apart()
    digest = _digest(settings)
    if not _is_there(place, digest):
        files = list(_parallel_files(settings.parallel, settings, apart))
        if not _is_there(folder / VOCABULARY, digest):
            _make_vocabulary(folder / VOCABULARY, digest, files, settings, apart, announce)
        tokenizer = Tokenizer.from_file(str(folder / VOCABULARY / TOKENIZER_FILE))
        directions = _directions(tokenizer, files, settings, apart, announce)
        engine = StaticEngine(static_start(directions, np.load(folder / VOCABULARY / COUNTS_FILE)), tokenizer)
        with atomic_folder(place) as partial:
            Retriever(Tower("query", engine), Tower("passage", engine)).save(partial / "model")
            write_json(partial / NOTE, {"digest": digest, "pieces": len(engine.table)})
    return Retriever.load(place / "model")


def start_for_a_look(
    settings: NewModelSettings, folder: Path, announce: Announce, apart: Apart | None = None
) -> Retriever:
    """What `start_model` gives, with nothing left in the folder: where the start is not there, it is made and gone."""
    if _is_there(folder / START, _digest(settings)):
        return start_model(settings, folder, announce, apart)
    with tempfile.TemporaryDirectory() as scratch:
        return start_model(settings, Path(scratch), announce, apart)


def _is_there(place: Path, digest: str) -> bool:
    if not (place / NOTE).is_file():
        return False
    if read_json(place / NOTE).get("digest") != digest:
        raise UsageError(f"{place} was made for another recipe or other texts", next_step="Choose another folder.")
    return True


def _make_vocabulary(
    place: Path,
    digest: str,
    files: Sequence[MultiwayFile],
    settings: NewModelSettings,
    apart: Apart,
    announce: Announce,
) -> None:
    """Writes the tokenizer, and how often each of its pieces comes."""
    announce("Counting words …")
    counts = {lang: [count_words(texts) for texts in kept] for lang, kept in _texts(files, settings, apart).items()}
    shares = balanced_shares(counts, settings.weights(), least_count=settings.least_count)
    announce(f"Making a vocabulary from {len(shares):,} words in {len(counts)} languages …")
    tokenizer = build_tokenizer(shares, whole_words=settings.whole_words, pieces=settings.pieces)
    with atomic_folder(place) as partial:
        (partial / TOKENIZER_FILE).write_text(tokenizer.to_str(), encoding="utf-8")
        np.save(partial / COUNTS_FILE, piece_counts(tokenizer, shares))
        write_json(partial / NOTE, {"digest": digest, "languages": _sizes(counts)})


def _digest(settings: NewModelSettings) -> str:
    hashes = file_hashes([*settings.parallel, *settings.rows, *settings.lexicons])
    return hashlib.sha256(json.dumps([settings.model_dump(mode="json"), hashes], sort_keys=True).encode()).hexdigest()


def _parallel_files(
    paths: Sequence[str], settings: NewModelSettings, apart: Apart, *, synonyms: bool = False
) -> Iterator[MultiwayFile]:
    if not paths:
        return
    wanted = {normalize(language) for language in settings.languages}
    yield from read_multiway_files(
        paths, takes=wanted.__contains__, synonyms=synonyms, longest=settings.longest, apart=apart
    )


def _texts(files: Sequence[MultiwayFile], settings: NewModelSettings, apart: Apart) -> Texts:
    """Language to the sampled texts of each file that has it."""
    wanted = {normalize(language) for language in settings.languages}
    generator = np.random.default_rng(settings.seed)
    found: dict[str, list[list[str]]] = defaultdict(list)
    for file in files:
        for language, column in file.columns.items():
            found[language].append(_sampled([text for text in column if text], settings, generator))
    for path in expand(settings.rows) if settings.rows else ():
        for language, texts in _row_texts(path, settings.longest, apart):
            if language in wanted:
                found[language].append(_sampled(texts, settings, generator))
    return {language: [texts for texts in kept if texts] for language, kept in sorted(found.items())}


def _row_texts(path: str, longest: int, apart: Apart) -> Iterator[tuple[str, list[str]]]:
    by_language: dict[str, dict[str, None]] = defaultdict(dict)
    for row in apart.rows(read_rows(path)):
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


def _directions(
    tokenizer: Tokenizer, files: Sequence[MultiwayFile], settings: NewModelSettings, apart: Apart, announce: Announce
) -> Vectors:
    """Direction of each piece: random, or the teacher's, or that of what it translates."""
    directions = random_directions(tokenizer.get_vocab_size(), dimension=settings.dimension, seed=settings.seed)
    if settings.teacher is None and settings.start == "random":
        return directions
    lexicons = [_short(file) for file in _parallel_files(settings.lexicons, settings, apart, synonyms=True)]
    english = _english_counts(tokenizer, [*files, *lexicons])
    if settings.teacher is not None:
        words = _english_words(tokenizer, english)
        announce(f"Asking {settings.teacher} for the vectors of {len(words):,} English words …")
        teacher = Retriever.load(settings.teacher, on_overflow="ignore")
        taught = teacher.encode_query([_piece(tokenizer, word).lstrip(WORD_START) for word in words.tolist()])
        directions = with_teacher(directions, words, taught, share=settings.teacher_share, seed=settings.seed)
    if settings.start == "translations":
        announce("Counting which pieces translate which …")
        found = associate(tokenizer, _translations(files, lexicons, settings), english)
        directions = with_translations(directions, found, own=settings.own_direction)
    return directions


def _short(file: MultiwayFile) -> MultiwayFile:
    columns = {lang: [text[:LONGEST_ENTRY] for text in column] for lang, column in file.columns.items()}
    return MultiwayFile(file.name, columns)


def _english_counts(tokenizer: Tokenizer, files: Sequence[MultiwayFile]) -> NDArray[np.float64]:
    """English texts that each piece comes in, shape (vocabulary,)."""
    counts = np.zeros(tokenizer.get_vocab_size())
    for file in files:
        texts = [text for text in file.columns.get(ENGLISH, []) if text]
        counts += np.asarray(piece_incidence(tokenizer, texts).sum(axis=0)).ravel()
    return counts


def _english_words(tokenizer: Tokenizer, english: NDArray[np.float64]) -> NDArray[np.int64]:
    """Pieces that are whole words, or beginnings of words, and come in English texts."""
    candidates = np.flatnonzero(english >= LEAST_ENGLISH)
    return np.asarray([piece for piece in candidates.tolist() if _is_word(_piece(tokenizer, piece))], dtype=np.int64)


def _piece(tokenizer: Tokenizer, number: int) -> str:
    return tokenizer.id_to_token(number) or ""


def _is_word(piece: str) -> bool:
    return piece.startswith(WORD_START) and len(piece) > 2 and piece[1:].isascii()


def _translations(
    files: Sequence[MultiwayFile], lexicons: Sequence[MultiwayFile], settings: NewModelSettings
) -> dict[str, list[Translations]]:
    """Language to the lines that English shares with it."""
    found: dict[str, list[Translations]] = defaultdict(list)
    for listed, weight in ((files, 1.0), (lexicons, settings.lexicon_weight)):
        for file in listed:
            named = [factor for start, factor in settings.file_weights.items() if file.name.startswith(start)]
            for language, column in file.columns.items():
                pairs = [
                    (one, other)
                    for one, other in zip(file.columns.get(ENGLISH, []), column, strict=False)
                    if one and other
                ]
                if language != ENGLISH and pairs:
                    english, foreign = zip(*pairs, strict=True)
                    found[language].append(Translations(english, foreign, weight * (named[0] if named else 1.0)))
    return found


def _sizes(counts: Mapping[str, Sequence[Counter[str]]]) -> dict[str, int]:
    return {language: sum(file.total() for file in files) for language, files in counts.items()}
