"""The program `isogloss`: its verbs, each with an example in its help.

Each verb is a module of its own, imported when the verb is called, so that `isogloss search` waits for nothing that
`isogloss train` needs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Any

import typer

from isogloss import __version__
from isogloss.cli.output import CheckedCommand


@dataclass(frozen=True)
class Verb:
    """Where a verb is.

    Attributes:
        module: The module of `isogloss.cli`.
        function: Its function; or the application of a verb that has verbs of its own, which carry their examples.
        example: The end of its help.
    """

    module: str
    function: str
    example: str = ""


VERBS: Mapping[str, Verb] = MappingProxyType(
    {
        "demo": Verb("demo", "demo", "isogloss demo --out demo"),
        "init": Verb("init", "init", "isogloss init --labels english --rows rows.jsonl --out recipe.yaml"),
        "encode": Verb("encode", "encode", "isogloss encode corpus.jsonl --out my-bank"),
        "index": Verb("index", "index", "isogloss index my-bank --out my-index"),
        "mine": Verb("mine", "mine", "isogloss mine rows.jsonl --bank my-bank --out mined.jsonl --fraction 0.95"),
        "train": Verb(
            "train", "train", "isogloss train english-query-tuning --out tuned --set sources.rows.path=rows.jsonl"
        ),
        "search": Verb("search", "search", 'isogloss search my-bank "wie entsteht ein Regenbogen?" -k 5 --language de'),
        "serve": Verb("serve", "serve", "isogloss serve my-index --port 8000"),
        "evaluate": Verb("evaluate", "evaluate", "isogloss evaluate bundled --data my-set --out before --bm25"),
        "compare": Verb("compare", "compare", "isogloss compare before after --data my-set --fail-if-worse"),
        "report": Verb("report", "report", "isogloss report my-runs --data my-set --baseline bm25-runs --out audit"),
        "merge": Verb("merge", "merge", "isogloss merge bundled tuned/model --out merged --shares 0.3,0.7"),
        "card": Verb("card", "card", "isogloss card tuned/model --report scores --licence apache-2.0"),
        "generate": Verb(
            "generate",
            "generate",
            "isogloss generate rows.jsonl --generator g/model --language sw --out taught.jsonl",
        ),
        "export": Verb("export", "export", "isogloss export bundled --out exported --onnx"),
        "trim-vocabulary": Verb(
            "trim_vocabulary",
            "trim_vocabulary",
            "isogloss trim-vocabulary bundled --corpus isogloss-demo --language de --language en --out smaller",
        ),
        "answers": Verb(
            "answers",
            "answers",
            "isogloss answers runs/ja-en.trec.gz --questions questions.jsonl --corpus corpus.jsonl",
        ),
        "doctor": Verb("doctor", "doctor", "isogloss doctor"),
        "generator": Verb("generator", "generator_app"),
        "recipe": Verb("recipe", "recipe_app"),
        "data": Verb("data", "data_app"),
        "mteb": Verb("mteb", "mteb_app"),
    }
)


def build_app(verbs: Iterable[str]) -> typer.Typer:
    """The program with some of its verbs, whose modules are imported."""
    built = typer.Typer(
        name="isogloss",
        help="Train, measure and serve multilingual dense retrievers.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    built.callback()(options)
    for name in verbs:
        verb = VERBS[name]
        found = getattr(import_module(f"isogloss.cli.{verb.module}"), verb.function)
        if isinstance(found, typer.Typer):
            for command in found.registered_commands:
                command.cls = CheckedCommand
            built.add_typer(found, name=name)
        else:
            built.command(name, cls=CheckedCommand, epilog=f"Example: {verb.example}")(found)
    return built


@cache
def whole_app() -> typer.Typer:
    """The program with all its verbs."""
    return build_app(VERBS)


def __getattr__(name: str) -> Any:
    if name == "app":
        return whole_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"isogloss {__version__}")
        raise typer.Exit


def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train, measure and serve multilingual dense retrievers."""


def main() -> None:
    """Entry point of the console script."""
    first = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    (build_app([first]) if first in VERBS else whole_app())()
