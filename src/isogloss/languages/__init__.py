"""Language tags in any common spelling, brought to one form; scripts; names.

The one form is BCP 47 in lower case with the shortest subtag, and a script only where it is not the usual one: `de`,
`zh` (simplified), `zh-hant`, `sr-latn`, `ks-deva`, `pt-br`. Dialects keep their ISO 639-3 code (`arz`).
"""

from __future__ import annotations

from isogloss.languages.scripts import is_unspaced_script, script_of
from isogloss.languages.tags import (
    is_undetermined,
    is_unspaced,
    iso_639_3,
    known_tags,
    language_name,
    normalize,
    usual_script,
)

__all__ = [
    "is_undetermined",
    "is_unspaced",
    "is_unspaced_script",
    "iso_639_3",
    "known_tags",
    "language_name",
    "normalize",
    "script_of",
    "usual_script",
]
