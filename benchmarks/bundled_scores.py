"""Scores of the bundled model per language, beside BM25, the fusion of both, and an English model.

    python -m benchmarks.bundled_scores --data DATA --work FOLDER [--model bundled] [--english MODEL] [--out docs]

`DATA` has the folders `retrieval` and `bitext-eval`, and the training files in `parallel` and `train`, which say what
pairs of Tatoeba were trained on (`benchmarks.seen_in_training`). Each measurement is a file in `FOLDER`, named by the
model's fingerprint and by what was asked; what is there is not made again, so a stopped run goes on. Writes `scores.md`
and `images/scores.png`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.seen_in_training import seen_in_training
from isogloss import Retriever
from isogloss.datasets import load
from isogloss.evaluation.evaluate import evaluate
from isogloss.evaluation.language_report.heatmap import draw_heatmap
from isogloss.evaluation.results import Evaluation
from isogloss.evaluation.systems import HybridFusion
from isogloss.files import read_json, write_json, write_text
from isogloss.languages import language_name

LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh")
OTHERS = tuple(language for language in LANGUAGES if language != "en")
# The other languages of the bundled model: no set of questions has them, but for he, id, it, nb and zh-hant.
FURTHER = (
    *("bg", "bn", "cs", "da", "et", "fa", "fi", "fr", "he", "hr", "hu", "id", "it", "ja", "ko", "lt", "ms", "nb"),
    *("nl", "pl", "pt", "sk", "sl", "sv", "sw", "ta", "tl", "uk", "ur", "zh-hant"),
)
XQUAD, TATOEBA, FLORES = "retrieval/xquad", "retrieval/tatoeba", "bitext-eval/flores-sib200.jsonl.gz"
FUSION = HybridFusion("weighted", 0.5)
SEEN = "trained on the other part of the same set"
NATIVE = {
    "belebele-de-en": "both ways and within each",
    "drcd-zh-hant": SEEN,
    "heq-he": "no training rows in this language",
    "iapp-th": SEEN,
    "norquad-nb": "no training rows in this language",
    "squad-it": "no training rows in this language",
    "tydiqa-id": SEEN,
}
Cells = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Measured:
    """One system on one set: cell by language pair, each with value, low and high."""

    system: str
    cells: Cells

    def show(self, pair: str) -> str:
        """A cell in words."""
        cell = self.cells.get(pair)
        return "·" if cell is None else f"{cell['value']:.3f} ± {(cell['high'] - cell['low']) / 2:.3f}"

    def mean(self, pairs: Sequence[str]) -> float | None:
        """Mean over the pairs, where all of them have a value."""
        values = [self.cells[pair]["value"] for pair in pairs if pair in self.cells]
        return sum(values) / len(values) if values and len(values) == len(pairs) else None


class Bench:
    """Measures what is not measured yet.

    Args:
        data: Folder of the sets and of the training files.
        work: Folder of the measurements.
        model: The model.
        english: An English model beside it.
    """

    def __init__(self, data: Path, work: Path, *, model: str, english: str | None) -> None:
        self.folder = data
        self._work = work
        self._model = model
        self._english = english
        self._loaded: dict[str, Retriever] = {}
        self.has_english = english is not None

    @cached_property
    def seen(self) -> dict[str, list[str]]:
        """Queries of Tatoeba whose pair was trained on, by language."""
        pairs = seen_in_training(self.folder).pairs
        return {
            tag: sorted(set().union(*kinds.values())) for tag, kinds in sorted(pairs.items()) if any(kinds.values())
        }

    def alone(
        self,
        path: str,
        pairs: Sequence[str],
        *,
        measure: str = "nDCG@10",
        without: Collection[str] = (),
        picture: Path | None = None,
    ) -> tuple[Measured, Measured]:
        """The model on a set of `DATA`, and BM25 beside it; queries of `without` are left out."""
        system, baseline = self._measure(path, self._model, pairs, measure, bm25=True, without=without, picture=picture)
        return Measured(self._model, system or {}), Measured("BM25", baseline or {})

    def fused(self, path: str, pairs: Sequence[str]) -> Measured:
        """The model and BM25 together."""
        return Measured("both", self._measure(path, self._model, pairs, "nDCG@10", hybrid=True)[0] or {})

    def english(self, path: str, pairs: Sequence[str]) -> Measured:
        """The English model; no cells where there is none."""
        if self._english is None:
            return Measured("English model", {})
        return Measured("English model", self._measure(path, self._english, pairs, "nDCG@10")[0] or {})

    def _measure(
        self,
        path: str,
        model: str,
        pairs: Sequence[str],
        measure: str,
        *,
        hybrid: bool = False,
        bm25: bool = False,
        without: Collection[str] = (),
        picture: Path | None = None,
    ) -> tuple[Cells | None, Cells | None]:
        retriever = self._retriever(model)
        towers = [retriever.query.fingerprint.digest, retriever.passage.fingerprint.digest]
        asked = json.dumps([towers, list(pairs), measure, hybrid, bm25, sorted(without)])
        key = hashlib.sha256(asked.encode()).hexdigest()[:16]
        place = self._work / f"{Path(path).name.split('.')[0]}-{Path(model).name}-{key}.json"
        if not place.is_file() or (picture is not None and not picture.is_file()):
            chosen: dict[str, Any] = {}
            if measure == "Success@1":  # sets of many more languages
                known = sorted({*LANGUAGES, *FURTHER})
                chosen = {
                    "query_languages": [tag for tag in known if any(pair.startswith(f"{tag}-") for pair in pairs)],
                    "passage_languages": [tag for tag in known if any(pair.endswith(f"-{tag}") for pair in pairs)],
                }
            eval_set = load(str(self.folder / path), **chosen)
            left = tuple(query for query in eval_set.queries if query.id not in without)
            found = evaluate(
                retriever,
                replace(eval_set, queries=left, qrels={text.id: eval_set.qrels[text.id] for text in left}),
                pairs=list(pairs),
                measures=measure,
                bm25=bm25,
                hybrid=FUSION if hybrid else None,
                name=Path(model).name,
                progress=True,
            )
            write_json(place, {"system": _cells(found), "bm25": _cells(found.baseline)})
            if picture is not None:
                picture.parent.mkdir(parents=True, exist_ok=True)
                draw_heatmap(found, picture)
        content = read_json(place)
        return content["system"], content["bm25"]

    def _retriever(self, model: str) -> Retriever:
        if model not in self._loaded:
            self._loaded[model] = Retriever.load(model, on_overflow="ignore")
        return self._loaded[model]


def _cells(found: Evaluation | None) -> dict[str, dict[str, float]] | None:
    if found is None:
        return None
    measure = found.measures[0]
    return {
        name: {"value": cell.scores[measure].value, "low": cell.scores[measure].low, "high": cell.scores[measure].high}
        for name, cell in found.cells.items()
        if not cell.blank
    }


def _number(value: float | None) -> str:
    return "·" if value is None else f"{value:.3f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def xquad(bench: Bench, picture: Path) -> str:
    """The tables of XQuAD: one line per language."""
    groups = {
        "Within a language": [(language, f"{language}-{language}") for language in LANGUAGES],
        "Questions to English paragraphs": [(language, f"{language}-en") for language in OTHERS],
        "English questions to other languages": [(language, f"en-{language}") for language in OTHERS],
    }
    pairs = [pair for group in groups.values() for _, pair in group]
    systems = [*bench.alone(XQUAD, pairs, picture=picture), bench.fused(XQUAD, pairs)]
    systems += [bench.english(XQUAD, pairs)] if bench.has_english else []
    header = ["", "model", "BM25", "model + BM25", *(["English model"] if bench.has_english else [])]
    written = []
    for title, group in groups.items():
        rows = [[_named(language), *(one.show(pair) for one in systems)] for language, pair in group]
        rows.append(_means("mean", [(one, [pair for _, pair in group]) for one in systems]))
        written.append(f"{title}:\n\n{_table(header, rows)}")
    return "\n\n".join(written)


def native(bench: Bench) -> str:
    """The sets written in their own languages."""
    rows = []
    for name, remark in NATIVE.items():
        path, languages = f"retrieval/{name}", name.split("-", 1)[1]
        both = languages == "de-en"
        pairs = ["de-de", "en-en", "de-en", "en-de"] if both else [f"{languages}-{languages}"]
        systems = [*bench.alone(path, pairs), bench.fused(path, pairs)]
        systems.append(bench.english(path, pairs) if both else Measured("", {}))
        rows += [[name, pair, *(one.show(pair) for one in systems), remark] for pair in pairs]
    return _table(["set", "languages", "model", "BM25", "model + BM25", "English model", "note"], rows)


def sentences(bench: Bench) -> str:
    """Translations found among all sentences of the other language."""
    every = [*OTHERS, *FURTHER]
    to_en, from_en = [f"{language}-en" for language in every], [f"en-{language}" for language in every]
    without = [name for names in bench.seen.values() for name in names]
    flores = bench.alone(FLORES, [*to_en, *from_en], measure="Success@1")
    tatoeba_has = {query.language for query in load(str(bench.folder / TATOEBA)).queries}
    asked = [pair for language, pair in zip(every, to_en, strict=True) if language in tatoeba_has]
    tatoeba = bench.alone(TATOEBA, asked, measure="Success@1", without=without)
    whole, _ = bench.alone(TATOEBA, asked, measure="Success@1")
    header = ["", "Tatoeba to English", "FLORES to English", "FLORES from English", "mean to English"]
    header += ["BM25: Tatoeba", "FLORES to English", "FLORES from English"]
    written = []
    for title, languages in (("XQuAD's languages", OTHERS), ("The model's other languages", FURTHER)):
        rows = []
        for language in languages:
            sets = [(tatoeba, f"{language}-en"), (flores, f"{language}-en"), (flores, f"en-{language}")]
            joint = _mean_of([one[0].mean([pair]) for one, pair in sets[:2]])
            row = [_named(language), *(one[0].show(pair) for one, pair in sets), joint]
            rows.append([*row, *(_number(one[1].mean([pair])) for one, pair in sets)])
        there, back = [f"{language}-en" for language in languages], [f"en-{language}" for language in languages]
        known = [pair for pair in there if pair in asked]
        means = [[(tatoeba[which], known), (flores[which], there), (flores[which], back)] for which in (0, 1)]
        joint = _mean_of([tatoeba[0].mean(known), flores[0].mean(there)])
        last = [*_means("mean", means[0]), f"**{joint}**", *_means("", means[1])[1:]]
        written.append(f"{title}:\n\n{_table(header, [*rows, last])}")
    changed = ", ".join(
        f"{tag} {_number(whole.mean([f'{tag}-en']))} ({len(names)})" for tag, names in bench.seen.items()
    )
    left_out = (
        f"Of Tatoeba's pairs, {len(without)} stand in the training files, both sides being of at most 12 letters "
        "([which](data.md#what-was-trained-on-all-the-same)): they are left out of its column. With them (and how many "
        f"they are) it would be {changed}. Tatoeba's mean is over the languages that it has."
    )
    return "\n\n".join([*written, textwrap.fill(left_out, 120, break_on_hyphens=False)])


def _named(language: str) -> str:
    return f"{language} {language_name(language)}"


def _means(title: str, columns: Sequence[tuple[Measured, Sequence[str]]]) -> list[str]:
    return [f"**{value}**" for value in (title, *(_number(one.mean(pairs)) for one, pairs in columns))]


def _mean_of(values: Sequence[float | None]) -> str:
    """Mean where there is every value."""
    known = [value for value in values if value is not None]
    return _number(sum(known) / len(known)) if len(known) == len(values) else "·"


def main() -> None:
    """Measures everything and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--english")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(options.data, options.work, model=options.model, english=options.english)
    page = f"""# Scores of the bundled model

Made by `python -m benchmarks.bundled_scores --data DATA --work FOLDER --english MODEL`, where `DATA` has the files in
the layout of [the data](data.md), and `MODEL` was all-MiniLM-L6-v2. A value is a mean over queries; ± is half of its
95 % bootstrap interval. A dot is a cell that a system has no value for. No text of these sets with more than 12 letters
was trained on; of the shorter ones some of Tatoeba's were ([which](data.md#what-was-trained-on-all-the-same)), and the
pairs among these are left out below.

## XQuAD, nDCG@10: 240 passages, 1,190 questions in each of 12 languages

"Model + BM25" adds both scores, each brought to 0 … 1, with equal weights (`isogloss search --hybrid --weight 0.5`).
Across languages BM25 finds what both sides write alike: names, numbers, and related words by their runs of four
characters.

{xquad(bench, options.out / "images" / "scores.png")}

![The matrix of XQuAD as a heatmap](images/scores.png)

## Sets written in their own language, nDCG@10

{native(bench)}

## Translations found, accuracy of the first hit

A sentence is sought among all those of the other language: at most 1,000 of Tatoeba, 1,004 of FLORES. "Mean to English"
is that of the two sets' values.

{sentences(bench)}
"""
    write_text(options.out / "scores.md", page)


if __name__ == "__main__":
    main()
