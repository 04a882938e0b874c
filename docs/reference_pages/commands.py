"""The page of all verbs: usage, arguments, options, the keys of `--set`, and an example, from the program itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import typer.main
from fields import field_table, table

from isogloss.cli.encode import EncodeSettings
from isogloss.cli.evaluate import EvaluateSettings
from isogloss.cli.export import ExportSettings
from isogloss.cli.index import IndexSettings
from isogloss.cli.main import app
from isogloss.cli.output import Exit
from isogloss.cli.report import ReportSettings
from isogloss.generation.endpoint import EndpointSettings
from isogloss.generation.settings import GenerateSettings, ScoreSettings
from isogloss.service.settings import ServiceSettings
from isogloss.training.mining import MiningSettings

PLACE = "reference/commands.md"
RECIPE = "Keys are the [fields of a recipe](recipes.md), such as `train.max_steps=100`."
GENERATOR = "Keys are the [fields of a generator's recipe](generator-recipes.md)."
# What `--set` can change: classes of settings, or words.
SETTINGS: Mapping[str, tuple[type[Any], ...] | str] = {
    "demo": RECIPE,
    "encode": (EncodeSettings,),
    "index": (IndexSettings,),
    "mine": (MiningSettings,),
    "train": RECIPE,
    "serve": (ServiceSettings,),
    "evaluate": (EvaluateSettings,),
    "report": (ReportSettings,),
    "generate": (GenerateSettings, EndpointSettings),
    "export": (ExportSettings,),
    "generator train": GENERATOR,
    "generator score": (ScoreSettings,),
    "recipe check": RECIPE,
}
_EXITS = {
    Exit.OK: "done",
    Exit.FAILURE: "failed",
    Exit.USAGE: "wrong usage; nothing was started",
    Exit.GATE_MISSED: "a gate was missed: a language became worse, or an export differs",
    Exit.INTERRUPTED: "stopped from the keyboard; what was finished is kept",
}


def command_pages() -> dict[str, str]:
    """Place to text."""
    head = (
        "# Commands\n\nMade from the program when this site is built; `isogloss VERB --help` says the same.\n"
        "Every verb takes `--json`: one object on standard output, notes on standard error.\n\n"
    )
    codes = table(("exit code", "meaning"), [(f"`{int(code)}`", text) for code, text in _EXITS.items()])
    return {PLACE: head + codes + "\n" + "\n".join(_section(name, command) for name, command in commands())}


def commands() -> Iterator[tuple[str, Any]]:
    """All verbs with their full names."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            yield from ((f"{name} {verb}", one) for verb, one in inner.items())


def _section(name: str, command: Any) -> str:
    parts = [f"## isogloss {name}", inspect.cleandoc(command.help or "")]
    example = (command.epilog or "").removeprefix("Example: ")
    parts.append(f"```console\n$ {example}\n```")
    parts.append(table(("argument or option", "default", "meaning"), [_row(one) for one in command.params]))
    settings = SETTINGS.get(name)
    if isinstance(settings, str):
        parts.append(f"**`--set`**: {settings}")
    elif settings:
        parts.append("**`--set`** changes:")
        parts += [field_table(cls, left_out=("url", "model")) for cls in settings]
    return "\n\n".join(parts) + "\n"


def _row(option: Any) -> tuple[str, str, str]:
    is_argument = not option.opts[0].startswith("-")
    value = option.metavar or ("" if getattr(option, "is_flag", False) else option.name.upper())
    names = [value] if is_argument else [*option.opts, *option.secondary_opts]
    shown = ", ".join(f"`{name}`" for name in names)
    if not is_argument and value:
        shown += f" `{value}`"
    default = "required" if option.required else "" if option.default in (None, "", False) else f"`{_plain(option)}`"
    return shown, default, option.help or ""


def _plain(option: Any) -> str:
    return str(getattr(option.default, "value", option.default))
