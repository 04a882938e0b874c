"""Where training texts come from: one kind of source per file, each an entry of `SOURCE_KINDS`.

A new kind is a frozen dataclass of its options with `open(settings, context) -> Source`, marked by `@source_kind`, and
one more entry here. `TableSource` serves every kind whose rows can be listed beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from isogloss.training.sources.base import Drawn, Source, SourceContext, TableSource, source_kind
from isogloss.training.sources.code_switched import CodeSwitchedKind
from isogloss.training.sources.multiway import MultiwayKind
from isogloss.training.sources.nonparallel import NonparallelKind
from isogloss.training.sources.parallel import ParallelKind
from isogloss.training.sources.rows import RowsKind

SOURCE_KINDS: Mapping[str, type[Any]] = MappingProxyType(
    {
        "rows": RowsKind,
        "parallel": ParallelKind,
        "nonparallel": NonparallelKind,
        "multiway": MultiwayKind,
        "code_switched": CodeSwitchedKind,
    }
)

__all__ = [
    "SOURCE_KINDS",
    "CodeSwitchedKind",
    "Drawn",
    "MultiwayKind",
    "NonparallelKind",
    "ParallelKind",
    "RowsKind",
    "Source",
    "SourceContext",
    "TableSource",
    "source_kind",
]
