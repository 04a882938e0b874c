"""A comparison says per language what changed, and a gate that passes means that nothing got worse.

1. Equal systems differ nowhere; an injected loss in one language is found in that language only.
2. Folders, runs and evaluations in memory give one comparison.
3. A language that loses its value, or queries that lose theirs, miss the gate; no mean hides them.
4. P values are corrected over the languages of a group.
5. An evaluation of another set is refused, also where ids happen to be the same; a set in a renamed folder is not.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from isogloss.errors import DataError, FileError, UsageError
from isogloss.evaluation import compare, comparison_grids, comparison_markdown, evaluate
from isogloss.evaluation.significance import holm
from isogloss.files import read_json, read_run, write_json, write_run
from tests.evaluation.stand_ins import HashingRetriever, parallel_set


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two evaluations, the second of which has lost its German queries."""
    place = tmp_path_factory.mktemp("compare")
    for name in ("before", "after"):
        evaluate(HashingRetriever(), parallel_set(), out=place / name, name=name)
    file = place / "after" / "runs" / "de-de.trec.gz"
    write_run(file, {key: {name: -score for name, score in row.items()} for key, row in read_run(file).items()})
    return place / "before", place / "after"


def test_a_loss_in_one_language_is_found_there_and_only_there(folders: tuple[Path, Path]) -> None:
    found = compare(*folders, parallel_set(), measures="nDCG@10,RR@10")
    assert {reason.split(":")[0] for reason in found.worse()} == {"de-de nDCG@10", "de-de RR@10"}
    for row in found.differences:
        assert (row.difference == 0 and row.p == 1 and not row.mark(0.05)) or str(row.pair) == "de-de"
    lost = next(row for row in found.differences if str(row.pair) == "de-de")
    assert lost.mark(0.05) == "▼" and lost.p_holm is not None and lost.p is not None and lost.p_holm > lost.p
    backwards = compare(folders[1], folders[0], parallel_set())
    assert backwards.worse() == ()
    assert {row.mark(0.05) for row in backwards.differences if str(row.pair) == "de-de"} == {"▲", ""}


def test_folders_runs_and_evaluations_give_one_comparison(folders: tuple[Path, Path]) -> None:
    def runs(folder: Path) -> dict[str, object]:
        return {file.name.split(".")[0]: read_run(file) for file in (folder / "runs").iterdir()}

    by_folder = compare(*folders, parallel_set())
    by_runs = compare(runs(folders[0]), runs(folders[1]), parallel_set())
    assert by_folder.differences == by_runs.differences
    in_memory = evaluate(HashingRetriever(), parallel_set())
    assert compare(in_memory, folders[1], parallel_set()).differences == by_folder.differences
    assert compare(in_memory, in_memory).worse() == ()


def test_p_values_are_corrected_over_the_languages_of_a_group(folders: tuple[Path, Path]) -> None:
    found = compare(*folders, parallel_set())
    for group in ("same", "to-en", "from-en"):
        rows = [row for row in found.differences if (row.group, row.measure) == (group, "nDCG@10")]
        assert [row.p_holm for row in rows] == holm([row.p for row in rows])


def test_a_missing_run_is_blank_and_misses_the_gate(folders: tuple[Path, Path], tmp_path: Path) -> None:
    after = tmp_path / "after"
    shutil.copytree(folders[0], after)
    (after / "runs" / "th-th.trec.gz").unlink()
    found = compare(folders[0], after, parallel_set(), measures="nDCG@10")
    row = next(row for row in found.differences if str(row.pair) == "th-th")
    assert row.difference is None and row.p is None
    assert found.worse() == ("th-th nDCG@10: before (after): there is no run for this pair",)
    assert found.mean_difference("same", "nDCG@10") == (0.0, 2, 3)
    text = comparison_markdown(found)
    assert "| th | blank |" in text and "+0.000 (2 of 3)" in text and "no run for this pair" in text


def test_queries_that_lose_their_value_miss_the_gate() -> None:
    before = evaluate(HashingRetriever(), parallel_set(), measures="nDCG@10")
    cell = before.cells["de-de"]
    kept = dict(list(cell.per_query["nDCG@10"].items())[:10])
    after = replace(before, cells={**before.cells, "de-de": replace(cell, per_query={"nDCG@10": kept})})
    assert compare(before, after).worse() == ("de-de nDCG@10: queries that had a value before have none now",)
    assert compare(after, before).worse() == ()


def test_a_margin_counts_a_loss_that_is_not_significant() -> None:
    before = evaluate(HashingRetriever(), parallel_set(), measures="nDCG@10")
    cell = before.cells["de-de"]
    values = dict(cell.per_query["nDCG@10"])
    values[next(name for name, value in values.items() if value > 0.9)] = 0.0
    after = replace(before, cells={**before.cells, "de-de": replace(cell, per_query={"nDCG@10": values})})
    assert compare(before, after).worse() == ()
    assert len(compare(before, after, margin=0.01).worse()) == 1
    assert compare(before, after, margin=0.5).worse() == ()


def test_tables_name_both_sides(folders: tuple[Path, Path]) -> None:
    found = compare(*folders, parallel_set(), pairs="same,all", measures="nDCG@10")
    grids = comparison_grids(found)
    assert [grid.header[0] for grid in grids] == ["", "all"]
    assert all(grid.rich().row_count for grid in grids)
    assert "▼" in grids[0].markdown()
    assert found.to_json()["worse"]


def test_an_evaluation_of_another_set_is_refused(folders: tuple[Path, Path]) -> None:
    """Both sides are named; and equal ids, such as numbers, do not make another set the same."""
    whole = parallel_set()
    strangers = replace(
        whole,
        name="other",
        queries=tuple(replace(query, id=f"x{query.id}") for query in whole.queries),
        qrels={f"x{query}": grades for query, grades in whole.qrels.items()},
    )
    in_memory = evaluate(HashingRetriever(), whole)
    for sides in (folders, (in_memory, folders[1])):
        with pytest.raises(UsageError, match="other") as error:
            compare(*sides, strangers)
        assert len(error.value.faults) >= 1 and "measured on" in error.value.next_step
    first, *rest = whole.passages
    same_ids = replace(
        whole,
        name="other",
        qrels={query: {first.id: 1, rest[0].id: 1, **grades} for query, grades in whole.qrels.items()},
    )
    with pytest.raises(UsageError) as error:
        compare(*folders, same_ids)
    assert [fault.message for fault in error.value.faults] == [f"was measured on {whole.name}, and this is other"] * 2
    renamed = compare(*folders, replace(whole, name="other"))
    assert renamed.differences == compare(*folders, whole).differences


def test_faults_are_named_together(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        compare(*folders, alpha=2, margin=-1, resamples=0)
    assert len(error.value.faults) == 4
    with pytest.raises(FileError):
        compare(tmp_path / "none", folders[0], parallel_set())
    broken = tmp_path / "broken"
    shutil.copytree(folders[0], broken)
    write_json(broken / "scores.json", {"groups": read_json(broken / "scores.json")["groups"]})
    with pytest.raises(DataError, match="not what"):
        compare(broken, folders[0], parallel_set())
    (broken / "scores.json").unlink()
    with pytest.raises(FileError, match="no evaluation"):
        compare(broken, folders[0], parallel_set())
