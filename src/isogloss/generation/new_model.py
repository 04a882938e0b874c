"""A small encoder-decoder from nothing, so that a generator can be trained where no pre-trained one is to be had."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from isogloss.generation.settings import NewGeneratorSettings

PADDING, END, UNKNOWN = "<pad>", "</s>", "<unk>"
LONGEST_PIECE = 16
SPECIAL_TOKENS = (PADDING, END, UNKNOWN)


def new_tokenizer(texts: Iterable[str], pieces: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of at most `pieces` pieces and 256 bytes, whose texts end with `</s>`.

    BPE, because a resumed run makes it again: the trainer of Unigram pieces gives other ones each time. Case is kept,
    for what is generated is read by people.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=pieces + 256,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=LONGEST_PIECE,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    end = tokenizer.token_to_id(END)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, end)])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=PADDING,
        eos_token=END,
        unk_token=UNKNOWN,
        clean_up_tokenization_spaces=False,
    )


def new_model(settings: NewGeneratorSettings, tokenizer: Any) -> T5ForConditionalGeneration:
    """A T5 with random weights for a tokenizer."""
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=settings.dimension,
        d_kv=settings.dimension // settings.heads,
        d_ff=settings.feed_forward,
        num_layers=settings.layers,
        num_heads=settings.heads,
        dropout_rate=settings.dropout,
        feed_forward_proj="gated-gelu",
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    config.decoder_start_token_id = tokenizer.pad_token_id
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return T5ForConditionalGeneration(config)
