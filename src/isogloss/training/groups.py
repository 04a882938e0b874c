"""Named groups of a backbone's weights, found by how its layers are built and not by what one model calls them.

`ffn_out` is the last projection of every feed-forward block and `attn_out` that of every attention block, without their
biases; in a BERT state dict both names end in `output.dense.weight`. `both` is the two together. `embeddings` are the
tables that turn tokens into vectors: of tokens, positions and types. Source: english-query-tuning (2407.00923) names
the weights; that `embeddings` leaves the norm beside the tables out is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from torch import Tensor, nn
from transformers import PreTrainedModel

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ffn_out": ("ffn_out",),
        "attn_out": ("attn_out",),
        "both": ("ffn_out", "attn_out"),
        "embeddings": ("embeddings",),
    }
)


def group_names(module: nn.Module) -> dict[str, list[str]]:
    """Names of the parameters of each group of `GROUPS` that a module has; a group without any is left out."""
    names = {id(value): name for name, value in module.named_parameters()}
    parts: dict[str, list[Tensor]] = {"embeddings": list(_tables(module)), "attn_out": [], "ffn_out": []}
    for layer in _layers(module):
        projections = _output_projections(layer)
        if projections is not None:
            parts["attn_out"].append(projections[0].weight)
            parts["ffn_out"].append(projections[1].weight)
    found = {}
    for group, members in GROUPS.items():
        wanted = dict.fromkeys(names[id(value)] for part in members for value in parts[part])
        if wanted:
            found[group] = list(wanted)
    return found


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    """Elements of the innermost lists whose elements are of one class: what a backbone repeats."""
    for candidate in module.modules():
        if _is_stack(candidate) and sum(_is_stack(inner) for inner in candidate.modules()) == 1:
            yield from candidate.children()


def _is_stack(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.ModuleList)
        and len({type(element) for element in module}) == 1
        and all(_linears(element) for element in module)
    )


def _output_projections(layer: nn.Module) -> tuple[nn.Linear, nn.Linear] | None:
    """Last projections of a layer's attention and of its feed-forward block; None where it is built otherwise.

    Attention comes first in a layer and holds at least a projection into and one out of it.
    """
    parts = [child for child in layer.children() if _linears(child)]
    while len(parts) == 1 and not isinstance(parts[0], nn.Linear):
        parts = [child for child in parts[0].children() if _linears(child)]
    if len(parts) < 2:
        return None
    attention, feed_forward = _linears(parts[0]), [linear for part in parts[1:] for linear in _linears(part)]
    if len(attention) < 2 or len(feed_forward) < 2:
        return None
    width = attention[0].in_features
    fits = (
        attention[-1].out_features == feed_forward[-1].out_features == width
        and feed_forward[0].in_features == width
        and feed_forward[-1].in_features >= attention[-1].in_features
    )
    return (attention[-1], feed_forward[-1]) if fits else None


def _linears(module: nn.Module) -> list[nn.Linear]:
    return [inner for inner in module.modules() if isinstance(inner, nn.Linear)]


def _tables(module: nn.Module) -> Iterator[Tensor]:
    """Tables of static models, and of backbones those beside the one of the tokens."""
    for inner in module.modules():
        if isinstance(inner, nn.EmbeddingBag):
            yield inner.weight
        elif isinstance(inner, PreTrainedModel):
            tokens = inner.get_input_embeddings()
            for parent in inner.modules():
                children = list(parent.children())
                if any(child is tokens for child in children):
                    yield from (child.weight for child in children if isinstance(child, nn.Embedding))
