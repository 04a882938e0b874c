"""Word segmenters for scripts without spaces, from other packages, through the entry points `isogloss.segmenters`.

An entry point is named by an ISO 15924 script code (`Thai`, `Hani`, `Jpan`, `Khmr`, …) and gives a function from a text
to its words. Without one, pairs of characters are the terms. For example, in a package of yours::

    [project.entry-points."isogloss.segmenters"]
    Thai = "my_package:thai_words"
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

from isogloss.errors import DataError, Fault, raise_faults
from isogloss.indexing.tokens import TOKENIZER_VERSION, Segmenter

GROUP = "isogloss.segmenters"


def installed_segmenters() -> dict[str, Segmenter]:
    """Segmenters by script, of the packages that are installed.

    Raises:
        DataError: With all entry points that two packages claim, or that cannot be loaded.
    """
    by_script: dict[str, EntryPoint] = {}
    faults = []
    for point in entry_points(group=GROUP):
        if point.name in by_script:
            claims = f"{by_script[point.name].value} and {point.value}"
            faults.append(Fault(point.name, f"two packages bring a segmenter: {claims}"))
        by_script[point.name] = point
    segmenters = {}
    for script, point in by_script.items():
        try:
            segmenters[script] = point.load()
        except (ImportError, AttributeError) as broken:
            faults.append(Fault(script, f"{point.value} cannot be loaded: {broken}"))
    raise_faults(DataError, "Segmenters", faults, "Uninstall what does not load.")
    return segmenters


def tokenizer_identity(segmenters: Mapping[str, Segmenter]) -> str:
    """What decides the terms of a text; a lexical index of another identity is made again."""
    named = [f"{script}={cut.__module__}:{getattr(cut, '__qualname__', '')}" for script, cut in segmenters.items()]
    return " ".join([TOKENIZER_VERSION, *sorted(named)])
