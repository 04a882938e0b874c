"""A large corpus of real texts in many languages, as files that `isogloss encode` reads.

    python -m benchmarks.real_corpus --data DATA --out FOLDER [--texts 1000000] [--rows FILE]

`DATA` has the folders `retrieval`, `bitext-eval` and `parallel`. Texts of at least 20 characters are taken as they are,
each once, file by file, until there are enough. `FILE` gets a row for `isogloss mine` for every text that has a
translation beside it: the translation is the query, the text the passage.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from isogloss.files import read_jsonl, read_lines, write_jsonl

SHORTEST = 20
TEXTS_PER_FILE = 100_000
PARALLEL = ("tico19", "bible-nt", "wordnet-glosses", "privacyguides", "tutorials", "tldr", "scratch", "bitcoin-org")
PAIRS = ("tatoeba", "indic-wikipedia", "korean-news", "python-docs")


class Sourced(NamedTuple):
    """A text, where it is from, and a translation of it, where there is one."""

    source: str
    language: str
    text: str
    translation: str = ""
    translation_language: str = ""


def real_texts(data: Path) -> Iterator[Sourced]:
    """Every text of the collections; some occur more than once."""
    for folder in sorted((data / "retrieval").iterdir()):
        for _, row in read_jsonl(folder / "corpus.jsonl.gz"):
            yield Sourced(f"retrieval/{folder.name}", row["lang"], f"{row.get('title', '')} {row['text']}".strip())
    tables = [data / "parallel" / f"{name}.jsonl.gz" for name in PARALLEL]
    for file in [data / "bitext-eval" / "flores-sib200.jsonl.gz", *tables]:
        for _, row in read_jsonl(file):
            # Keys that begin with `_` are no languages.
            texts = [(language, text) for language, text in row.items() if not language.startswith("_")]
            yield from _beside_each_other(file.name.partition(".")[0], texts)
    for name in PAIRS:
        for file in sorted((data / "parallel" / name).glob("*.tsv.gz")):
            languages = file.name.partition(".")[0].split("-", 1)
            for _, line in read_lines(file):
                yield from _beside_each_other(name, list(zip(languages, line.split("\t"), strict=False)))


def _beside_each_other(source: str, texts: list[tuple[str, str]]) -> Iterator[Sourced]:
    """Texts of one meaning, each with the one after it."""
    if len(texts) == 1:
        yield Sourced(source, *texts[0])
        return
    for number, (language, text) in enumerate(texts):
        translation_language, translation = texts[(number + 1) % len(texts)]
        yield Sourced(source, language, text, translation, translation_language)


def corpus(data: Path, wanted: int) -> Iterator[Sourced]:
    """So many texts, each once."""
    seen: set[int] = set()
    for found in real_texts(data):
        key = hash((found.language, found.text))
        if len(found.text) >= SHORTEST and key not in seen:
            seen.add(key)
            yield found
            if len(seen) == wanted:
                return
    raise SystemExit(f"{data} has {len(seen)} texts, not {wanted}.")


def write_corpus(data: Path, folder: Path, wanted: int) -> None:
    """Writes `part-00.jsonl.gz`, … with the fields `_id`, `text`, `lang` and `metadata.source`."""
    texts = corpus(data, wanted)
    for number in range(-(-wanted // TEXTS_PER_FILE)):
        rows = enumerate(islice(texts, TEXTS_PER_FILE), number * TEXTS_PER_FILE)
        records = (
            {"_id": f"t{row:07d}", "text": found.text, "lang": found.language, "metadata": {"source": found.source}}
            for row, found in rows
        )
        write_jsonl(folder / f"part-{number:02d}.jsonl.gz", records)


def write_rows(data: Path, file: Path, wanted: int) -> int:
    """Writes the rows of a corpus of so many texts, by language; gives their number."""
    translated = [found for found in corpus(data, wanted) if found.translation]
    translated.sort(key=lambda found: found.language)  # what is mined at once is then mostly in one language
    rows = (
        {
            "query": found.translation,
            "lang": found.translation_language,
            "positive": found.text,
            "positive_lang": found.language,
        }
        for found in translated
    )
    return write_jsonl(file, rows)


def main() -> None:
    """Writes the corpus, and the rows where they are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--rows", type=Path, help="file for rows of the texts that have a translation")
    asked = parser.parse_args()
    write_corpus(asked.data, asked.out, asked.texts)
    print(f"{asked.texts} texts in {asked.out}")
    if asked.rows is not None:
        print(f"{write_rows(asked.data, asked.rows, asked.texts)} rows in {asked.rows}")


if __name__ == "__main__":
    main()
