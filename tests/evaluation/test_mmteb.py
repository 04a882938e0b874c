"""The benchmark's score is the mean of task means over all splits × subsets, and no score at all where one is missing.

1. Two levels of means: 0.70 for the worked case, where the mean of rows is 0.58.
2. Every missing task, split and subset is named at once.
3. The 18 tasks have the numbers of subsets that the paper names.
4. mteb's own result class gives the same task scores.
"""

from __future__ import annotations

import json

import pytest

from isogloss.errors import DataError, FileError
from isogloss.evaluation.mmteb import BenchmarkTask, aggregate_results, read_results, retrieval_tasks

A = BenchmarkTask("A", "ndcg_at_10", ("dev", "test"), ("x", "y"))
B = BenchmarkTask("B", "ndcg_at_10", ("test",), ("default",))


def result(task, value):
    """A complete result of mteb's form; `value` gives the score of a split and a subset."""
    scores = {
        split: [
            {"hf_subset": subset, "languages": ["eng-Latn"], "main_score": value(split, subset)}
            for subset in task.subsets
        ]
        for split in task.splits
    }
    return {"task_name": task.name, "dataset_revision": "1", "mteb_version": "2.0.0", "scores": scores}


def worked():
    values = {("dev", "x"): 0.2, ("dev", "y"): 0.4, ("test", "x"): 0.6, ("test", "y"): 0.8}
    return [result(A, lambda *place: values[place]), result(B, lambda *place: 0.9)]


def test_mean_of_task_means():
    score = aggregate_results(worked(), tasks=(A, B))
    assert score.headline == pytest.approx(0.70, abs=1e-12)  # the mean of the five rows is 0.58
    assert score.tasks == pytest.approx({"A": 0.5, "B": 0.9})


def test_subsets_of_other_benchmarks_do_not_count():
    results = worked()
    results[1]["scores"]["test"].append({"hf_subset": "other", "main_score": 0.0})
    results[1]["scores"]["train"] = [{"hf_subset": "default", "main_score": 0.0}]
    assert aggregate_results(results, tasks=(A, B)).headline == pytest.approx(0.70)


def test_all_that_is_missing_is_named():
    results = worked()
    del results[0]["scores"]["dev"][1]
    del results[0]["scores"]["test"]
    results[1]["scores"]["test"][0]["main_score"] = 90.0
    with pytest.raises(DataError) as caught:
        aggregate_results(results, tasks=(A, B, BenchmarkTask("C", "ndcg_at_10", ("test",), ("default",))))
    assert [(fault.where, fault.message) for fault in caught.value.faults] == [
        ("A dev", "lacks 1 of 2 subsets: y"),
        ("A", "has no split 'test'"),
        ("B test", "subset 'default' has the main_score 90.0"),
        ("C", "has no result"),
    ]


def test_a_doubled_result_is_no_result():
    results = worked()
    results[1]["scores"]["test"] *= 2
    with pytest.raises(DataError, match="A  has two results"):
        aggregate_results([*results, results[0]], tasks=(A, B))
    with pytest.raises(DataError, match="subset 'default' stands twice"):
        aggregate_results(results, tasks=(A, B))


def test_the_tasks_of_the_benchmark():
    counts = {task.name: (len(task.splits), len(task.subsets)) for task in retrieval_tasks()}
    assert len(counts) == 18
    several = {name: count for name, count in counts.items() if count != (1, 1)}
    assert several == {
        "BelebeleRetrieval": (1, 376),
        "LEMBPasskeyRetrieval": (8, 1),
        "MIRACLRetrievalHardNegatives": (1, 18),
        "MLQARetrieval": (2, 49),
        "StatcanDialogueDatasetRetrieval": (2, 2),
        "WikipediaRetrievalMultilingual": (1, 16),
    }


def test_files_of_a_model(tmp_path):
    revision = tmp_path / "me__model" / "1"
    revision.mkdir(parents=True)
    for found in worked():
        (revision / f"{found['task_name']}.json").write_text(json.dumps(found))
    (revision / "model_meta.json").write_text('{"name": "me/model"}')
    assert aggregate_results(read_results(tmp_path / "me__model"), tasks=(A, B)).headline == pytest.approx(0.70)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="no result files"):
        read_results(tmp_path / "empty")


@pytest.mark.slow
def test_mteb_gives_the_same_task_scores():
    task_result = pytest.importorskip("mteb.results").TaskResult
    tasks = retrieval_tasks()
    results = [result(task, lambda split, subset: (sum(map(ord, split + subset)) % 1000) / 1000) for task in tasks]
    ours = aggregate_results(results).tasks
    for found in results:
        theirs = task_result.from_dict({**found, "evaluation_time": 0.0}).get_score()
        assert ours[found["task_name"]] == pytest.approx(theirs, abs=1e-9)
