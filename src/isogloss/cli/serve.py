"""`isogloss serve`: a model and an index behind HTTP, with a page to search."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from isogloss.cli.options import ModelOption
from isogloss.cli.output import JsonFlag, Reporter, SetOption, reported_errors
from isogloss.cli.settings import with_overrides
from isogloss.errors import MissingExtraError


def serve(
    index: Annotated[str, typer.Argument(metavar="INDEX", help="An index, the URL of one, or a bank.")],
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    host: Annotated[str, typer.Option("--host", help="Address; any but loopback needs an API key.")] = "127.0.0.1",
    model: ModelOption = "bundled",
    model_name: Annotated[
        str, typer.Option("--model-name", help="Name that callers use; none is the last part of --model.")
    ] = "",
    api_key_file: Annotated[
        Path | None, typer.Option("--api-key-file", help="File with one API key a line; ISOGLOSS_API_KEYS adds to it.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Folder of `isogloss evaluate`, shown as a heatmap.")
    ] = None,
    rerank: Annotated[
        str | None, typer.Option("--rerank", metavar="MODEL", help="A cross-encoder, for searches that ask for one.")
    ] = None,
    overrides: SetOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Serve an index: embeddings in OpenAI's shape, search, reranking, and a page for people at /."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        try:
            from isogloss.service.app import create_app
            from isogloss.service.server import listening, run_server, url_of
        except ModuleNotFoundError as missing:
            if missing.name is None or missing.name.split(".")[0] == "isogloss":
                raise
            raise MissingExtraError("`isogloss serve`", "serve") from missing
        from isogloss.models.retriever import Retriever
        from isogloss.service.corpus import open_corpus
        from isogloss.service.keys import read_keys
        from isogloss.service.serial_engine import for_threads
        from isogloss.service.settings import ServiceSettings

        settings = with_overrides(ServiceSettings(), overrides)
        keys = read_keys(api_key_file, os.environ)
        # First, so that a port that is taken is told before a model is loaded.
        listener = listening(host, port, keys)
        retriever = for_threads(Retriever.load(model))
        corpus = open_corpus(index, retriever, rerank=rerank, rerank_depth=settings.rerank_depth)
        name = model_name or Path(model).name or "isogloss"
        app = create_app(retriever, corpus, model_name=name, settings=settings, keys=keys, report=report)
        reporter.note(
            f"{len(corpus)} passages in {len(corpus.languages)} languages at {url_of(listener)} — Ctrl-C stops."
        )
        run_server(app, listener, settings)
