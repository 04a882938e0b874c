"""The experiments on the language-agnostic method and on the query generator.

1. The language-agnostic experiment's plain text translates no sentence of its pairs, and is in the other languages.
2. Its arms differ in their terms alone, and each is a recipe that the toolkit takes.
3. A teacher's quality is what its scores say: how often the passage comes first, and the temperature at which its
   distribution is best calibrated.
4. A smaller share of the labels is a part of each larger one, and no passage that is held out is among the labels.
"""

import gzip
import json
import math

import pytest
from experiments.design import Workspace

from experiments import language_agnostic, query_generator, teachers
from isogloss.records import Row
from isogloss.training import load_training_recipe


def write(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def scored(*scores):
    return Row("question", "answer", negative_passages=("other",) * (len(scores) - 1), teacher_scores=scores)


def test_plain_text_translates_nothing_of_the_pairs(tmp_path):
    languages = ("en", *language_agnostic.PAIRED, *language_agnostic.UNPAIRED)
    for name in language_agnostic.FILES:
        lines = [{"_id": str(n), **{tag: f"{name} {n} {tag}" for tag in languages}} for n in range(20)]
        write(tmp_path / "parallel" / f"{name}.jsonl.gz", lines)
    workspace = Workspace(tmp_path, tmp_path / "work")
    pairs = list(language_agnostic._lines(workspace, ("en", *language_agnostic.PAIRED), 0))
    plain = list(language_agnostic._lines(workspace, language_agnostic.UNPAIRED, 1))
    assert len(pairs) + len(plain) == 20 * len(language_agnostic.FILES)
    assert not {line["_id"] for line in pairs} & {line["_id"] for line in plain}
    assert all(line.keys() == {"_id", "en", *language_agnostic.PAIRED} for line in pairs)
    assert all(line.keys() == {"_id", *language_agnostic.UNPAIRED} for line in plain)


@pytest.mark.parametrize("experiment", [language_agnostic.EXPERIMENT, query_generator.EXPERIMENT], ids=lambda e: e.name)
def test_arms_are_recipes_that_differ_in_data_and_terms_alone(experiment, tmp_path):
    workspace = Workspace(tmp_path, tmp_path)
    recipes = [
        load_training_recipe(arm.recipe, overrides=[workspace.fill(text, 1) for text in arm.overrides])
        for arm in experiment.arms
    ]
    assert len({recipe.train.model_dump_json() for recipe in recipes}) == 1
    assert len({recipe.model.model_dump_json() for recipe in recipes}) == 1
    assert {recipe.objective[0].model_dump_json() for recipe in recipes} == {recipes[0].objective[0].model_dump_json()}


def test_quality_counts_first_places():
    found = teachers.quality([scored(3.0, 1.0), scored(0.0, 1.0), scored(2.0, 1.0), scored(1.0, 1.0)])
    assert found.first == 0.5
    assert found.chance == 0.5


def test_quality_finds_the_temperature_that_fits():
    # Three of four times the passage leads by 1: its probability is calibrated where 1 / T = log(3 / 1).
    found = teachers.quality([scored(1.0, 0.0)] * 3 + [scored(0.0, 1.0)])
    assert found.temperature == pytest.approx(1 / math.log(3), rel=1e-3)
    assert found.certainty == pytest.approx((3 * 0.75 + 0.25) / 4, abs=1e-3)


def test_a_smaller_share_is_a_part_of_a_larger_one(tmp_path):
    for name in query_generator.DATA.values():
        rows = [{"query": f"{name} {n}", "positive": f"passage {n // 2}", "lang": "id"} for n in range(200)]
        write(tmp_path / "train" / f"{name}.jsonl.gz", rows)
    workspace = Workspace(tmp_path, tmp_path)
    small, large = (query_generator._rows(workspace, count, apart=False) for count in (10, 50))
    assert {row.query for row in small} < {row.query for row in large}
    apart = query_generator._rows(workspace, 10, apart=True)
    assert apart
    assert not {row.passage for row in apart} & {row.passage for row in large}
