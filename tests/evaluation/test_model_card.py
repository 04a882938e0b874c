"""A model's card says what was measured and nothing else.

1. The hub's own library reads its head: every measured pair is a result with its value, Norwegian stays a language.
2. The table has the intervals of the evaluation; a blank pair is stated and is no result.
3. What its author wrote stays, and a second card replaces the first one alone.
4. What it was made of and how to make it again come from the manifest; what is not known is said to be missing.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from isogloss.errors import DataError, FileError, UsageError
from isogloss.evaluation.evaluate import evaluate
from isogloss.evaluation.model_card import END, START, model_card, write_card
from isogloss.evaluation.results import Evaluation
from isogloss.recipe import load_recipe, shipped_recipes
from tests.evaluation.stand_ins import HashingRetriever, parallel_set

AUTHOR = "---\nlanguage: [no, de]\nlicense: mit\nbase_model: me/parent\n---\n\n# Mine\n\nHand-written.\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "run" / "model"
    folder.mkdir(parents=True)
    parts = {"parts": {"max_length": "32"}, "digest": "abcdef" * 10}
    (folder / "isogloss.json").write_text(json.dumps({"fingerprints": {"query": parts}}), encoding="utf-8")
    (folder / "modules.json").write_text('[{"type": "x.StaticEmbedding"}]', encoding="utf-8")
    (folder / "README.md").write_text(AUTHOR, encoding="utf-8")
    return folder


@pytest.fixture
def manifest(model: Path) -> Path:
    recipe = load_recipe(shipped_recipes()["infonce"]).model_dump(mode="json")
    content = {
        "recipe": recipe,
        "data": {"rows": {"/data/rows.jsonl": "0123456789abcdef" * 4}},
        "rows_seen": {"rows": {"sw": 7, "en": 12}},
        "versions": {"torch": "2.0"},
        "seconds": 90,
    }
    place = model.parent / "manifest.json"
    place.write_text(json.dumps(content), encoding="utf-8")
    return place


@pytest.fixture
def measured(tmp_path: Path) -> Evaluation:
    eval_set = parallel_set(("de", "en"))
    pairs = "same,to-en,mixed,de-de,en-en,de-en"
    return evaluate(HashingRetriever(), eval_set, pairs=pairs, out=tmp_path / "scores", resamples=50)


def test_the_hub_reads_every_result(model: Path, measured: Evaluation, tmp_path: Path) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    write_card(model_card(model, [tmp_path / "scores"], licence="Apache-2.0", name="me/mine"))
    data = huggingface_hub.ModelCard.load(model / "README.md").data
    assert (data.language, data.license, data.base_model) == (["de", "en", "no"], "apache-2.0", "me/parent")
    assert {"isogloss", "multilingual"} <= set(data.tags)
    found = {(one.dataset_config, one.metric_type): one.metric_value for one in data.eval_results}
    names = {"nDCG@10": "ndcg_at_10", "R@100": "recall_at_100", "RR@10": "mrr_at_10"}
    assert found == {
        (pair, names[measure]): pytest.approx(score.value, abs=1e-5)
        for pair, cell in measured.cells.items()
        for measure, score in cell.scores.items()
    }
    assert data.model_name == "me/mine"


def test_the_table_has_intervals_and_states_blanks(model: Path, measured: Evaluation, tmp_path: Path) -> None:
    scores = tmp_path / "scores" / "scores.json"
    content = json.loads(scores.read_text(encoding="utf-8"))
    blank = next(
        cell for cell in content["cells"] if cell["pair"] == {"query_language": "de", "passage_language": "en"}
    )
    blank |= {"scores": {}, "blank": "it was switched off"}
    content["notes"] = ["de-en is blank: it was switched off."]
    scores.write_text(json.dumps(content), encoding="utf-8")
    card = model_card(model, [tmp_path / "scores"])
    value = measured.cells["de-de"].scores["nDCG@10"]
    row = next(line for line in card.text.splitlines() if line.startswith("| de German"))
    assert row.startswith(f"| de German | {value.value:.3f} [{value.low:.3f}, {value.high:.3f}] | blank |")
    assert "- de-en is blank: it was switched off." in card.text
    head = yaml.safe_load(card.text.split("---\n")[1])
    assert "de-en" not in {one["dataset"]["config"] for one in head["model-index"][0]["results"]}
    assert card.results == len(measured.cells) - 1


def test_what_its_author_wrote_stays(model: Path, measured: Evaluation, tmp_path: Path) -> None:
    first = model_card(model, [tmp_path / "scores"], limits=["It cannot sing."])
    write_card(first)
    (model / "README.md").write_text(first.text + "\nBelow.\n", encoding="utf-8")
    again = model_card(model, [tmp_path / "scores"]).text
    assert again.count(START) == again.count(END) == again.count("## Limits") == 1
    assert "# Mine\n\nHand-written." in again and again.endswith("\nBelow.\n")
    assert "cannot sing" in first.text and "cannot sing" not in again
    assert yaml.safe_load(again.split("---\n")[1])["license"] == "mit"


def test_data_and_recipe_come_from_the_manifest(model, manifest, measured, tmp_path) -> None:
    card = model_card(model, [tmp_path / "scores"])
    assert "`rows.jsonl` (SHA-256 0123456789abcdef…); rows seen: en 12, sw 7" in card.text
    assert "licences of these texts were not stated" in card.text
    assert "32 tokens of a query" in card.text and "order of words" in card.text
    assert card.missing == ()
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(card.text.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    assert load_recipe(recipe).digest() == load_recipe(shipped_recipes()["infonce"]).digest()
    manifest.unlink()
    assert model_card(model, [tmp_path / "scores"]).missing == ("training data", "how to rebuild")
    assert "isogloss train infonce --out" in model_card(model, [tmp_path / "scores"], recipe="infonce").text


def test_what_is_no_report_is_refused_and_nothing_is_written(model: Path, tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text('{"data": "x"}', encoding="utf-8")
    with pytest.raises(DataError, match="not what isogloss writes"):
        model_card(model, [tmp_path])
    with pytest.raises(FileError, match="has neither"):
        model_card(model, [model])
    with pytest.raises(UsageError, match="needs scores"):
        model_card(model, [])
    assert (model / "README.md").read_text(encoding="utf-8") == AUTHOR


def test_a_broken_head_or_mark_is_refused(model: Path, measured: Evaluation, tmp_path: Path) -> None:
    for text, reason in ((f"x {START} y", "without"), ("---\na: [\n---\n", "no YAML")):
        (model / "README.md").write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=reason):
            model_card(model, [tmp_path / "scores"])
