"""Runs of the methods that are killed and resumed end with the bits of the unbroken run.

Every source that draws by step takes part: rows without two of one passage and with generated queries, pairs, and
sentences that are drawn to suit the pairs.
"""

from __future__ import annotations

import json

import torch
from safetensors.torch import load_file

from isogloss.recipe import parse_recipe
from isogloss.training import train
from tests.training.runs import recipe_content, run_worker


def method_content(folder, base):
    """CLEAR, the language-agnostic method and the generator's terms in one recipe over tiny files."""
    content = recipe_content(folder, base, max_steps=8, save_strategy="steps", save_steps=3)
    path = folder / "rows.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for place, row in enumerate(rows):
        row["translated_query"], row["translated_query_language"] = f"wo ist {place}?", "de"
        row["negative_queries"] = [f"was ist {place}?"]
        row["generated_queries"] = [{"text": f"{place} iko wapi?", "language": "sw"}]
        row["teacher_scores"] = [2.0, *(0.5 for _ in row["negative_passages"])]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "sw.txt").write_text("".join(f"nyumba ya {place}\n" for place in range(20)), encoding="utf-8")
    content["sources"]["rows"] |= {"distinct": "passage", "generated_ramp_steps": 4}
    content["sources"]["plain"] = {
        "kind": "nonparallel",
        "path": str(folder / "sw.txt"),
        "batch": 4,
        "beside": "parallel",
    }
    content["objective"] = [
        *({"term": name, "on": "rows"} for name in ("clear", "distillation", "margin_mse", "alignment")),
        {"term": "semantic_contrastive", "on": "parallel"},
        {"term": "language_contrastive", "on": ["parallel", "plain"]},
    ]
    return content


def test_a_killed_run_ends_with_the_bits_of_the_unbroken_one(tmp_path, tiny_static):
    content = method_content(tmp_path, tiny_static)
    killed = tmp_path / "killed"
    assert run_worker("kill", json.dumps(content), str(killed), "5", str(torch.get_num_threads()), may_fail=True)
    report = train(parse_recipe(content), killed)
    assert report.resumed_from == 3
    train(parse_recipe(content), tmp_path / "whole")
    files = sorted(path.relative_to(killed) for path in (killed / "model").rglob("*.safetensors"))
    assert files
    for file in files:
        expected = load_file(tmp_path / "whole" / file)
        assert all(bool((value == expected[name]).all()) for name, value in load_file(killed / file).items())
    logs = [(folder / "train-log.jsonl").read_text("utf-8") for folder in (killed, tmp_path / "whole")]
    assert logs[0] == logs[1]
