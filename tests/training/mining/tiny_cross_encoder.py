"""A cross-encoder of two layers, made in memory."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import SPECIAL_TOKENS, build_tokenizer


def save_cross_encoder(folder: Path, labels: int = 1) -> Path:
    """Saves it as transformers does, with weights large enough that its scores differ."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    tokenizer = build_tokenizer("WordPiece")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=96,
        **{f"{token.strip('[]').lower()}_token": token for token in SPECIAL_TOKENS},
    )
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=96,
        initializer_range=0.3,
        num_labels=labels,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        model = BertForSequenceClassification(config)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder
