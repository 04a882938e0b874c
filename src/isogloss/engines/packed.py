"""A transformer over texts that lie one behind another in one row, so that nothing is computed on padding.

For GPUs, where a batch has thousands of tokens and a kernel attends within each text. On a processor, texts sorted by
length leave so little padding that this gains nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, cast

import numpy as np
import torch
import transformers
from torch import Tensor
from torch.nn import functional as F

ATTENTION = "isogloss_packed"
# Each of their layers attends to the whole text, through the attention that the configuration names, and scales scores
# by the root of a head's width, as torch does by itself.
ARCHITECTURES = ("bert", "camembert", "electra", "roberta", "xlm-roberta")
AMPERE = (8, 0)  # the first GPUs that the kernel knows


@dataclass(frozen=True)
class Packing:
    """Where the texts of a row begin and end.

    Attributes:
        starts: int32 of shape (texts + 1,): where each text begins, and the end of the last.
        places: int64 of shape (tokens,): place of each token in rows of equal length, one a text, behind one another.
        mask: bool of shape (texts, longest): where such a row has a token.
    """

    starts: Tensor
    places: Tensor
    mask: Tensor

    @classmethod
    def of(cls, counts: Sequence[int], device: torch.device) -> Packing:
        """The packing of texts with these numbers of tokens, each at least one."""
        mask = np.arange(max(counts)) < np.asarray(counts)[:, None]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        arrays = (starts, np.flatnonzero(mask), mask)
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))

    def apart(self, packed: Tensor) -> Tensor:
        """Of shape (texts, longest, …), zeros behind the texts, from a tensor of shape (tokens, …)."""
        texts, longest = self.mask.shape
        padded = packed.new_zeros((texts * longest, *packed.shape[1:]))
        padded[self.places] = packed
        return padded.view(texts, longest, *packed.shape[1:])

    def together(self, padded: Tensor) -> Tensor:
        """Of shape (tokens, …), from a tensor as `apart` gives it."""
        return padded.flatten(0, 1)[self.places]


def can_pack(model: Any) -> bool:
    """Whether a transformers model computes a packed row as it computes its texts apart."""
    own_code = not type(model).__module__.startswith("transformers.models.")
    if own_code or int(transformers.__version__.split(".")[0]) < 5:
        return False
    config = model.config
    return config.model_type in ARCHITECTURES and not config.is_decoder and not config.output_hidden_states


@contextmanager
def packed_attention(model: Any) -> Iterator[None]:
    """Within it `model` attends within each text of a packed row; afterwards as before."""
    transformers.AttentionInterface.register(ATTENTION, _attend)
    transformers.AttentionMaskInterface.register(ATTENTION, _no_mask)
    usual = model.config._attn_implementation
    model.set_attn_implementation(ATTENTION)
    try:
        yield
    finally:
        model.set_attn_implementation(usual)


def packed_positions(model: Any, counts: Sequence[int]) -> Tensor:
    """int64 of shape (1, tokens): from 0 in each text, but for RoBERTa and its kin from one behind that of padding."""
    padding: int | None = model.embeddings.position_embeddings.padding_idx
    first = 0 if padding is None else padding + 1
    return torch.cat([torch.arange(first, first + count) for count in counts])[None]


def _no_mask(**_: object) -> None:
    """The packing says what a token attends to."""


def _attend(
    layer: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: None, *, packing: Packing, **_: object
) -> tuple[Tensor, None]:
    """Attention within each text, without dropout, as transformers calls it.

    Args:
        layer: The layer that asks.
        query: Of shape (1, heads, tokens, width of a head).
        key: As `query`.
        value: As `query`.
        mask: Nothing.
        packing: Where the texts are.

    Returns:
        Of shape (1, tokens, heads, width of a head), and no weights.
    """
    queries, keys, values = (states[0].transpose(0, 1).contiguous() for states in (query, key, value))
    if query.is_cuda and _kernel_knows(query):
        from torch.nn.attention.varlen import varlen_attn

        starts, longest = packing.starts, packing.mask.shape[1]
        found = cast("Tensor", varlen_attn(queries, keys, values, starts, starts, longest, longest))
        return found.unsqueeze(0), None
    queries, keys, values = (packing.apart(states).transpose(1, 2) for states in (queries, keys, values))
    padded = F.scaled_dot_product_attention(queries, keys, values, attn_mask=packing.mask[:, None, None])
    return packing.together(padded.transpose(1, 2))[None], None


def _kernel_knows(states: Tensor) -> bool:
    halved = states.dtype in (torch.bfloat16, torch.float16)
    installed = find_spec("torch.nn.attention.varlen") is not None  # since torch 2.10
    return halved and installed and torch.cuda.get_device_capability(states.device) >= AMPERE
