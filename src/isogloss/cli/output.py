"""What every verb shares: where results go, how errors are shown, and the exit codes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from isogloss.cli.printable import printable
from isogloss.errors import Fault, FileError, IsoglossError, UsageError, raise_faults
from isogloss.files.system import as_file_error

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


class Exit(IntEnum):
    """Exit codes of all verbs."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    GATE_MISSED = 3
    INTERRUPTED = 130


JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
DryRunFlag = Annotated[bool, typer.Option("--dry-run", help="Check all and say what would be done; write nothing.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; may be repeated."),
]


WIDTH_WITHOUT_TERMINAL = 140
TELL_THEMSELVES = frozenset({"query", "overrides"})  # whose verbs say what is wrong with an empty text


class Reporter:
    """Writes results for people or, with `as_json`, for programs.

    People read text and tables on standard output; programs read one JSON object there. Progress and notes go to
    standard error in both cases.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    @cached_property
    def console(self) -> Console:
        """Standard output, for tables and the like; imported when there are any."""
        from rich.console import Console

        width = None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
        # Paths, ids and texts may hold [brackets] and :colons:, which rich would take for its own marks.
        return Console(quiet=self.as_json, highlight=False, markup=False, emoji=False, soft_wrap=True, width=width)

    def line(self, text: str, *, bold: bool = False) -> None:
        """Shows one line of plain text to people."""
        if not self.as_json:
            typer.secho(text, bold=bold)

    def show(self, *parts: RenderableType) -> None:
        """Shows text or a table to people."""
        self.console.print(*parts)

    def note(self, text: str) -> None:
        """Says something beside the result, on standard error."""
        typer.echo(text, err=True)

    def result(self, value: Any) -> None:
        """Prints the result for programs."""
        if self.as_json:
            sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


@contextmanager
def reported_errors(as_json: bool = False, *, goes_on: bool = False) -> Iterator[None]:
    """Turns our errors and the system's into a message and an exit code; all others are bugs and keep their traceback.

    The message is text on standard error, and with `as_json` one JSON object on standard output beside it.

    Args:
        as_json: Whether the caller is a program.
        goes_on: Whether the verb, stopped and called again, goes on where it was.
    """
    try:
        yield
    except IsoglossError as error:
        _print_error(error, as_json)
        raise typer.Exit(Exit.USAGE if isinstance(error, UsageError) else Exit.FAILURE) from None
    except KeyboardInterrupt:
        kept = " What was finished is kept; the same command goes on from there." if goes_on else ""
        sys.stderr.write(f"\nStopped.{kept}\n")
        raise typer.Exit(Exit.INTERRUPTED) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(Exit.FAILURE) from None
    except OSError as error:
        _print_error(_as_our_error(error), as_json)
        raise typer.Exit(Exit.FAILURE) from None


class CheckedCommand(TyperCommand):
    """A verb whose texts are looked at before it begins, as they were typed: an empty path would be read as `.`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the arguments, and ends the program where texts are empty or no UTF-8."""
        rest = super().parse_args(ctx, list(args))
        typed, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        with reported_errors(bool(ctx.params.get("as_json"))):
            _check_texts(self.params, typed, ctx.params)
        return rest


def _check_texts(parameters: Iterable[Any], typed: Mapping[str, Any], read: Mapping[str, Any]) -> None:
    """Refuses texts that are no UTF-8, which nothing could print or write, and empty ones where a value is wanted.

    Args:
        parameters: Arguments and options of the verb.
        typed: Their texts.
        read: What came of the texts; names of files may have any bytes.

    Raises:
        UsageError: With all of them.
    """
    faults = []
    for parameter in parameters:
        values, found = typed.get(parameter.name), read.get(parameter.name)
        is_path = any(isinstance(one, Path) for one in (found if isinstance(found, (list, tuple)) else [found]))
        where = next((text for text in parameter.opts if text.startswith("--")), parameter.name)
        for text in values if isinstance(values, (list, tuple)) else [values]:
            if not isinstance(text, str):
                continue
            if not is_path and any(0xD800 <= ord(letter) <= 0xDFFF for letter in text):
                shown = text.encode("utf-8", "backslashreplace").decode()
                faults.append(Fault(where, f"'{shown}' has bytes that are not UTF-8", "text in UTF-8"))
            elif not text and parameter.default != "" and parameter.name not in TELL_THEMSELVES:
                faults.append(Fault(where, "is empty", "a path, a name or another value; '.' is the current folder"))
    raise_faults(UsageError, "arguments", faults, "Nothing was started.")


def _as_our_error(error: OSError) -> IsoglossError:
    if error.errno is None:
        return FileError(str(error) or type(error).__name__, next_step="Check the paths, the disk and the network.")
    return as_file_error(error, Path.cwd(), "use")


def _print_error(error: IsoglossError, as_json: bool) -> None:
    if as_json:
        faults = [{"where": fault.where, "message": fault.message, "allowed": fault.allowed} for fault in error.faults]
        body = {"type": type(error).__name__, "message": error.message, "faults": faults, "next_step": error.next_step}
        sys.stdout.write(json.dumps({"error": body}, ensure_ascii=False, indent=2) + "\n")
    sys.stderr.write(f"{printable(str(error))}\n")
