"""How a verb loads its model: settings that `--set` can change, the same wherever vectors are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from isogloss.models.retriever import Retriever


class LoadingSettings(BaseModel):
    """How a model is loaded.

    Attributes:
        engine: What computes it: `static`, `onnx`, `openvino` or `torch`; `auto` takes the first that can.
        precision: What torch computes matrix products in; an exported model has its own. It is part of a bank's
            fingerprint.
        device: Where torch computes, such as `cpu` or `cuda:1`; by default a GPU where there is one.
        on_overflow: What happens to a text that is longer than the model reads.
    """

    model_config = ConfigDict(extra="forbid")
    engine: Literal["auto", "static", "onnx", "openvino", "torch"] = "auto"
    precision: Literal["float32", "bfloat16"] | None = None
    device: str | None = None
    on_overflow: Literal["warn", "error", "ignore"] = "warn"

    def load(self, model: str) -> Retriever:
        """The model of this folder or name.

        Raises:
            ModelError: If it cannot be loaded.
            UsageError: If its engine has no such precision or device.
        """
        from isogloss.models.retriever import Retriever

        return Retriever.load(
            model, engine=self.engine, precision=self.precision, device=self.device, on_overflow=self.on_overflow
        )
