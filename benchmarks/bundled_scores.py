"""Scores of the bundled model per language, beside BM25, the fusion of both, and an English model.

    python benchmarks/bundled_scores.py --data DATA --work FOLDER [--model bundled] [--english MODEL] [--out docs]

`DATA` has the folders `retrieval` and `bitext-eval`. Each measurement is a file in `FOLDER`; what is there is not made
again, so a stopped run goes on. Writes `scores.md` and `images/scores.png`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """Measures what is not measured yet."""

    def __init__(self, data: Path, work: Path) -> None:
        self._data = data
        self._work = work
        self._loaded: dict[str, Any] = {}

    def measure(
        self,
        path: str,
        model: str,
        *,
        measure: str,
        pairs: Sequence[str],
        hybrid: bool = False,
        picture: Path | None = None,
    ) -> tuple[Measured, Measured | None]:
        """A model on a set of `DATA`, and BM25 beside it where it is no fusion."""
        name = f"{Path(path).name.split('.')[0]}-{Path(model).name}{'-hybrid' if hybrid else ''}"
        place = self._work / f"{name}.json"
        if not place.is_file() or (picture is not None and not picture.is_file()):
            sides = [[language for language in LANGUAGES if language in named] for named in _sides(pairs)]
            chosen: dict[str, Any] = {}
            if measure == "Success@1":  # sets of many more languages
                chosen = {"query_languages": sides[0], "passage_languages": sides[1]}
            found = evaluate(
                self._retriever(model),
                load(str(self._data / path), **chosen),
                pairs=list(pairs),
                measures=measure,
                bm25=not hybrid,
                hybrid=FUSION if hybrid else None,
                name=model,
                progress=True,
            )
            write_json(place, {"system": _cells(found), "bm25": _cells(found.baseline)})
            if picture is not None:
                picture.parent.mkdir(parents=True, exist_ok=True)
                draw_heatmap(found, picture)
        content = read_json(place)
        beside = Measured("BM25", content["bm25"]) if content["bm25"] else None
        return Measured(model, content["system"]), beside

    def _retriever(self, model: str) -> Retriever:
        if model not in self._loaded:
            self._loaded[model] = Retriever.load(model, on_overflow="ignore")
        return self._loaded[model]


def _sides(pairs: Sequence[str]) -> tuple[set[str], set[str]]:
    """Query languages and passage languages of pairs of plain tags."""
    return {pair.split("-")[0] for pair in pairs}, {pair.split("-")[-1] for pair in pairs}


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


def xquad(bench: Bench, model: str, english: str | None, picture: Path) -> str:
    """The table of XQuAD: one line per language."""
    same, to_en, from_en = ([f"{a}-{b}" for a, b in pairs] for pairs in _xquad_pairs())
    pairs = [*same, *to_en, *from_en]
    ours, bm25 = bench.measure("retrieval/xquad", model, measure="nDCG@10", pairs=pairs, picture=picture)
    fused, _ = bench.measure("retrieval/xquad", model, measure="nDCG@10", pairs=same, hybrid=True)
    systems = [ours, bm25 or ours, fused]
    header = ["", "same", "to English", "from English", "BM25, same", "model + BM25, same"]
    if english is not None:
        systems.append(bench.measure("retrieval/xquad", english, measure="nDCG@10", pairs=pairs)[0])
        header += ["English model, same", "English model, to English"]
    rows = []
    for language in LANGUAGES:
        cell = f"{language}-{language}"
        row = [
            f"{language} {language_name(language)}",
            ours.show(cell),
            ours.show(f"{language}-en" if language != "en" else ""),
            ours.show(f"en-{language}" if language != "en" else ""),
            systems[1].show(cell),
            fused.show(cell),
        ]
        if english is not None:
            row += [systems[3].show(cell), systems[3].show(f"{language}-en" if language != "en" else "")]
        rows.append(row)
    means = [
        "mean",
        _number(ours.mean(same)),
        _number(ours.mean(to_en)),
        _number(ours.mean(from_en)),
        _number(systems[1].mean(same)),
        _number(fused.mean(same)),
    ]
    if english is not None:
        means += [_number(systems[3].mean(same)), _number(systems[3].mean(to_en))]
    return _table(header, [*rows, [f"**{value}**" for value in means]])


def _xquad_pairs() -> tuple[list[tuple[str, str]], list[tuple[str, str]], list[tuple[str, str]]]:
    return (
        [(language, language) for language in LANGUAGES],
        [(language, "en") for language in OTHERS],
        [("en", language) for language in OTHERS],
    )


def native(bench: Bench, model: str) -> str:
    """The sets written in their own languages."""
    rows = []
    for name, remark in NATIVE.items():
        languages = name.split("-", 1)[1]
        pairs = ["de-de", "en-en", "de-en", "en-de"] if languages == "de-en" else [f"{languages}-{languages}"]
        ours, bm25 = bench.measure(f"retrieval/{name}", model, measure="nDCG@10", pairs=pairs)
        within = [pair for pair in pairs if pair.split("-")[0] == pair.split("-")[1] or len(pairs) == 1]
        fused, _ = bench.measure(f"retrieval/{name}", model, measure="nDCG@10", pairs=within, hybrid=True)
        for pair in pairs:
            rows.append([name, pair, ours.show(pair), bm25.show(pair) if bm25 else "·", fused.show(pair), remark])
    return _table(["set", "languages", "model", "BM25", "model + BM25", "note"], rows)


def sentences(bench: Bench, model: str, english: str | None) -> str:
    """Translations found among all sentences of the other language."""
    to_en = [f"{language}-en" for language in OTHERS]
    from_en = [f"en-{language}" for language in OTHERS]
    tatoeba, _ = bench.measure("retrieval/tatoeba", model, measure="Success@1", pairs=to_en)
    flores, _ = bench.measure(
        "bitext-eval/flores-sib200.jsonl.gz", model, measure="Success@1", pairs=[*to_en, *from_en]
    )
    header = ["", "Tatoeba to English", "FLORES to English", "FLORES from English"]
    rows = [
        [
            f"{language} {language_name(language)}",
            tatoeba.show(f"{language}-en"),
            flores.show(f"{language}-en"),
            flores.show(f"en-{language}"),
        ]
        for language in OTHERS
    ]
    means = ["mean", _number(tatoeba.mean(to_en)), _number(flores.mean(to_en)), _number(flores.mean(from_en))]
    return _table(header, [*rows, [f"**{value}**" for value in means]])


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
    bench = Bench(options.data, options.work)
    page = f"""# Scores of the bundled model

Made by `python benchmarks/bundled_scores.py --data DATA --work FOLDER --english MODEL`, where `DATA` has the sets in
the layout of `docs/data.md`, and `MODEL` was all-MiniLM-L6-v2. A value is a mean over queries; ± is half of its 95 %
bootstrap interval. A dot is a cell that a system has no value for. None of these texts was trained on (`docs/data.md`).

## XQuAD, nDCG@10: 240 passages, 1,190 questions in each of 12 languages

{xquad(bench, options.model, options.english, options.out / "images" / "scores.png")}

"Model + BM25" adds both scores, each brought to 0 … 1, with equal weights (`isogloss search --hybrid --weight 0.5`).

![The matrix of XQuAD as a heatmap](images/scores.png)

## Sets written in their own language, nDCG@10

{native(bench, options.model)}

## Translations found, accuracy of the first hit

{sentences(bench, options.model, options.english)}
"""
    write_text(options.out / "scores.md", page)


if __name__ == "__main__":
    main()
