"""mteb and isogloss agree on one model and one set.

1. mteb, given our encoder, reports what our evaluator reports on the same set, to 1e-6, titles and prompts included.
2. The role that mteb names picks tower and prompt; empty texts get zeros.
3. What we write is read by mteb's own result class, with the scores that it would have written.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from isogloss import EvalSet, Retriever, Text
from isogloss.errors import UsageError
from isogloss.evaluation.evaluate import evaluate
from isogloss.evaluation.mteb_encoder import MtebEncoder
from isogloss.evaluation.mteb_results import mteb_language, mteb_scores, result_entry, write_results
from isogloss.files import read_run
from tests.conftest import TINY_TEXTS

NAME = "me/tiny"


def small_set():
    """Queries over passages with and without a title; grades 0 and 2, and one query that is only judged 0."""
    passages = tuple(
        Text(f"p{number}", text, "en", title=f"Title {number}" if number % 2 else "")
        for number, text in enumerate(TINY_TEXTS)
    )
    queries = tuple(Text(f"q{number}", f"{text[3:20]}?", "en") for number, text in enumerate(TINY_TEXTS[:6]))
    qrels = {f"q{n}": {f"p{n}": 1 + n % 2, f"p{(n * 5) % 12}": 1, f"p{n + 6}": 0} for n in range(6)}
    return EvalSet("tiny", queries, passages, qrels)


def batches(texts, size=4):
    return [{"text": texts[start : start + size]} for start in range(0, len(texts), size)]


def encode(encoder, inputs, role):
    return encoder.encode(inputs, task_metadata=None, hf_split="test", hf_subset="default", prompt_type=role)


def test_the_role_picks_the_prompt(tiny_transformer: Path):
    retriever = Retriever.load(tiny_transformer)
    encoder = MtebEncoder(retriever, name=NAME)
    texts = list(TINY_TEXTS[:5])
    for role, expected in (
        ("query", retriever.encode_query(texts)),
        ("document", retriever.encode_passage(texts)),
        (None, retriever.encode_query(texts)),
    ):
        given = role and SimpleNamespace(value=role)
        assert np.allclose(encode(encoder, batches(texts), given), expected, atol=1e-6)
    symmetric = MtebEncoder(retriever, name=NAME, symmetric_role="passage")
    assert np.allclose(encode(symmetric, batches(texts), None), retriever.encode_passage(texts), atol=1e-6)


def test_titles_stand_as_the_model_wants_them(tiny_static: Path):
    retriever = Retriever.load(tiny_static)
    batch = {"text": ["T one", "two"], "title": ["T", ""], "body": ["one", "two"]}
    vectors = encode(MtebEncoder(retriever, name=NAME), [batch], "document")
    assert np.allclose(vectors, retriever.encode_passage([Text("", "one", title="T"), "two"]))


def test_empty_texts_have_similarity_0(tiny_static: Path):
    encoder = MtebEncoder(Retriever.load(tiny_static), name=NAME)
    vectors = encode(encoder, [{"text": ["river", " ", ""]}], "document")
    assert np.array_equal(np.linalg.norm(vectors, axis=1).round(5), [1, 0, 0])
    assert encoder.similarity(vectors[:1], vectors).tolist() == [[pytest.approx(1), 0, 0]]
    assert encoder.similarity_pairwise(vectors, vectors).tolist() == [pytest.approx(1), 0, 0]


@pytest.mark.parametrize("name", ["tiny", "/tiny", "me/", "a/b/c"])
def test_mteb_wants_owner_and_model(tiny_static: Path, name: str):
    with pytest.raises(UsageError, match="no name for mteb"):
        MtebEncoder(Retriever.load(tiny_static), name=name)


def test_revision_changes_with_the_prompt(tiny_static: Path):
    revisions = {
        MtebEncoder(Retriever.load(tiny_static, prompts={"query": prompt}), name=NAME)._revision
        for prompt in ("", "query: ", "")
    }
    assert len(revisions) == 2


def test_scores_worked_by_hand():
    qrels = {"a": {"x": 1, "y": 2}, "b": {"x": 1}, "c": {"x": 0}}
    scores = mteb_scores(qrels, {"a": {"z": 3.0, "y": 2.0}, "b": {"x": 1.0}}, cutoffs=(1, 10))
    # a: y at rank 2 of the grades 2 and 1; b: perfect; c: judged, nothing relevant, 0.
    gain = (2 / np.log2(3)) / (2 + 1 / np.log2(3))
    assert scores["ndcg_at_10"] == pytest.approx((gain + 1) / 3, abs=5e-6)
    assert scores["mrr_at_10"] == pytest.approx(0.5, abs=5e-6)
    assert scores["recall_at_10"] == pytest.approx(0.5, abs=5e-6)
    assert scores["map_at_10"] == pytest.approx(1.25 / 3, abs=5e-6)
    assert scores["precision_at_1"] == scores["accuracy"] == pytest.approx(1 / 3, abs=5e-6)


def test_a_main_score_that_is_none(tmp_path: Path):
    with pytest.raises(UsageError, match="no score here"):
        result_entry({"ndcg_at_10": 1.0}, main_score="ndcg_at_11", subset="default", languages=["de"])
    assert [mteb_language(tag) for tag in ("sw", "zh-hant", "sr-latn")] == ["swa-Latn", "zho-Hant", "srp-Latn"]


def test_files_of_two_tasks_share_a_folder(tmp_path: Path):
    entry = result_entry({"ndcg_at_10": 0.5}, main_score="ndcg_at_10", subset="sw", languages=["sw", "sw"])
    for task in ("A", "B"):
        write_results(tmp_path, model=NAME, revision="1", task=task, scores={"dev": [entry]}, meta={"embed_dim": 3})
    folder = tmp_path / "me__tiny" / "1"
    assert sorted(path.name for path in folder.iterdir()) == ["A.json", "B.json", "model_meta.json"]
    assert json.loads((folder / "model_meta.json").read_text()) == {"embed_dim": 3, "name": NAME, "revision": "1"}
    written = json.loads((folder / "A.json").read_text())
    assert written["scores"]["dev"] == [
        {"ndcg_at_10": 0.5, "main_score": 0.5, "hf_subset": "sw", "languages": ["swa-Latn"]}
    ]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["tiny_static", "tiny_transformer"])
def test_mteb_reports_what_we_report(model: str, request: pytest.FixtureRequest, tmp_path: Path):
    pytest.importorskip("mteb")
    task = local_task(small_set())
    retriever = Retriever.load(request.getfixturevalue(model))
    import mteb

    theirs = mteb.evaluate(MtebEncoder(retriever, name=NAME), task, cache=None, show_progress_bar=False).task_results[0]
    reported = theirs.scores["test"][0]

    evaluate(retriever, small_set(), pairs="same", measures="nDCG@10", out=tmp_path / "ours")
    run = read_run(tmp_path / "ours" / "runs" / "en-en.trec.gz")
    ours = mteb_scores(small_set().qrels, run)
    for name, value in ours.items():
        assert value == pytest.approx(reported[name], abs=1e-6), name
    assert 0 < ours["ndcg_at_10"] < 1

    entry = result_entry(ours, main_score="ndcg_at_10", subset="default", languages=["en", "en"])
    path = write_results(tmp_path, model=NAME, revision="1", task=task.metadata.name, scores={"test": [entry]})
    read = type(theirs).from_disk(path)
    assert read.get_score() == pytest.approx(theirs.get_score(), abs=1e-6)
    assert (read.scores["test"][0]["languages"], read.task_name) == (reported["languages"], theirs.task_name)


def local_task(eval_set: EvalSet):
    """A retrieval task of mteb over a set in memory."""
    from mteb.abstasks import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    from datasets import Dataset

    class LocalRetrieval(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="LocalRetrieval",
            description="A set in memory.",
            dataset={"path": "none/none", "revision": "1"},
            type="Retrieval",
            main_score="ndcg_at_10",
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            license="cc0-1.0",
        )

        def load_data(self, **kwargs):
            corpus = [{"id": text.id, "title": text.title, "text": text.text} for text in eval_set.passages]
            queries = [{"id": text.id, "text": text.text} for text in eval_set.queries]
            qrels = {query: dict(grades) for query, grades in eval_set.qrels.items()}
            self.dataset = {
                "default": {
                    "test": {
                        "corpus": Dataset.from_list(corpus),
                        "queries": Dataset.from_list(queries),
                        "relevant_docs": qrels,
                        "top_ranked": None,
                    }
                }
            }
            self.data_loaded = True

    return LocalRetrieval()
