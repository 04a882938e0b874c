"""By meaning, by words, or by both: one table by language, for scripts with and without spaces between words.

    python -m benchmarks.hybrid_scores --data DATA [--model bundled] [--out docs/hybrid.md]

`DATA` has `retrieval` and `train`. XQuAD is translated; the others were written in their own language. Where a set is
one of training rows, the bundled model has seen its questions with their passages: only BM25's column is fair there.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

from isogloss import Retriever, Text
from isogloss.datasets import load
from isogloss.evaluation.evaluate import Scorer, evaluate, measure_system
from isogloss.evaluation.measures import parse_measures
from isogloss.evaluation.pairs import parse_pairs
from isogloss.evaluation.results import Evaluation
from isogloss.evaluation.systems import HybridFusion, LexicalSystem
from isogloss.files import read_jsonl, write_text
from isogloss.languages import language_name
from isogloss.records import EvalSet

MEASURE = "nDCG@10"
XQUAD = ("ar", "hi", "th", "zh")
NATIVE = {"iapp-th": "th", "drcd-zh-hant": "zh-hant"}
SEEN = {"ja-jaquad": "ja", "zh-cmrc2018": "zh", "ar-arcd": "ar"}
QUERIES = 1000
HEADER = "| set | language | questions / passages | words alone | BM25 | model | both, by ranks | both, by scores |\n"
OPENING = f"""\
# By meaning, by words, or by both

{MEASURE} within a language, ± half of the 95 % bootstrap interval, made by
`python -m benchmarks.hybrid_scores --data DATA`. *Seen*: the model was trained on these rows; only the column of BM25
is fair there. No set has Korean questions. Across languages: [scores](scores.md).

"BM25" has the parts of words beside the words, "words alone" has not (`isogloss index --set word_parts=false`).

{HEADER}| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def rows_as_set(path: Path, language: str) -> EvalSet:
    """Questions drawn from training rows, among the passages of all rows."""
    rows = [row for _, row in read_jsonl(path)]
    names: dict[tuple[str, str], str] = {}
    for row in rows:
        names.setdefault((row.get("title", ""), row["positive"]), f"p{len(names):05d}")
    chosen = random.Random(13).sample(range(len(rows)), min(QUERIES, len(rows)))  # noqa: S311  # which is no secret
    passages = [Text(name, text, language, title=title) for (title, text), name in names.items()]
    queries = [Text(f"q{number:05d}", rows[number]["query"], language) for number in sorted(chosen)]
    qrels = {
        f"q{number:05d}": {names[(rows[number].get("title", ""), rows[number]["positive"])]: 1} for number in chosen
    }
    return EvalSet(path.name.partition(".")[0], tuple(queries), tuple(passages), qrels)


def lines(retriever: Retriever, found: EvalSet, languages: tuple[str, ...], note: str) -> str:
    """The table's lines for one set."""
    pairs = [f"{language}-{language}" for language in languages]
    alone = evaluate(retriever, found, pairs=pairs, measures=MEASURE, bm25=True)
    words = _words_alone(found, pairs)
    by_ranks = evaluate(retriever, found, pairs=pairs, measures=MEASURE, hybrid=HybridFusion())
    by_scores = evaluate(retriever, found, pairs=pairs, measures=MEASURE, hybrid=HybridFusion("weighted", 0.5))
    written = ""
    for language, pair in zip(languages, pairs, strict=True):
        cell = alone.cells[pair]
        columns = [_shown(one, pair) for one in (words, alone.baseline, alone, by_ranks, by_scores)]
        sizes = f"{cell.queries} / {cell.passages}"
        written += f"| {found.name}{note} | {language} {language_name(language)} | {sizes} | {' | '.join(columns)} |\n"
    return written


def _words_alone(found: EvalSet, pairs: Sequence[str]) -> Evaluation:
    """BM25 without the parts of words."""
    groups, scorer = parse_pairs(pairs, found), Scorer(tuple(parse_measures(MEASURE)), resamples=1000, seed=13)
    return measure_system(LexicalSystem(parts=False), found, groups, scorer)


def _shown(found: Evaluation | None, pair: str) -> str:
    if found is None or found.cells[pair].blank:
        return "·"
    score = found.cells[pair].scores[MEASURE]
    return f"{score.value:.3f} ± {(score.high - score.low) / 2:.3f}"


def main() -> None:
    """Measures and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--out", type=Path, default=Path("docs/hybrid.md"))
    asked = parser.parse_args()
    retriever = Retriever.load(asked.model, on_overflow="ignore")
    retrieval = asked.data / "retrieval"
    page = OPENING + lines(
        retriever, load(str(retrieval / "xquad"), query_languages=XQUAD, passage_languages=XQUAD), XQUAD, ""
    )
    for name, language in NATIVE.items():
        page += lines(retriever, load(str(retrieval / name)), (language,), "")
    for name, language in SEEN.items():
        found = rows_as_set(asked.data / "train" / f"{name}.jsonl.gz", language)
        page += lines(retriever, found, (language,), ", *seen*")
    write_text(asked.out, page)
    print(page)


if __name__ == "__main__":
    main()
