"""Writes an evaluation set as a BEIR folder with languages, which `read_beir` reads as the same set."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from isogloss.files import FolderKind, atomic_folder, write_jsonl, write_text
from isogloss.files.trec import QRELS_HEADER
from isogloss.records import EvalSet, Text

BEIR = FolderKind("a set", "corpus.jsonl", ("queries.jsonl", "qrels/*.tsv"))


def write_beir(
    eval_set: EvalSet, folder: str | os.PathLike[str], *, split: str = "test", overwrite: bool = False
) -> None:
    """Writes corpus, queries and judgements, whole or not at all.

    Raises:
        FileError: If the folder is there and `overwrite` is false, or the system refuses.
    """
    with atomic_folder(folder, overwrite=overwrite, kind=BEIR) as place:
        write_jsonl(place / "corpus.jsonl", (_record(text, passage=True) for text in eval_set.passages))
        write_jsonl(place / "queries.jsonl", (_record(text, passage=False) for text in eval_set.queries))
        write_text(place / "qrels" / f"{split}.tsv", "".join(f"{line}\n" for line in _judgements(eval_set.qrels)))


def _record(text: Text, *, passage: bool) -> dict[str, Any]:
    metadata = dict(text.metadata or {})
    if text.parallel_id is not None and text.id != f"{text.parallel_id}.{text.language}":  # an ending says it already
        metadata["parallel_id"] = text.parallel_id
    fields = {"lang": text.language, "pair": text.pool, "metadata": metadata}
    title = {"title": text.title} if passage else {}
    return {"_id": text.id, **title, "text": text.text, **{key: value for key, value in fields.items() if value}}


def _judgements(qrels: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    yield "\t".join(QRELS_HEADER)
    for query_id, grades in qrels.items():
        for passage_id, grade in grades.items():
            yield f"{query_id}\t{passage_id}\t{grade}"
