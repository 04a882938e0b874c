"""Which evaluation texts the training files hold all the same: short ones, which nothing keeps apart.

    python -m benchmarks.seen_in_training --data DATA

`DATA` has `retrieval`, `bitext-eval`, `parallel` and `train`. The bundled recipe drops training texts that equal an
evaluation text, but for those of at most 12 letters (`isogloss.training.sources.apart`). This counts them, with the
same comparison, and the pairs of Tatoeba whose two sides stand on one line of a training file.
"""

from __future__ import annotations

import argparse
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import yaml

from isogloss.datasets import load
from isogloss.files import open_text, read_jsonl
from isogloss.records import EvalSet, Text
from isogloss.training.sources.apart import LEAST_LETTERS

TATOEBA = "tatoeba"
_NO_LETTER = re.compile(r"[\W_]+")
Texts = Mapping[str, list[str]]
"""Texts of one line by language."""


def letters_of(text: str) -> str:
    """What is compared of a text: its letters and digits, folded."""
    return _NO_LETTER.sub("", unicodedata.normalize("NFKC", text).casefold())


def training_lines(data: Path) -> Iterator[tuple[str, Texts]]:
    """Each line of the files of the bundled recipe with its kind: sentences, lexicons or rows."""
    recipe = yaml.safe_load((files("isogloss") / "recipes" / "bundled.yaml").read_text("utf-8"))
    new = recipe["model"]["new"]
    kinds = {"sentences": new["parallel"], "lexicons": new["lexicons"], "rows": new["rows"]}
    for kind, patterns in kinds.items():
        for pattern in patterns:
            for path in sorted(data.glob(pattern.removeprefix("data/"))):
                for texts in _tsv(path) if path.name.endswith(".tsv.gz") else _jsonl(path, kind):
                    yield kind, texts


def _tsv(path: Path) -> Iterator[Texts]:
    first, second = path.name.removesuffix(".tsv.gz").split("-", 1)
    with open_text(path) as lines:
        for line in lines:
            columns = line.rstrip("\n").split("\t")
            yield {first: [columns[0]], second: [columns[1]]}


def _jsonl(path: Path, kind: str) -> Iterator[Texts]:
    for _, row in read_jsonl(path):
        if kind == "rows":
            language = row["lang"]
            found = defaultdict(list, {language: [row["query"]]})
            found[row.get("positive_lang", language)] += [row["positive"], row.get("title", "")]
            yield found
            continue
        found = defaultdict(list, {tag: [text] for tag, text in row.items() if not tag.startswith("_")})
        for tag, further in row.get("_also", {}).items():
            found[tag] += further
        yield found


@dataclass
class Seen:
    """What was found.

    Attributes:
        short: By set and language, how many distinct texts are too short to be compared.
        texts: By set, language and kind of file, which of them occur there.
        pairs: By language, ids of the Tatoeba queries whose pair stands on one line of sentences or of a lexicon.
    """

    short: Counter[tuple[str, str]] = field(default_factory=Counter)
    texts: dict[tuple[str, str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    pairs: dict[str, dict[str, set[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))


def seen_in_training(data: Path) -> Seen:
    """Compares the short texts of all sets with all lines of the training files."""
    seen = Seen()
    sets: dict[tuple[str, str], list[str]] = defaultdict(list)
    pairs: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for path in [*sorted((data / "retrieval").iterdir()), *sorted((data / "bitext-eval").glob("*.jsonl.gz"))]:
        found = load(str(path))
        name = path.name.partition(".")[0]
        for language, letters in {(text.language or "und", letters_of(text.text)) for text in _texts(found)}:
            if 0 < len(letters) < LEAST_LETTERS:
                seen.short[name, language] += 1
                sets[language, letters].append(name)
        if name == TATOEBA:
            pairs = _short_pairs(found)
    for kind, texts in training_lines(data):
        short = {
            tag: {letters for letters in map(letters_of, of_language) if letters and len(letters) < LEAST_LETTERS}
            for tag, of_language in texts.items()
            # A text in NFC loses few characters when it is folded; what is far longer need not be.
            if any(len(text) < 8 * LEAST_LETTERS for text in of_language)
        }
        for tag, of_language in short.items():
            for letters in of_language:
                for name in sets.get((tag, letters), ()):
                    seen.texts[name, tag, kind].add(letters)
                for english in short.get("en", ()) if tag != "en" else ():
                    seen.pairs[tag][kind].update(pairs.get((tag, letters, english), ()))
    return seen


def _texts(found: EvalSet) -> Iterator[Text]:
    yield from found.queries
    yield from found.passages


def _short_pairs(found: EvalSet) -> dict[tuple[str, str, str], list[str]]:
    """Query ids by language, letters of the query and letters of its English translation, both short."""
    english = {text.id: letters_of(text.text) for text in found.passages}
    pairs = defaultdict(list)
    for query in found.queries:
        letters = letters_of(query.text)
        if not 0 < len(letters) < LEAST_LETTERS:
            continue
        for passage in found.qrels.get(query.id, ()):
            if len(english[passage]) < LEAST_LETTERS:
                pairs[query.language or "und", letters, english[passage]].append(query.id)
    return pairs


def main() -> None:
    """Prints the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    seen = seen_in_training(parser.parse_args().data)
    print(f"Distinct texts of at most {LEAST_LETTERS - 1} letters, and those of them that occur in training files:")
    for name, language in sorted(seen.short):
        counts = [
            f"{kind} {len(seen.texts.get((name, language, kind), ()))}" for kind in ("sentences", "lexicons", "rows")
        ]
        if any(seen.texts.get((name, language, kind)) for kind in ("sentences", "lexicons", "rows")):
            print(f"  {name} {language}: {seen.short[name, language]}; {', '.join(counts)}")
    print("Pairs of Tatoeba, sentence with its English translation, on one line of a training file:")
    for language, kinds in sorted(seen.pairs.items()):
        if any(kinds.values()):
            print(f"  {language}: {', '.join(f'{kind} {len(ids)}' for kind, ids in kinds.items() if ids)}")


if __name__ == "__main__":
    main()
