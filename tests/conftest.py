"""Tiny models, made in memory for every test run: no network, no downloads, a few hundred kilobytes.

Texts in six scripts train the tokenizers, so that every script has its own pieces. Weights are drawn from a fixed seed.
"""

from __future__ import annotations

import math
import os
from collections import Counter

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TINY_TEXTS = (
    "The lighthouse keeper counts the ships that pass at night.",
    "Where does the river reach the sea?",
    "Der Leuchtturmwärter zählt die Schiffe in der Nacht.",
    "¿Dónde llega el río al mar?",
    "Смотритель маяка считает корабли ночью.",
    "Где река впадает в море?",
    "حارس المنارة يعد السفن في الليل.",
    "प्रकाशस्तंभ का रक्षक रात में जहाज़ गिनता है।",
    "ผู้ดูแลประภาคารนับเรือในเวลากลางคืน",
    "灯塔看守人在夜里数船。",
    "Bread is baked early in the morning, before the market opens.",
    "Хлеб пекут рано утром, до открытия рынка.",
)
UNKNOWN = "[UNK]"
PIECES = 500
SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
STATIC_DIMENSION = 24
TRANSFORMER_DIMENSION = 32


def build_tokenizer(kind: str) -> Tokenizer:
    """A `WordPiece`, `BPE` or `Unigram` tokenizer of about 500 pieces over six scripts, the same in every process.

    The trainers of WordPiece and Unigram go through hash tables in an order that differs from process to process, so
    that their pieces, and all that a test measures with them, would differ from run to run: these two are counted here.
    """
    normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    if kind == "WordPiece":
        splitter = pre_tokenizers.BertPreTokenizer()
        counts = _counted_pieces(normalizer, splitter, continuation="##")
        pieces = [*SPECIAL_TOKENS, *counts]
        tokenizer = Tokenizer(
            models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token=UNKNOWN)
        )
    elif kind == "BPE":
        splitter = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
        tokenizer.decoder = decoders.ByteLevel()
    else:
        splitter = pre_tokenizers.Metaspace()
        counts = _counted_pieces(normalizer, splitter)
        total = sum(counts.values())
        scored = [(token, 0.0) for token in SPECIAL_TOKENS]
        scored += [(piece, math.log(count / total)) for piece, count in counts.items()]
        tokenizer = Tokenizer(models.Unigram(scored, unk_id=SPECIAL_TOKENS.index(UNKNOWN)))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    if kind == "BPE":
        trainer = trainers.BpeTrainer(
            vocab_size=PIECES,
            special_tokens=SPECIAL_TOKENS,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(TINY_TEXTS, trainer)
    else:
        tokenizer.add_special_tokens(SPECIAL_TOKENS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def _counted_pieces(
    normalizer: normalizers.Normalizer, splitter: pre_tokenizers.PreTokenizer, continuation: str = ""
) -> dict[str, int]:
    """All characters and the strings of up to six characters that cover most of the texts, each with its count."""
    counts: Counter[str] = Counter()
    for text in TINY_TEXTS:
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)):
            for start in range(len(word)):
                for end in range(start + 1, min(start + 6, len(word)) + 1):
                    counts[(continuation if start else "") + word[start:end]] += 1
    characters = sorted(piece for piece in counts if len(piece.removeprefix(continuation)) == 1)
    longer = sorted(counts.keys() - set(characters), key=lambda piece: (-counts[piece] * len(piece), piece))
    kept = characters + longer[: max(0, PIECES - len(SPECIAL_TOKENS) - len(characters))]
    return {piece: counts[piece] for piece in kept}


def static_modules(kind: str = "Unigram", seed: int = 0) -> list:
    """A `StaticEmbedding` and a `Normalize` module."""
    import torch
    from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding

    tokenizer = build_tokenizer(kind)
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(tokenizer.get_vocab_size(), STATIC_DIMENSION, generator=generator)
    return [StaticEmbedding(tokenizer, embedding_weights=weights), Normalize()]


def bert_folder(folder: Path, kind: str = "WordPiece", seed: int = 0, max_length: int = 32) -> Path:
    """A transformers checkpoint: a BERT of two layers with dropout, random weights, and its tokenizer."""
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    tokenizer = build_tokenizer(kind)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        **{f"{token.strip('[]').lower()}_token": token for token in SPECIAL_TOKENS},
    )
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=TRANSFORMER_DIMENSION,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=max_length,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(config)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def bert_modules(folder: Path, kind: str = "WordPiece", seed: int = 0) -> list:
    """`Transformer`, mean `Pooling` and `Normalize` modules over `bert_folder`."""
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    transformer = Transformer(str(bert_folder(folder, kind, seed)))
    return [transformer, Pooling(TRANSFORMER_DIMENSION, "mean"), Normalize()]


def save_sentence_transformer(modules: list, folder: Path, prompts: dict[str, str] | None = None) -> Path:
    """Saves modules with the installed sentence-transformers, as a user would."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(modules=modules, prompts=prompts, similarity_fn_name="cosine", device="cpu")
    model.save(str(folder), create_model_card=False)
    return folder


@pytest.fixture(scope="session")
def tiny_static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static sentence-transformers folder (Unigram); do not write into it."""
    return save_sentence_transformer(static_modules(), tmp_path_factory.mktemp("models") / "static")


@pytest.fixture(scope="session")
def tiny_transformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT sentence-transformers folder (WordPiece) with role prompts; do not write into it."""
    parent = tmp_path_factory.mktemp("models")
    prompts = {"query": "query: ", "document": "passage: "}
    return save_sentence_transformer(bert_modules(parent / "bert"), parent / "transformer", prompts)


@pytest.fixture(scope="session")
def tiny_untied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Router folder whose query and passage towers are two static models; do not write into it."""
    from sentence_transformers.sentence_transformer.modules import Router

    router = Router.for_query_document(static_modules(seed=1), static_modules(seed=2))
    return save_sentence_transformer([router], tmp_path_factory.mktemp("models") / "untied")


@pytest.fixture(scope="session")
def tiny_untied_transformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Router folder whose towers are two BERT models with role prompts; do not write into it."""
    from sentence_transformers.sentence_transformer.modules import Router

    parent = tmp_path_factory.mktemp("models")
    towers = [bert_modules(parent / f"bert{seed}", seed=seed) for seed in (1, 2)]
    prompts = {"query": "query: ", "document": "passage: "}
    return save_sentence_transformer([Router.for_query_document(*towers)], parent / "untied", prompts)


@pytest.fixture(params=["WordPiece", "BPE", "Unigram"])
def every_tokenizer(request: pytest.FixtureRequest) -> Callable[[], Tokenizer]:
    """A maker of each of the three kinds of tokenizers."""
    return lambda: build_tokenizer(request.param)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of shared data: ISOGLOSS_SHARED, or `shared` beside the repository; the test is skipped without it."""
    named = os.environ.get("ISOGLOSS_SHARED")
    folder = (Path(named) if named else Path(__file__).resolve().parents[2] / "shared") / "data"
    if not folder.is_dir():
        pytest.skip("no shared data here; set ISOGLOSS_SHARED to their folder")
    return folder
