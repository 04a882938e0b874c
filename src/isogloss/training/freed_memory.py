"""Freed memory that stays with the process between the steps of a training on a CPU.

A step makes and frees arrays of megabytes. The C library gives each back to the system at once, and takes it again for
the next step: then the system clears every page anew. Of a static model's step, which computes little on what it
reads, that is a good part in a virtual machine. A transformer's step gains nothing, and its peak would grow.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Of <malloc.h>: parameters of mallopt, and their values when a process starts.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_USUAL = {_TRIM_THRESHOLD: 128 * 1024, _MMAP_MAX: 65_536}
_KEPT = {_TRIM_THRESHOLD: 2**31 - 1, _MMAP_MAX: 0}


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Within it glibc keeps what is freed; afterwards that goes back, and later memory with it. Elsewhere: nothing."""
    library = _glibc()
    if library is None:
        yield
        return
    _set(library.mallopt, _KEPT)
    try:
        yield
    finally:
        _set(library.mallopt, _USUAL)
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    # musl has neither, and another allocator that was preloaded takes no parameters of this one.
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


def _set(mallopt: Callable[[int, int], int], values: dict[int, int]) -> None:
    for parameter, value in values.items():
        mallopt(parameter, value)
