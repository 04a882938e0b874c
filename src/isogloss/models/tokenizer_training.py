"""A Unigram tokenizer for static models: one row of the embedding table for every way of writing a word.

A static model has no layer in which spellings could meet, so what a reader ignores is folded before the cut: case,
compatibility forms, vowel signs that Arabic and Hebrew writers leave out, letter variants of Arabic and Greek accents.
Unspaced scripts are cut apart from spaced ones, so that a Latin word inside Thai text keeps its own pieces.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

UNKNOWN = "<unk>"
LONGEST_PIECE = 20
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー"

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


def new_unigram_tokenizer() -> Tokenizer:
    """An untrained tokenizer that folds what readers ignore and drops punctuation."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(DROPPED_SIGNS), ""),
            *(normalizers.Replace(Regex(letters), folded) for letters, folded in FOLDED_LETTERS),
            normalizers.Replace(Regex(r"[\p{P}\p{Z}\p{C}`´^¨|~<>=]+"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(prepend_scheme="always"),
            pre_tokenizers.Split(Regex(f"▁(?=[{UNSPACED}])"), "removed"),
            pre_tokenizers.Split(Regex(f"[{UNSPACED}]+"), "isolated"),
        ]
    )
    return tokenizer


def train_unigram_tokenizer(texts: Iterable[str], *, vocabulary_size: int) -> Tokenizer:
    """Trains a Unigram vocabulary (Kudo 2018, 1804.10959) on texts whose languages the caller has balanced.

    Args:
        texts: The sample. A language that should keep whole words needs enough of it.
        vocabulary_size: Number of pieces, `<unk>` included. Fewer come out where the sample is too small.

    Returns:
        The trained tokenizer, without padding and truncation.
    """
    tokenizer = new_unigram_tokenizer()
    trainer = trainers.UnigramTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[UNKNOWN],
        unk_token=UNKNOWN,
        max_piece_length=LONGEST_PIECE,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
