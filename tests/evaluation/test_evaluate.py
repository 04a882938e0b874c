"""The matrix is what trec_eval says of the written runs.

1. Every cell equals pytrec_eval's mean over the written TREC run, to 1e-9, under judgements made here by hand.
2. Every text is encoded once, however many pairs there are.
3. A pool is searched alone.
4. BM25 stands beside the retriever, within a language and across: what both languages write alike it finds.
5. What is written is complete or not there; nothing that exists is lost.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import pytrec_eval

from isogloss.errors import FileError, UsageError
from isogloss.evaluation import evaluate
from isogloss.evaluation.report import evaluation_grids, language_grid
from isogloss.files import read_run
from isogloss.records import EvalSet, Text
from tests.evaluation.stand_ins import HashingRetriever, parallel_set


class KeptBank:
    """A bank in memory that knows whose it is."""

    def __init__(self, vectors: dict[str, object], fingerprint: str) -> None:
        self.vectors = vectors
        self.fingerprint = fingerprint

    def require(self, fingerprint: str) -> None:
        if fingerprint != self.fingerprint:
            raise UsageError("stale")

    def get(self, ids: list[str]) -> object:
        import numpy as np

        return np.stack([self.vectors[name] for name in ids])


def test_every_cell_agrees_with_trec_eval_on_the_written_run(tmp_path: Path) -> None:
    found = parallel_set()
    result = evaluate(HashingRetriever(), found, pairs="all,mixed", out=tmp_path / "out")
    written = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert len(written["cells"]) == len(result.cells) == 12
    for cell in written["cells"]:
        query, passage = cell["pair"]["query_language"], cell["pair"]["passage_language"]
        targets = ["de", "en", "th"] if passage == "mixed" else [passage]
        qrels = {
            name: {f"{next(iter(grades)).split('.')[0]}.{target}": 1 for target in targets}
            for name, grades in found.qrels.items()
            if name.endswith(f".{query}")
        }
        run = read_run(tmp_path / "out" / "runs" / f"{query}-{passage}.trec.gz")
        direct = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10", "recall_100"}).evaluate(run)
        for measure, name in (("nDCG@10", "ndcg_cut_10"), ("R@100", "recall_100")):
            expected = sum(values[name] for values in direct.values()) / len(qrels)
            assert cell["scores"][measure]["value"] == pytest.approx(expected, abs=1e-9)
        top = {key: dict(sorted(row.items(), key=lambda item: (item[1], item[0]))[-10:]) for key, row in run.items()}
        direct = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(top)
        expected = sum(values["recip_rank"] for values in direct.values()) / len(qrels)
        assert cell["scores"]["RR@10"]["value"] == pytest.approx(expected, abs=1e-9)
        assert (
            cell["scores"]["nDCG@10"]["low"] <= cell["scores"]["nDCG@10"]["value"] <= cell["scores"]["nDCG@10"]["high"]
        )


def test_every_text_is_encoded_once_and_only_those_needed() -> None:
    retriever = HashingRetriever()
    evaluate(retriever, parallel_set(), pairs="all,mixed,same")
    assert set(Counter(retriever.encoded).values()) == {1}
    retriever = HashingRetriever()
    evaluate(retriever, parallel_set(), pairs="de-th")
    assert {name.split(".")[1] for name in retriever.encoded if name.startswith("q")} == {"de"}
    assert {name.split(".")[1] for name in retriever.encoded if name.startswith("p")} == {"th"}


def test_a_bank_gives_the_passages_and_a_strange_one_is_refused() -> None:
    found, retriever = parallel_set(), HashingRetriever()
    retriever.passage = type("Tower", (), {"fingerprint": "mine"})()
    vectors = dict(zip([text.id for text in found.passages], retriever.encode_passage(found.passages), strict=True))
    plain = evaluate(retriever, found)
    retriever.encoded.clear()
    assert evaluate(retriever, found, bank=KeptBank(vectors, "mine")).cells == plain.cells
    assert not [name for name in retriever.encoded if name.startswith("p")]
    with pytest.raises(UsageError, match="stale"):
        evaluate(retriever, found, bank=KeptBank(vectors, "other"))


def test_a_pool_is_searched_alone(tmp_path: Path) -> None:
    passages = [Text(f"{pool}{number}", "river sea", "en", pool=pool) for pool in "ab" for number in range(3)]
    queries = [Text("qa", "river sea", "en", pool="a"), Text("qb", "river", "en", pool="b")]
    found = EvalSet("pools", tuple(queries), tuple(passages), {"qa": {"a1": 1}, "qb": {"b1": 1}})
    evaluate(HashingRetriever(), found, out=tmp_path / "out")
    run = read_run(tmp_path / "out" / "runs" / "en-en.trec.gz")
    assert set(run["qa"]) == {"a0", "a1", "a2"}
    assert set(run["qb"]) == {"b0", "b1", "b2"}


def test_bm25_stands_in_the_same_table(tmp_path: Path) -> None:
    result = evaluate(HashingRetriever(), parallel_set(), bm25=True, name="hashing", out=tmp_path / "out")
    baseline = result.baseline
    assert baseline is not None
    assert list(baseline.cells) == list(result.cells) and not any(cell.blank for cell in baseline.cells.values())
    grid = language_grid(result, "nDCG@10")
    assert grid.header == ("", "queries", "same", "to-en", "from-en", "BM25 same")
    report = (tmp_path / "out" / "matrix.md").read_text(encoding="utf-8")
    assert "BM25 same" in report and "| macro mean |" in report
    assert [grid.title.partition(" on ")[0] for grid in evaluation_grids(result)[:2]] == [
        "nDCG@10 of hashing",
        "nDCG@10 of BM25",
    ]
    assert evaluation_grids(result)[1].header == ("", "queries", "same", "to-en", "from-en")
    assert all(grid.rich().row_count == len(grid.rows) + len(grid.totals) for grid in evaluation_grids(result))


def test_values_have_the_names_that_recipes_expect() -> None:
    result = evaluate(HashingRetriever(), parallel_set())
    flat = result.flat()
    cells = [flat[f"small/{name}-{name}/nDCG@10"] for name in ("de", "en", "th")]
    assert flat["small/same/nDCG@10/macro"] == pytest.approx(sum(cells) / 3)
    assert flat["small/same/nDCG@10/worst"] == min(cells)


def test_an_existing_folder_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine", encoding="utf-8")
    for overwrite in (False, True):  # what is no evaluation is never replaced
        with pytest.raises(FileError):
            evaluate(HashingRetriever(), parallel_set(), out=out, overwrite=overwrite)
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["mine.txt"]
    earlier = tmp_path / "earlier"
    evaluate(HashingRetriever(), parallel_set(), out=earlier)
    before = {file: file.read_bytes() for file in earlier.rglob("*") if file.is_file()}
    with pytest.raises(FileError):
        evaluate(HashingRetriever(), parallel_set(), out=earlier)
    retriever = HashingRetriever()
    retriever.encode_passage = None  # type: ignore[assignment]
    with pytest.raises(TypeError):
        evaluate(retriever, parallel_set(), out=earlier, overwrite=True)
    assert {file: file.read_bytes() for file in earlier.rglob("*") if file.is_file()} == before


def test_faulty_options_are_refused_before_anything_is_encoded() -> None:
    retriever = HashingRetriever()
    for options in ({"pairs": "nothing"}, {"measures": "nothing"}):
        with pytest.raises(UsageError):
            evaluate(retriever, parallel_set(), **options)
    assert retriever.encoded == []


def test_a_set_without_languages_is_measured() -> None:
    found = parallel_set(("de",))
    bare = replace(
        found,
        queries=tuple(replace(text, language=None) for text in found.queries),
        passages=tuple(replace(text, language=None) for text in found.passages),
    )
    assert evaluate(HashingRetriever(), bare).cells["und-und"].queries == 20


def test_bm25_finds_across_languages_what_both_write_alike() -> None:
    names = ("Beyoncé", "Denver", "Sulina", "1908")
    passages = [Text(f"p{row}.{tag}", f"{tag} {name}", tag) for tag in ("en", "ro") for row, name in enumerate(names)]
    queries = [Text(f"q{row}.ro", f"cine este {name}?", "ro") for row, name in enumerate(names)]
    queries.append(Text("q4.ro", "unde?", "ro"))
    qrels = {f"q{row}.ro": {f"p{row % 4}.en": 1} for row in range(5)}
    found = EvalSet("names", tuple(queries), tuple(passages), qrels)
    baseline = evaluate(HashingRetriever(), found, pairs="ro-en,mixed", measures="RR@10", bm25=True).baseline
    assert baseline is not None
    values = baseline.cells["ro-en"].per_query["RR@10"]
    assert values == {"q0.ro": 1.0, "q1.ro": 1.0, "q2.ro": 1.0, "q3.ro": 1.0, "q4.ro": 0.0}
    assert baseline.cells["ro-en"].unanswered == 1  # no term is shared: no results
    assert not baseline.cells["ro-mixed"].blank


@pytest.mark.parametrize("kept", [0, 25, 50_000])
def test_bm25_makes_the_index_of_a_pair_from_its_own_passages(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isogloss.evaluation.systems.KEPT_PASSAGES", kept)
    found = parallel_set()
    together = evaluate(HashingRetriever(), found, pairs="all", bm25=True).baseline
    assert together is not None
    for pair, cell in together.cells.items():
        alone = evaluate(HashingRetriever(), found, pairs=pair, bm25=True).baseline
        assert alone is not None and alone.cells[pair] == cell


def test_what_is_no_retriever_or_no_set_is_told() -> None:
    """Names are loaded first; and a summary of what was not measured names what was."""
    with pytest.raises(UsageError, match=r"'bundled' is str") as error:
        evaluate("bundled", parallel_set())
    assert "Retriever.load" in error.value.next_step
    with pytest.raises(UsageError, match="'isogloss-demo' is no evaluation set but str"):
        evaluate(HashingRetriever(), "isogloss-demo")  # type: ignore[arg-type]
    found = evaluate(HashingRetriever(), parallel_set(), pairs="same", measures="RR@10")
    with pytest.raises(UsageError) as error:
        found.summary("to-en", "RR@1")
    assert [fault.where for fault in error.value.faults] == ["group", "measure"]
    assert "did you mean 'RR@10'" in str(error.value) and "there are: same" in str(error.value)
