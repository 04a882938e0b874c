"""`isogloss search`: the best passages of a bank for a query."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text as Line

from isogloss.cli.encode import ModelOption
from isogloss.cli.output import JsonFlag, Reporter, reported_errors

if TYPE_CHECKING:
    from isogloss.indexing.hits import Hit


def search(
    bank: Annotated[Path, typer.Argument(metavar="BANK", help="Folder that `isogloss encode` made.")],
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for, in any language.")],
    k: Annotated[int, typer.Option("-k", "--top", help="Number of results.")] = 10,
    language: Annotated[
        list[str] | None, typer.Option("--language", help="Only passages in this language; may be repeated.")
    ] = None,
    model: ModelOption = "bundled",
    as_json: JsonFlag = False,
) -> None:
    """Search a bank with one query. The bank must be of the model's passage tower."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.engines.bank import Bank
        from isogloss.indexing.hits import search as search_bank
        from isogloss.models.retriever import Retriever

        opened = Bank.open(bank)
        retriever = Retriever.load(model)
        opened.require(retriever.passage.fingerprint)
        hits = search_bank(opened, retriever.encode_query([query]), k=k, languages=language or ())[0]
        show_hits(reporter, hits)
        reporter.result({"query": query, "hits": [hit.to_json() for hit in hits]})


def show_hits(reporter: Reporter, hits: list[Hit]) -> None:
    """Shows hits as lines: rank, score, language, id, text."""
    for hit in hits:
        passage = hit.passage
        head = f"{hit.rank:>3}  {hit.score:.3f}  {passage.language or '–':<8} {passage.id}"
        body = f"{passage.title}  {passage.text}" if passage.title else passage.text
        reporter.show(Line(head, style="bold"))
        reporter.show(Line(f"     {body}"))
