"""What isogloss raises: every error names where, what was found, what is allowed and what to do next.

A reader of a file or a recipe collects a `Fault` per problem and raises them together, so that a user mends an input
once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SHOWN_FAULTS = 20


@dataclass(frozen=True)
class Fault:
    """One problem of one input.

    Attributes:
        where: Place in the input: `file:line`, a recipe field such as `train.learning_rate`, or an argument's name.
        message: What is wrong, with the offending value in it.
        allowed: What would be right, empty where the message says it.
    """

    where: str
    message: str
    allowed: str = ""

    def __str__(self) -> str:
        text = f"{self.where}  {self.message}" if self.where else self.message
        return f"{text} ({self.allowed})" if self.allowed else text


class IsoglossError(Exception):
    """Base of all errors that isogloss raises on purpose.

    Args:
        message: What failed, in one line.
        faults: All problems found, in the order of the input.
        next_step: What the user can do about it.
    """

    def __init__(self, message: str, *, faults: Sequence[Fault] = (), next_step: str = "") -> None:
        self.message = message
        self.faults = tuple(faults)
        self.next_step = next_step
        super().__init__(self._text())

    def _text(self) -> str:
        lines = [self.message, *(f"  {fault}" for fault in self.faults[:SHOWN_FAULTS])]
        if len(self.faults) > SHOWN_FAULTS:
            lines.append(f"  … and {len(self.faults) - SHOWN_FAULTS} more")
        if self.next_step:
            lines.append(self.next_step)
        return "\n".join(lines)


class UsageError(IsoglossError):
    """An argument or option is not usable."""


class FileError(IsoglossError):
    """A file cannot be found, read or written."""


class DataError(IsoglossError):
    """A data file has broken lines, duplicate ids, empty texts or ids that resolve to nothing."""


class UnknownLanguageError(IsoglossError):
    """A language tag is in no known spelling."""


class RecipeError(IsoglossError):
    """A recipe has faults; nothing was started."""


class ModelError(IsoglossError):
    """A model folder cannot be loaded or does not fit its use."""


class StaleBankError(IsoglossError):
    """A bank or index was made by another model, tokenizer, prompt, pooling, length or precision."""


class ParityError(IsoglossError):
    """An exported model does not give the vectors of the model that it was exported from."""


class CheckpointError(IsoglossError):
    """A checkpoint is incomplete, corrupt, or of another run."""


class MissingExtraError(IsoglossError):
    """A feature needs packages of an optional extra."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs packages that are not installed",
            next_step=f"Install them: pip install 'isogloss[{extra}]'",
        )


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """Returns `; did you mean 'x'?` for the closest known value, or an empty string."""
    close = difflib.get_close_matches(value, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def raise_faults(kind: type[IsoglossError], subject: str, faults: Sequence[Fault], next_step: str = "") -> None:
    """Raises one error of `kind` with all `faults`; does nothing where there are none."""
    if faults:
        problems = "1 problem" if len(faults) == 1 else f"{len(faults)} problems"
        raise kind(f"{subject}: {problems}", faults=faults, next_step=next_step)
