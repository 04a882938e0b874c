"""`isogloss encode`: a corpus becomes a bank of vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import Field
from rich.table import Table

from isogloss.cli.loading import LoadingSettings
from isogloss.cli.options import ModelOption
from isogloss.cli.output import DryRunFlag, JsonFlag, Reporter, SetOption, reported_errors
from isogloss.cli.settings import with_overrides

if TYPE_CHECKING:
    from isogloss.engines.bank_writing import BankReport
    from isogloss.models.retriever import Retriever

CorpusArgument = Annotated[
    str,
    typer.Argument(
        metavar="CORPUS",
        help="A BEIR folder, a corpus.jsonl[.gz] or parquet file, or a folder or 'pattern*' of many such files.",
    ),
]
BankOption = Annotated[Path, typer.Option("--out", metavar="BANK", help="Folder of the bank.")]


class EncodeSettings(LoadingSettings):
    """What `--set` can change.

    Attributes:
        dtype: Precision of the stored vectors.
        shard_size: Passages per shard; a killed encode loses at most one shard.
    """

    dtype: Literal["float16", "float32"] = "float16"
    shard_size: int = Field(default=8192, ge=1)


def encode(
    corpus: CorpusArgument,
    out: BankOption,
    model: ModelOption = "bundled",
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that encode side by side.")] = 1,
    ray: Annotated[
        str,
        typer.Option("--ray", metavar="ADDRESS", help="Encode as tasks of Ray: 'local', 'auto', or host:port."),
    ] = "",
    append: Annotated[bool, typer.Option("--append", help="Add the passages to a finished bank.")] = False,
    overrides: SetOption = None,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Encode a corpus into a bank. An interrupted encode goes on where it stopped."""
    reporter = Reporter(as_json)
    with reported_errors(as_json, goes_on=True):
        from isogloss.datasets import open_corpus

        settings = with_overrides(EncodeSettings(), overrides)
        retriever = settings.load(model)
        passages = open_corpus(corpus)
        if dry_run:
            from isogloss.engines.bank_writing import check_target

            check_target(out, fingerprint=retriever.passage.fingerprint.parts, dtype=settings.dtype, append=append)
            count = sum(1 for _ in passages)
            plan = {"corpus": corpus, "passages": count, "bank": str(out), "model": model, "workers": workers}
            plan |= dict(settings)
            reporter.show(f"Would encode {count} passages with {model} into {out}.")
            reporter.result({"dry_run": True} | plan)
            return
        report = retriever.encode_bank(
            passages,
            out,
            dtype=settings.dtype,
            shard_size=settings.shard_size,
            append=append,
            progress=not as_json,
            workers=workers,
            ray=ray,
        )
        _show(reporter, report, retriever)


def _show(reporter: Reporter, report: BankReport, retriever: Retriever) -> None:
    table = Table("language", "passages", "tokens", "truncated", "passages/s", title=f"Bank {report.path}")
    rows = {}
    for language, count in sorted(report.languages.items()):
        speed = report.passages_per_second_in(language)
        table.add_row(language, str(count.passages), str(count.tokens), str(count.truncated), f"{speed:.0f}")
        rows[language] = {"passages": count.passages, "tokens": count.tokens, "truncated": count.truncated}
    reporter.show(table)
    dimension, engine = retriever.dimension, retriever.engine_name
    precision = retriever.passage.fingerprint.parts["precision"]
    there = report.passages - report.encoded
    kept = f" ({there} were there already)" if there else ""
    reporter.show(
        f"{report.encoded} passages encoded{kept}, {report.passages_per_second:.0f} a second "
        f"({report.tokens_per_second:.0f} tokens), {dimension} dimensions, by {engine} in {precision}."
    )
    reporter.result(
        {
            "bank": str(report.path),
            "passages": report.passages,
            "encoded": report.encoded,
            "dimension": dimension,
            "engine": engine,
            "precision": precision,
            "seconds": round(report.seconds, 3),
            "tokens_per_second": round(report.tokens_per_second, 1),
            "languages": rows,
        }
    )
