"""Progress bars on standard error, so that standard output stays for results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as progress:
        task = progress.add_task(description, total=total)
        yield lambda count: progress.advance(task, count)
