"""`python -m experiments.contextual_student --out FOLDER`: layers on top of a static model, which change nothing yet.

The folder is a BERT in the layout of sentence-transformers. Its word vectors are those of the static model, and what
its attention and its feed-forward layers add is zero, so the mean of its last states is the static model's vector.
BERT's normalisation would take away the lengths of the word vectors, which say how much a word counts: sixteen further
numbers of every state, large and the same for all, keep them, for it divides by a length that hardly varies then. Ours.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Normalize, Pooling, Transformer
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from isogloss import Retriever
from isogloss.engines.static import StaticEngine

CONSTANTS = 16
HEADS = 8
LARGER = 10.0  # than the longest word vector; the states' lengths then vary by half a hundredth
LONGEST = 256


def contextual(engine: StaticEngine, layers: int, seed: int = 13) -> tuple[BertModel, PreTrainedTokenizerFast]:
    """A BERT whose mean of states is the static model's vector, times a constant, and its tokenizer."""
    words = torch.from_numpy(engine.weights.astype(np.float32))
    pieces, dimension = words.shape
    width = dimension + CONSTANTS
    torch.manual_seed(seed)
    model = BertModel(
        BertConfig(
            vocab_size=pieces,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=HEADS,
            intermediate_size=2 * width,
            max_position_embeddings=LONGEST,
            type_vocab_size=1,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        ),
        add_pooling_layer=False,
    )
    constant = LARGER * float(words.norm(dim=1).max()) / CONSTANTS**0.5
    signs = torch.tensor([1.0, -1.0]).repeat(CONSTANTS // 2)
    length = constant * (CONSTANTS / width) ** 0.5
    with torch.no_grad():
        for parameters in (model.embeddings.position_embeddings, model.embeddings.token_type_embeddings):
            parameters.weight.zero_()
        model.embeddings.word_embeddings.weight.zero_()
        model.embeddings.word_embeddings.weight[:, :dimension] = words
        # The normalisation takes the mean of a state away as well: one of the constants makes it zero.
        model.embeddings.word_embeddings.weight[:, dimension] = -words.sum(dim=1)
        model.embeddings.token_type_embeddings.weight[0, dimension:] = constant * signs
        model.embeddings.LayerNorm.weight.fill_(length)
        for layer in model.encoder.layer:
            for part in (layer.attention.output, layer.output):
                part.dense.weight.zero_()
                part.dense.bias.zero_()
                part.LayerNorm.weight.fill_(length)
        last = model.encoder.layer[-1].output.LayerNorm.weight
        last[dimension:] = 0
    # A static model adds no special tokens, so they have no place here either.
    cut = Tokenizer.from_str(json.dumps(json.loads(engine.tokenizer.to_str()) | {"post_processor": None}))
    filling = cut.id_to_token(0)  # any piece will do: what is filled up is not attended to
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=cut, pad_token=filling, model_max_length=LONGEST)
    return model, tokenizer


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the folder; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="bundled", help="a static model")
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    engine = Retriever.load(given.model).query.engine
    if not isinstance(engine, StaticEngine):
        parser.error(f"--model {given.model} is not static")
    model, tokenizer = contextual(engine, given.layers)
    backbone = given.out.with_name(f"{given.out.name}-backbone")
    model.save_pretrained(backbone)
    tokenizer.save_pretrained(backbone)
    transformer = Transformer(str(backbone), max_seq_length=LONGEST)
    modules = [transformer, Pooling(model.config.hidden_size, "mean"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(given.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
