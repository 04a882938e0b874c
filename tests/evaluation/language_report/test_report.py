"""A report needs nothing but runs, and shows no more and no less than they hold.

1. A file, a table, a dictionary and one mixed run give the same scores, which are those of ir_measures.
2. Texts are shown as they are: no markup of theirs takes effect, and scripts run in their own direction.
3. The page asks nothing of the network; a language without a run is blank and stated.
4. Text is legible on every colour, and lightness falls in even steps.
5. Runs of another set are refused, for a page of zeros would be read as a finding; nothing is written.
"""

from __future__ import annotations

import json
from pathlib import Path

import ir_measures
import pytest

from isogloss.errors import DataError, FileError, UsageError
from isogloss.evaluation.language_report import audit, report
from isogloss.evaluation.language_report.palette import change, contrast, weakness
from isogloss.evaluation.pairs import MIXED, Pair
from isogloss.evaluation.runs import collect_runs
from isogloss.files import write_run
from isogloss.records import EvalSet, Text

ATTACK = '<script>alert("x")</script>&'


@pytest.fixture
def small() -> EvalSet:
    words = {"he": "שלום עולם", "en": ATTACK, "ar": "مرحبا"}
    passages = [
        Text(f"p{n}.{tag}", f"{word} {n}", tag, parallel_id=f"p{n}") for tag, word in words.items() for n in range(4)
    ]
    queries = [Text(f"q{n}.{tag}", f"{word}? {n}", tag) for tag, word in words.items() for n in range(4)]
    qrels = {f"q{n}.{tag}": {f"p{n}.{tag}": 1} for tag in words for n in range(4)}
    return EvalSet("small", tuple(queries), tuple(passages), qrels)


def made_run(eval_set: EvalSet, languages: tuple[str, ...], shift: int) -> dict[str, dict[str, float]]:
    """Each query ranks the passage of its number plus `shift` first, in its own language before the others."""
    return {
        f"q{n}.{tag}": {
            f"p{(n + shift + place) % 4}.{other}": 10.0 - place - 4 * (other != tag)
            for other in languages
            for place in range(4)
        }
        for tag in languages
        for n in range(4)
    }


class Table:
    """Columns by name, as frames and datasets have them."""

    def __init__(self, run: dict[str, dict[str, float]]) -> None:
        rows = [(query, passage, score) for query, found in run.items() for passage, score in found.items()]
        self._columns = dict(zip(("qid", "docno", "score"), zip(*rows, strict=True), strict=True))
        self.columns = list(self._columns)

    def __getitem__(self, name: str) -> list[object]:
        return list(self._columns[name])


def test_one_run_in_every_form_has_the_scores_of_ir_measures(small: EvalSet, tmp_path: Path) -> None:
    run = made_run(small, ("he", "en"), shift=1)
    write_run(tmp_path / "theirs.txt", run)
    scores = [
        {name: cell.per_query for name, cell in audit(source, small, resamples=20).evaluation.cells.items()}
        for source in (tmp_path / "theirs.txt", Table(run), run)
    ]
    assert scores[0] == scores[1] == scores[2]
    qrels = small.mixed_pool().qrels
    for metric in ir_measures.iter_calc([ir_measures.nDCG @ 10], {name: dict(qrels[name]) for name in run}, run):
        language = metric.query_id.partition(".")[2]
        assert scores[0][f"{language}-mixed"]["nDCG@10"][metric.query_id] == pytest.approx(metric.value, abs=1e-9)


def test_pairs_come_from_names_else_from_contents(small: EvalSet, tmp_path: Path) -> None:
    write_run(tmp_path / "bm25.he-en.trec.gz", {"q0.he": {"p0.en": 1.0}})
    write_run(tmp_path / "plain.run", {"q0.en": {"p0.en": 1.0}, "q0.ar": {"p0.ar": 1.0, "p0.en": 0.5}})
    found = collect_runs(tmp_path, small)
    assert set(found.readers) == {Pair("he", "en"), Pair("en", "en"), Pair("ar", MIXED)}
    with pytest.raises(DataError, match="second run for en-en"):
        collect_runs([tmp_path, tmp_path / "plain.run"], small)
    with pytest.raises(DataError, match="none of its queries is in small"):
        collect_runs({"stranger": {"p0.en": 1.0}}, small)
    with pytest.raises(FileError):
        collect_runs(tmp_path / "absent.trec", small)


def test_the_page_shows_texts_as_they_are_and_asks_for_nothing(small: EvalSet, tmp_path: Path) -> None:
    found = report(
        made_run(small, ("he", "en"), shift=1),
        small,
        tmp_path / "out",
        baseline=made_run(small, ("he", "en"), shift=0),
        name=ATTACK,
        heatmap=False,
        resamples=20,
    )
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http://" not in page and "https://" not in page and "url(" not in page
    assert '<blockquote lang="he" dir="rtl">' in page
    assert set(found.failures) == {"he", "en"}
    assert found.failures["he"][0].loss > 0
    assert "ar-mixed is blank: there is no run for this pair." in page
    numbers = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert numbers["evaluation"]["cells"][0]["blank"] == "there is no run for this pair"
    again = audit(
        made_run(small, ("he", "en"), shift=1),
        small,
        baseline=made_run(small, ("he", "en"), shift=0),
        name=ATTACK,
        resamples=20,
    )
    assert again.to_json() == found.to_json()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_are_legible(theme: str) -> None:
    for shade in (*weakness(theme), *change(theme)):
        assert contrast(shade.background, shade.ink) >= 4.5
    page = "#ffffff" if theme == "light" else "#16181c"
    distances = [contrast(shade.background, page) for shade in weakness(theme)]
    assert distances == sorted(distances, reverse=True)


def test_runs_of_another_set_are_refused(small: EvalSet, tmp_path: Path) -> None:
    for language in ("he", "en"):
        run = {f"stranger{n}": {f"p{n}.{language}": 1.0} for n in range(3)}
        write_run(tmp_path / "runs" / f"{language}-{language}.trec", run)
    with pytest.raises(UsageError, match="none of the queries of small"):
        report(tmp_path / "runs", small, tmp_path / "out")
    assert not (tmp_path / "out").exists()
