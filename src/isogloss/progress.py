"""Progress bars on standard error, so that standard output stays for results."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress


class EncodingProgress(Protocol):
    """Takes the numbers of texts and of tokens finished since its last call."""

    def __call__(self, texts: int, tokens: int = 0, /) -> None:
        """Notes them; texts without tokens are done and were not encoded now."""


@contextmanager
def progress_bar(description: str, total: int | None, *, show: bool = True) -> Iterator[Callable[[int], None]]:
    """Shows a bar while its block runs and gives a function that advances it.

    Args:
        description: What is being done, shown before the bar.
        total: How many units there are, or None where that is not known.
        show: Whether anything is shown at all. Without a terminal one line appears at the end.

    Yields:
        A function that takes the number of units finished since its last call.
    """
    if not show:
        yield lambda count: None
        return
    with _bar() as bar:
        task = bar.add_task(description, total=total, note="")
        yield lambda count: bar.advance(task, count)


@contextmanager
def encoding_bar(description: str, total: int | None, *, show: bool = True) -> Iterator[EncodingProgress]:
    """As `progress_bar` for texts that are encoded: shows texts and tokens per second beside the bar.

    Args:
        description: What is being encoded.
        total: How many texts there are, or None where that is not known.
        show: Whether anything is shown at all.

    Yields:
        A function that takes the numbers of texts and of tokens finished since its last call.
    """
    if not show:
        yield lambda texts, tokens=0: None
        return
    with _bar() as bar:
        task = bar.add_task(description, total=total, note="")
        speed = EncodingSpeed()

        def advance(texts: int, tokens: int = 0) -> None:
            speed.add(texts, tokens)
            bar.update(task, advance=texts, note=str(speed))

        yield advance


class EncodingSpeed:
    """Texts and tokens per second since it was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.texts = 0
        self.tokens = 0

    def add(self, texts: int, tokens: int) -> None:
        """Counts texts that were encoded; those without tokens were not."""
        if tokens:
            self.texts += texts
            self.tokens += tokens

    def __str__(self) -> str:
        if not self.tokens:
            return ""
        seconds = max(time.perf_counter() - self._began, 1e-9)
        return f"{self.texts / seconds:,.0f} texts/s, {self.tokens / seconds:,.0f} tokens/s"


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(file=sys.stderr))
