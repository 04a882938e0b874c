"""The program `isogloss`: its verbs, each with an example in its help."""

from __future__ import annotations

from typing import Annotated

import typer

from isogloss import __version__
from isogloss.cli.answers import answers
from isogloss.cli.card import card
from isogloss.cli.compare import compare
from isogloss.cli.data import data_app
from isogloss.cli.demo import demo
from isogloss.cli.doctor import doctor
from isogloss.cli.encode import encode
from isogloss.cli.evaluate import evaluate
from isogloss.cli.export import export
from isogloss.cli.generate import generate
from isogloss.cli.generator import generator_app
from isogloss.cli.index import index
from isogloss.cli.init import init
from isogloss.cli.merge import merge
from isogloss.cli.mine import mine
from isogloss.cli.mteb import mteb_app
from isogloss.cli.recipe import recipe_app
from isogloss.cli.report import report
from isogloss.cli.search import search
from isogloss.cli.serve import serve
from isogloss.cli.train import train
from isogloss.cli.trim_vocabulary import trim_vocabulary

app = typer.Typer(
    name="isogloss",
    help="Train, measure and serve multilingual dense retrievers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"isogloss {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train, measure and serve multilingual dense retrievers."""


app.command(epilog="Example: isogloss demo --out demo")(demo)
app.command(epilog="Example: isogloss init --labels english --rows rows.jsonl --out recipe.yaml")(init)
app.command(epilog="Example: isogloss encode corpus.jsonl --out my-bank")(encode)
app.command(epilog="Example: isogloss index my-bank --out my-index")(index)
app.command(epilog="Example: isogloss mine rows.jsonl --bank my-bank --out mined.jsonl --fraction 0.95")(mine)
app.command(epilog="Example: isogloss train english-query-tuning --out tuned --set sources.rows.path=rows.jsonl")(train)
app.command(epilog='Example: isogloss search my-bank "wie entsteht ein Regenbogen?" -k 5 --language de')(search)
app.command(epilog="Example: isogloss serve my-index --port 8000")(serve)
app.command(epilog="Example: isogloss evaluate bundled --data my-set --out before --bm25")(evaluate)
app.command(epilog="Example: isogloss compare before after --data my-set --fail-if-worse")(compare)
app.command(epilog="Example: isogloss report my-runs --data my-set --baseline bm25-runs --out audit")(report)
app.command(epilog="Example: isogloss merge bundled tuned/model --out merged --shares 0.3,0.7")(merge)
app.command(epilog="Example: isogloss card tuned/model --report scores --licence apache-2.0")(card)
app.command(epilog="Example: isogloss generate rows.jsonl --generator g/model --language sw --out taught.jsonl")(
    generate
)
app.command(epilog="Example: isogloss export bundled --out exported --onnx")(export)
app.command(
    name="trim-vocabulary",
    epilog="Example: isogloss trim-vocabulary bundled --corpus isogloss-demo --language de --language en --out smaller",
)(trim_vocabulary)
app.command(epilog="Example: isogloss answers runs/ja-en.trec.gz --questions questions.jsonl --corpus corpus.jsonl")(
    answers
)
app.command(epilog="Example: isogloss doctor")(doctor)
app.add_typer(generator_app, name="generator")
app.add_typer(recipe_app, name="recipe")
app.add_typer(data_app, name="data")
app.add_typer(mteb_app, name="mteb")


def main() -> None:
    """Entry point of the console script."""
    app()
