"""A large corpus of real texts in many languages, as files that `isogloss encode` reads.

    python -m benchmarks.real_corpus --data DATA --out FOLDER [--texts 1000000]

`DATA` has the folders `retrieval`, `bitext-eval` and `parallel`. Texts of at least 20 characters are taken as they are,
each once, file by file, until there are enough.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from isogloss.files import read_jsonl, read_lines, write_jsonl

SHORTEST = 20
TEXTS_PER_FILE = 100_000
PARALLEL = ("tico19", "bible-nt", "wordnet-glosses", "privacyguides", "tutorials", "tldr", "scratch", "bitcoin-org")
PAIRS = ("tatoeba", "indic-wikipedia", "korean-news", "python-docs")
Sourced = tuple[str, str, str]  # source, language, text


def real_texts(data: Path) -> Iterator[Sourced]:
    """Every text of the collections, with its source and its language; some occur more than once."""
    for folder in sorted((data / "retrieval").iterdir()):
        for _, row in read_jsonl(folder / "corpus.jsonl.gz"):
            yield f"retrieval/{folder.name}", row["lang"], f"{row.get('title', '')} {row['text']}".strip()
    tables = [data / "parallel" / f"{name}.jsonl.gz" for name in PARALLEL]
    for file in [data / "bitext-eval" / "flores-sib200.jsonl.gz", *tables]:
        yield from _of_table(file)
    for name in PAIRS:
        for file in sorted((data / "parallel" / name).glob("*.tsv.gz")):
            yield from _of_pairs(name, file)


def _of_table(file: Path) -> Iterator[Sourced]:
    """Texts of a file with one sentence in many languages a line; keys that begin with `_` are no languages."""
    for _, row in read_jsonl(file):
        for language, text in row.items():
            if not language.startswith("_"):
                yield file.name.partition(".")[0], language, text


def _of_pairs(name: str, file: Path) -> Iterator[Sourced]:
    """Texts of a file `<a>-<b>.tsv.gz`."""
    languages = file.name.partition(".")[0].split("-", 1)
    for _, line in read_lines(file):
        for language, text in zip(languages, line.split("\t"), strict=False):
            yield name, language, text


def corpus(data: Path, wanted: int) -> Iterator[Sourced]:
    """So many texts, each once."""
    seen: set[int] = set()
    for source, language, text in real_texts(data):
        key = hash((language, text))
        if len(text) >= SHORTEST and key not in seen:
            seen.add(key)
            yield source, language, text
            if len(seen) == wanted:
                return
    raise SystemExit(f"{data} has {len(seen)} texts, not {wanted}.")


def write_corpus(data: Path, folder: Path, wanted: int) -> None:
    """Writes `part-00.jsonl.gz`, … with the fields `_id`, `text`, `lang` and `metadata.source`."""
    texts = corpus(data, wanted)
    for number in range(-(-wanted // TEXTS_PER_FILE)):
        rows = enumerate(islice(texts, TEXTS_PER_FILE), number * TEXTS_PER_FILE)
        records = (
            {"_id": f"t{row:07d}", "text": text, "lang": language, "metadata": {"source": source}}
            for row, (source, language, text) in rows
        )
        write_jsonl(folder / f"part-{number:02d}.jsonl.gz", records)


def main() -> None:
    """Writes the corpus."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=1_000_000)
    asked = parser.parse_args()
    write_corpus(asked.data, asked.out, asked.texts)
    print(f"{asked.texts} texts in {asked.out}")


if __name__ == "__main__":
    main()
