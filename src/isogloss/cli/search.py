"""`isogloss search`: the best passages of an index, or of a bank, for a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from isogloss.cli.options import ModelOption
from isogloss.cli.output import JsonFlag, Reporter, reported_errors
from isogloss.cli.printable import cut, printable
from isogloss.errors import Fault, UsageError, did_you_mean, raise_faults

if TYPE_CHECKING:
    from isogloss.indexing.hits import Hit
    from isogloss.indexing.protocol import Value
    from isogloss.indexing.search_index import SearchIndex


def search(
    index: Annotated[
        str, typer.Argument(metavar="INDEX", help="What `isogloss index` made, or a bank: folder, qdrant://…, ….")
    ],
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for, in any language.")],
    k: Annotated[int, typer.Option("-k", "--top", help="Number of results.")] = 10,
    language: Annotated[
        list[str] | None, typer.Option("--language", help="Only passages in this language; may be repeated.")
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", metavar="KEY=VALUE", help="Only passages with this metadata; may be repeated."),
    ] = None,
    hybrid: Annotated[bool, typer.Option("--hybrid", help="By meaning and by words.")] = False,
    lexical: Annotated[bool, typer.Option("--lexical", help="By words alone (BM25).")] = False,
    weight: Annotated[
        float | None,
        typer.Option("--weight", help="Fuse by scores, with this share for the meaning (0 to 1), and not by ranks."),
    ] = None,
    rerank: Annotated[
        str | None, typer.Option("--rerank", metavar="MODEL", help="A cross-encoder that reorders the best.")
    ] = None,
    model: ModelOption = "bundled",
    as_json: JsonFlag = False,
) -> None:
    """Search an index with one query. It must be of the model's passage tower."""
    reporter = Reporter(as_json)
    with reported_errors(as_json):
        from isogloss.indexing.opening import open_index

        if hybrid and lexical:
            raise UsageError("--hybrid and --lexical exclude each other")
        if weight is not None and not hybrid:
            raise UsageError("--weight is for --hybrid")
        with open_index(index, model=None if lexical else model) as opened:
            languages = language or []
            wanted = _metadata(metadata or [])
            hits = opened.search(
                [query],
                k=k,
                languages=languages,
                metadata=wanted,
                mode="hybrid" if hybrid else "lexical" if lexical else "dense",
                fusion="rrf" if weight is None else "weighted",
                weight=0.5 if weight is None else weight,
                rerank=rerank,
            )[0]
            if len(hits) < k:
                reporter.note(printable(f"{len(hits)} hits of {k}: {_why_few(opened, len(hits), languages, wanted)}"))
            by_meaning = opened.not_by_words(languages) if hybrid or lexical else ()
        show_hits(reporter, hits)
        if by_meaning:
            searched = "by meaning alone" if hybrid else "not at all: the lexical index leaves them out"
            reporter.note(f"Passages in {', '.join(by_meaning)} were searched {searched}.")
        found = {"query": query, "hits": [hit.to_json() for hit in hits]}
        reporter.result(found | ({"not_by_words": list(by_meaning)} if by_meaning else {}))


def _why_few(opened: SearchIndex, found: int, languages: list[str], metadata: dict[str, list[Value]]) -> str:
    """Why a search found fewer passages than it was asked for."""
    allowed = opened.count(languages=languages, metadata=metadata)
    if allowed > found:
        return f"of the {allowed} passages that may be found, no other has a word of the query."
    if allowed or not metadata:
        return f"the index has {allowed} passages that may be found."
    filters = " and ".join(f"{key}={values[0]}" for key, values in metadata.items())
    among = f" in {', '.join(languages)}" if languages else ""
    keys = opened.metadata_keys()
    near = "".join(did_you_mean(key, keys) for key in metadata if key not in keys)
    return f"no passage{among} has {filters}{near or '.'} Keys of the first passages: {', '.join(keys) or 'none'}."


def show_hits(reporter: Reporter, hits: list[Hit]) -> None:
    """Shows hits as lines: rank, score, language, id, and the beginning of the text, fit for a terminal."""
    for hit in hits:
        passage = hit.passage
        head = f"{hit.rank:>3}  {hit.score:.3f}  {passage.language or '–':<8} {passage.id}"
        body = f"{passage.title}  {passage.text}" if passage.title else passage.text
        reporter.line(printable(head), bold=True)
        reporter.line(f"     {cut(printable(body))}")


def _metadata(given: list[str]) -> dict[str, list[Value]]:
    """Values by key; digits are meant as a number or as text, and true and false as truth or as text."""
    wanted: dict[str, list[Value]] = {}
    faults = []
    for pair in given:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            faults.append(Fault(f"--metadata {pair}", "is no KEY=VALUE"))
        meant: Mapping[str, Value] = {"true": True, "false": False} | ({value: int(value)} if value.isdecimal() else {})
        wanted.setdefault(key, []).extend([value, meant[value]] if value in meant else [value])
    raise_faults(UsageError, "--metadata", faults)
    return wanted
