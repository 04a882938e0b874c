"""Named groups are the weights that the method means, in whatever backbone, and freezing one freezes exactly them.

1. In E5-small's shape they have the sizes that the method's description counts, under BERT's own names.
2. Backbones that name and build their layers otherwise have them too; a pooler and a position bias are in none.
3. What is frozen stays as it is bit for bit, and every other trained weight moves.
4. A group that a model does not have is an error that says what it has.
"""

from __future__ import annotations

import re

import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModel, BertConfig, T5EncoderModel

from isogloss.errors import RecipeError
from isogloss.recipe import parse_recipe
from isogloss.training import train
from isogloss.training.groups import group_names
from tests.training.runs import recipe_content

SMALL = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40}
T5 = {"vocab_size": 60, "d_model": 16, "d_kv": 8, "d_ff": 40, "num_layers": 2, "num_heads": 2}
DISTILBERT = {"vocab_size": 60, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 40}
ALBERT = {**SMALL, "embedding_size": 8}
QWEN = {**SMALL, "num_key_value_heads": 1, "head_dim": 12}
BACKBONES = {
    "XLMRobertaConfig": (SMALL, r"encoder\.layer\.\d\.", r"output\.dense", r"attention\.output\.dense", 3),
    "MPNetConfig": (SMALL, r"encoder\.layer\.\d\.", r"output\.dense", r"attention\.attn\.o", 2),
    "ModernBertConfig": ({**SMALL, "pad_token_id": 0}, r"layers\.\d\.", r"mlp\.Wo", r"attn\.Wo", 1),
    "DistilBertConfig": (DISTILBERT, r"transformer\.layer\.\d\.", r"ffn\.lin2", r"attention\.out_lin", 2),
    "DebertaV2Config": (SMALL, r"encoder\.layer\.\d\.", r"output\.dense", r"attention\.output\.dense", 2),
    "AlbertConfig": (ALBERT, r"encoder.*albert_layers\.0\.", r"ffn_output", r"attention\.dense", 3),
    "Qwen3Config": (QWEN, r"layers\.\d\.", r"mlp\.down_proj", r"self_attn\.o_proj", 1),
    "T5Config": (T5, r"encoder\.block\.\d\.layer\.", r"1\.DenseReluDense\.wo", r"0\.SelfAttention\.o", 1),
}


def backbone(config):
    with torch.device("meta"):
        return T5EncoderModel(config) if config.model_type == "t5" else AutoModel.from_config(config)


def test_the_counts_of_e5_small():
    shape = {"vocab_size": 250_037, "hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 12}
    model = backbone(BertConfig(**shape, intermediate_size=1536, max_position_embeddings=512))
    sizes = {name: value.numel() for name, value in model.named_parameters()}
    groups = group_names(model)
    counted = {group: sum(sizes[name] for name in names) for group, names in groups.items()}
    tables = 384 * (250_037 + 512 + 2)
    assert counted == {
        "ffn_out": 7_077_888,
        "attn_out": 1_769_472,
        "both": 7_077_888 + 1_769_472,
        "embeddings": tables,
    }
    pattern = re.compile(r"^encoder\.layer\.\d+\.(attention\.)?output\.dense\.weight$")
    assert set(groups["both"]) == {name for name in sizes if pattern.match(name)}


@pytest.mark.parametrize("kind", BACKBONES)
def test_other_backbones(kind):
    options, layer, feed_forward, attention, tables = BACKBONES[kind]
    model = backbone(getattr(transformers, kind)(**options))
    groups = group_names(model)
    names = [name for name, _ in model.named_parameters()]
    expected = {
        "ffn_out": [name for name in names if re.fullmatch(rf"{layer}{feed_forward}\.weight", name)],
        "attn_out": [name for name in names if re.fullmatch(rf"{layer}{attention}\.weight", name)],
    }
    assert len(expected["ffn_out"]) == len(expected["attn_out"]) == (1 if kind == "AlbertConfig" else 2)
    assert {group: sorted(groups[group]) for group in expected} == expected
    assert len(groups["embeddings"]) == tables
    assert all("embed" in name or name == "shared.weight" for name in groups["embeddings"])


FROZEN = {
    "none": r"(?!)",
    "ffn_out": r"layer\.\d\.output\.dense\.weight$",
    "attn_out": r"attention\.output\.dense\.weight$",
    "both": r"output\.dense\.weight$",
    "embeddings": r"_embeddings\.weight$",
}


@pytest.mark.parametrize("group", FROZEN)
def test_exactly_the_named_weights_stay(tmp_path, tiny_transformer, group):
    content = recipe_content(tmp_path, tiny_transformer, freeze=group, max_steps=2)
    report = train(parse_recipe(content), tmp_path / "out")
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_transformer, report.model))
    same = {name for name in before if torch.equal(before[name], after[name])}
    # The pooler computes nothing that the mean of the tokens needs.
    assert same == {name for name in before if re.search(FROZEN[group], name) or name.startswith("pooler.")}
    sizes = {name: value.numel() for name, value in before.items()}
    ffn = 0 if group in ("ffn_out", "both") else 2 * 48 * 32
    line = next(line for line in report.plan.lines() if line.startswith("trained by group"))
    assert f"ffn_out {ffn:,} of {2 * 48 * 32:,}" in line
    tables = sum(size for name, size in sizes.items() if name.endswith("_embeddings.weight"))
    assert f"embeddings {0 if group == 'embeddings' else tables:,} of {tables:,}" in line


def test_a_group_that_is_not_there_is_named(tmp_path, tiny_static):
    content = recipe_content(tmp_path, tiny_static, freeze="ffn_out")
    with pytest.raises(RecipeError, match=r"'ffn_out' is no group of the trained weights.*embeddings"):
        train(parse_recipe(content), tmp_path / "out")
    with pytest.raises(RecipeError, match="leaves nothing to train"):
        train(parse_recipe(recipe_content(tmp_path, tiny_static, freeze="embeddings")), tmp_path / "out")
