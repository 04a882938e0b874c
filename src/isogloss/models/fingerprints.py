"""What made a vector, by named part, so that a stale bank can say which part differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isogloss.engines.hashing import parts_digest


@dataclass(frozen=True)
class Fingerprint:
    """The parts that decide a tower's vectors; equal parts mean equal vectors.

    Attributes:
        parts: Value by part: weights, tokenizer, prompt, pooling, normalisation, max_length, precision, title_template.
    """

    parts: Mapping[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 over all parts."""
        return parts_digest(self.parts)

    def differences(self, other: Fingerprint) -> list[str]:
        """Names of the parts in which the two differ, sorted."""
        return sorted(name for name in {*self.parts, *other.parts} if self.parts.get(name) != other.parts.get(name))
