"""A batch is a function of seed and step.

1. Whatever steps came before, a step draws the same rows; another seed draws others.
2. An epoch holds each row once, and the remainder begins the next batch.
3. A batch by language (or pair) holds one, and exponent 0 draws them alike.
4. Languages and files that are not there, and unknown terms and options, are named all at once.
5. A term that could learn nothing is refused before the first step.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from isogloss.errors import DataError, FileError, RecipeError
from isogloss.files import write_jsonl
from isogloss.recipe import parse_recipe
from isogloss.training import train
from isogloss.training.assembly import RECIPE_CHECKS
from isogloss.training.sources import TableSource
from tests.training.runs import recipe_content


def table(rows=10, *, batch=4, seed=1, **options):
    groups = np.array([0] * (rows - 2) + [1] * 2)
    columns = {"query": np.arange(rows)}
    return TableSource(
        "rows",
        columns,
        roles={"query": "query"},
        groups=groups,
        group_names=("en", "de"),
        batch=batch,
        seed=(seed, 0),
        **options,
    )


@pytest.mark.parametrize("options", [{}, {"by_group": True}, {"exponent": 0.3}])
def test_a_step_draws_the_same_rows_whatever_came_before(options):
    source = table(**options)
    forward = [source.draw(step).columns["query"].tolist() for step in range(12)]
    assert [table(**options).draw(step).columns["query"].tolist() for step in reversed(range(12))] == forward[::-1]
    assert [table(seed=2, **options).draw(step).columns["query"].tolist() for step in range(12)] != forward


def test_an_epoch_holds_each_row_once():
    drawn = np.concatenate([table().draw(step).columns["query"] for step in range(5)])
    assert sorted(drawn[:10].tolist()) == sorted(drawn[10:].tolist()) == list(range(10))
    assert drawn[:10].tolist() != drawn[10:].tolist()


def test_a_batch_by_group_holds_one_group():
    drawn = [table(by_group=True, exponent=0.0).draw(step).groups for step in range(200)]
    assert all(len(set(groups.tolist())) == 1 for groups in drawn)
    share = np.mean([groups[0] == 1 for groups in drawn])
    assert 0.4 < share < 0.6


def test_a_language_that_no_file_has_is_named(tmp_path, tiny_static):
    content = recipe_content(tmp_path, tiny_static)
    content["sources"]["parallel"]["languages"] = ["de", "fr", "xx-yy-zz"]
    with pytest.raises(DataError) as caught:
        train(parse_recipe(content), tmp_path / "out")
    assert "sources.parallel.languages  'fr' is in none of its files" in str(caught.value)
    assert "xx-yy-zz" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_unknown_terms_kinds_and_options_come_at_once(tmp_path, tiny_static):
    content = recipe_content(tmp_path, tiny_static)
    content["objective"] = [
        {"term": "semantic_contrast", "on": "parallel"},
        {"term": "infonce", "on": "rows", "temprature": 0.1, "mode": "in-batch"},
    ]
    content["sources"]["rows"]["negative"] = 3
    content["sources"]["lexicon"] = {"path": "x", "batch": 3}
    with pytest.raises(RecipeError) as caught:
        parse_recipe(content, checks=RECIPE_CHECKS)
    for part in (
        "'semantic_contrast' is no term; did you mean 'semantic_contrastive'?",
        "objective[1].temprature  is no option of 'infonce'; did you mean 'temperature'?",
        "objective[1].mode  'in-batch'",
        "sources.rows.negative  is no option of 'rows'; did you mean 'negatives'?",
        "sources.lexicon.kind  'lexicon' is no kind",
    ):
        assert part in str(caught.value)


def test_a_dry_run_plans_and_writes_nothing(tmp_path, tiny_static):
    lines = []
    report = train(
        parse_recipe(recipe_content(tmp_path, tiny_static)), tmp_path / "out", dry_run=True, announce=lines.append
    )
    assert report.model is None
    assert not (tmp_path / "out").exists()
    assert any("infonce(rows): each row meets 17 negatives" in line for line in lines)


def test_the_manifest_says_what_happened(tmp_path, tiny_static):
    content = recipe_content(tmp_path, tiny_static)
    train(parse_recipe(content), tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["rows_seen"] == {"rows": {"en": 18}, "parallel": {"en-de": 15}}
    assert set(manifest["losses"]) == {"loss", "term/infonce(rows)", "term/semantic_contrastive(parallel)"}
    assert len(manifest["data"]["rows"]) == 1


def test_every_missing_file_is_named_by_its_field(tmp_path, tiny_static, monkeypatch):
    """A shipped recipe without the user's file says that its path is a placeholder, and what to give."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileError) as error:
        train("language-agnostic", tmp_path / "out", overrides=[f"model.base={tiny_static}"], dry_run=True)
    assert [fault.where for fault in error.value.faults] == [f"sources.{n}.path" for n in ("labels", "pairs", "plain")]
    assert "stands for a file of yours" in error.value.faults[0].message
    assert "--set sources.labels.path=FILE" in error.value.next_step
    write_jsonl(tmp_path / "rows.jsonl", [{"query": "a", "positive": "b"}])
    overrides = [f"model.base={tiny_static}", "sources.rows.path=row.jsonl"]
    with pytest.raises(FileError, match=r"did you mean 'rows.jsonl'"):
        train("english-query-tuning", tmp_path / "out", overrides=overrides, dry_run=True)


def test_one_row_without_a_negative_is_refused(tmp_path, tiny_static):
    """Its loss is 0 from the first step, which would look like success; one negative is enough to learn from."""
    row = {"query": "the keeper", "positive": "counts ships", "lang": "en"}
    overrides = [f"model.base={tiny_static}", f"sources.rows.path={tmp_path / 'rows.jsonl'}"]
    write_jsonl(tmp_path / "rows.jsonl", [row])
    with pytest.raises(RecipeError, match="would learn nothing: a step has 1 row"):
        train("english-query-tuning", tmp_path / "out", overrides=overrides, dry_run=True)
    write_jsonl(tmp_path / "rows.jsonl", [{**row, "negative_passages": ["the river"]}])
    assert train("english-query-tuning", tmp_path / "out", overrides=overrides, dry_run=True).plan.steps
