"""The tokenizer of a static model: frequent words whole, and pieces for the rest.

A static model has no layer in which pieces of a word could meet, so a frequent word gets a row of its own, and what a
reader ignores is folded before the cut: case, compatibility forms, vowel signs that Arabic and Hebrew writers leave
out, letter variants, the Arabic article. Words are counted per language and the languages are then weighed, so that a
language with little text keeps whole words too. The other words and the unspaced scripts are cut by a Unigram model
(Kudo 2018, 1804.10959) that sees just them; whole words beside its pieces, and the folding, are ours.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from isogloss.errors import MissingExtraError, UsageError

UNKNOWN = "<unk>"
WORD_START = "▁"
LONGEST_PIECE = 16
LONGEST_WORD = 24
MOST_COUNTED = 1e7
LEAST_COUNTED = 10.0
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー"
_UNSPACED_CHARACTER = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")

# Arabic vowel signs and tatweel, the dot that lowercasing İ leaves, nukta, Hebrew points, zero-width signs.
DROPPED_SIGNS = "[\u064b-\u065f\u0670\u0640\u0307\u093c\u0591-\u05c7\u200b\u200d\u2060\ufeff]"
FOLDED_LETTERS = (
    ("[أإآٱ]", "ا"),
    ("[ىی]", "ي"),
    ("ک", "ك"),
    ("ة", "ه"),
    ("ά", "α"),
    ("έ", "ε"),
    ("ή", "η"),
    ("[ίϊΐ]", "ι"),
    ("ό", "ο"),
    ("[ύϋΰ]", "υ"),
    ("ώ", "ω"),
    ("ς", "σ"),
    ("ё", "е"),
    ("ı", "i"),
    ("ß", "ss"),
    ("ş", "ș"),
    ("ţ", "ț"),
)
PUNCTUATION = r"[\p{P}\p{Z}\p{C}`´^¨|~<>=]+"
ARABIC_ARTICLE = r"(?<![\p{L}\p{M}\p{N}])(?:[وفبك]?ال|لل)(?=\p{L}{3})"


_OPTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "input_format": "tsv",
        "hard_vocab_limit": False,
        "model_type": "unigram",
        "normalization_rule_name": "identity",
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
        "split_by_number": False,
        "split_by_unicode_script": False,
        "max_sentencepiece_length": LONGEST_PIECE,
        "character_coverage": 0.9999,
        "seed_sentencepiece_size": 600_000,
        "shrinking_factor": 0.5,
        "unk_id": 0,
        "unk_piece": UNKNOWN,
        "bos_id": -1,
        "eos_id": -1,
        "pad_id": -1,
        "num_threads": 2,
        "minloglevel": 2,
    }
)


def new_tokenizer() -> Tokenizer:
    """A tokenizer without a vocabulary that folds what readers ignore and drops punctuation."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(DROPPED_SIGNS), ""),
            *(normalizers.Replace(Regex(letters), folded) for letters, folded in FOLDED_LETTERS),
            normalizers.Replace(Regex(PUNCTUATION), " "),
            normalizers.Replace(Regex(ARABIC_ARTICLE), ""),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(prepend_scheme="always"),
            pre_tokenizers.Split(Regex(f"{WORD_START}(?=[{UNSPACED}])"), "removed"),
            pre_tokenizers.Split(Regex(f"[{UNSPACED}]+"), "isolated"),
        ]
    )
    return tokenizer


def count_words(texts: Iterable[str]) -> Counter[str]:
    """Counts words, and runs of unspaced scripts, after folding; a word of a spaced script begins with `▁`."""
    tokenizer = new_tokenizer()
    counts: Counter[str] = Counter()
    for text in texts:
        pieces = tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))
        counts.update(word for word, _ in pieces if word != WORD_START)
    return counts


def balanced_shares(
    counts: Mapping[str, Iterable[Counter[str]]], weights: Mapping[str, float], *, least_count: int = 2
) -> dict[str, float]:
    """Share of each word in a text that holds every language by its weight.

    Args:
        counts: Language to the counts of each of its files. Within a language a file counts by the square root of its
            size, so that one large file does not decide what a word is.
        weights: Weight of each language; 1 for those not named.
        least_count: Words seen less often are left out; runs of unspaced scripts, which are whole clauses, never.
    """
    shares: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for language, files in counts.items():
        found: Counter[str] = Counter()
        for file in files:
            total = file.total()
            for word, count in file.items():
                found[word] += count / math.sqrt(total)  # type: ignore[assignment]
                seen[word] += count
        weight = weights.get(language, 1.0) / max(sum(found.values()), 1e-9)
        for word, count in found.items():
            shares[word] += count * weight  # type: ignore[assignment]
    kept = {word: share for word, share in shares.items() if _is_run(word) or seen[word] >= least_count}
    total = sum(kept.values())
    return {word: share / total for word, share in kept.items()}


def build_tokenizer(shares: Mapping[str, float], *, whole_words: int, pieces: int) -> Tokenizer:
    """A tokenizer with the most frequent words whole and pieces for all others.

    Args:
        shares: Share of each word, from `balanced_shares`.
        whole_words: Number of words with a row of their own, of spaced scripts.
        pieces: Number of pieces for the other words and for unspaced scripts; fewer where there are not as many.

    Raises:
        MissingExtraError: If sentencepiece, which trains the pieces, is not installed.
    """
    ordered = sorted(shares, key=lambda word: (-shares[word], word))
    whole = [word for word in ordered if _may_be_whole(word)][:whole_words]
    kept = set(whole)
    cut = {word: shares[word] for word in ordered if word not in kept}
    vocabulary = _unigram_pieces(cut or dict(shares), pieces)
    known = {piece for piece, _ in vocabulary}
    vocabulary += [(word, round(math.log(shares[word]), 3)) for word in whole if word not in known]
    description = json.loads(new_tokenizer().to_str())
    description["model"] = {"type": "Unigram", "unk_id": 0, "vocab": vocabulary, "byte_fallback": False}
    return Tokenizer.from_str(json.dumps(description))


def _is_run(word: str) -> bool:
    return _UNSPACED_CHARACTER.search(word) is not None


def _may_be_whole(word: str) -> bool:
    return word.startswith(WORD_START) and 2 < len(word) <= LONGEST_WORD and not _is_run(word)


def _unigram_pieces(shares: Mapping[str, float], size: int) -> list[tuple[str, float]]:
    """Pieces with their log probabilities; the first is the unknown piece."""
    try:
        import sentencepiece
    except ImportError as error:
        raise MissingExtraError("Training a tokenizer", "train") from error
    # Counts far above what the model needs cost minutes; a tenth of the rarest word's is lost in rounding.
    scale = min(MOST_COUNTED, LEAST_COUNTED / min(shares.values(), default=1.0))
    with TemporaryDirectory() as folder:
        words = Path(folder) / "words.tsv"
        with words.open("w", encoding="utf-8") as file:
            for word, share in shares.items():
                # SentencePiece writes a word's beginning as a space.
                file.write(f"{word.replace(WORD_START, ' ')}\t{max(1, round(share * scale))}\n")
        prefix = str(Path(folder) / "pieces")
        try:
            sentencepiece.SentencePieceTrainer.train(input=str(words), model_prefix=prefix, vocab_size=size, **_OPTIONS)
        except RuntimeError as error:
            raise UsageError(
                f"no vocabulary of {size} pieces can be made from these texts: {str(error).splitlines()[0]}",
                next_step="Ask for more pieces than the texts have characters, and for fewer than they have words.",
            ) from error
        model = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
        found = [(model.id_to_piece(place), model.get_score(place)) for place in range(model.get_piece_size())]
    return [(UNKNOWN, 0.0), *((piece, round(score, 3)) for piece, score in found[1:])]
