"""What every section of a recipe is: fields that are named, checked, and not changed afterwards."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section with these fields and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OpenSection(BaseModel):
    """A section whose further fields belong to a term or to a kind of source, which checks them."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @property
    def options(self) -> dict[str, Any]:
        """The fields that this section itself does not know."""
        return dict(self.model_extra or {})
